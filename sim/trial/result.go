// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
)

// Result is what one run showed.
type Result struct {
	Plan    *plan.Plan      `json:"plan"`
	Verdict checker.Verdict `json:"verdict"`
	// Problems are why it is not valid, worst first; each is a line for people. Where the
	// checkers have a path for it, it stands in Report.
	Problems []Problem       `json:"problems,omitempty"`
	Report   *checker.Report `json:"report,omitempty"`

	// Hash is of every delivered message and every result that a client got, with their
	// times. Replayable says that the runtime was the edited one: the same plan then gives
	// the same hash. Edits names the edits.
	Hash       string `json:"hash"`
	Replayable bool   `json:"replayable"`
	Edits      string `json:"edits,omitempty"`
	Mutant     string `json:"mutant,omitempty"`

	// Operations are those of clients; OK is how many succeeded. Fair is how many of them
	// asked for a majority at most, outside of total outages and under faults; FairOK how
	// many of these succeeded.
	Operations int `json:"operations"`
	OK         int `json:"ok"`
	Fair       int `json:"fair"`
	FairOK     int `json:"fair_ok"`
	// Messages and Bytes were delivered by the network.
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	// Fake is how long the run was for the cluster, Wall and CPU what it took here. Peak is
	// the most memory that the process had, in bytes.
	Fake time.Duration `json:"fake_ns"`
	Wall time.Duration `json:"wall_ns"`
	CPU  time.Duration `json:"cpu_ns"`
	Peak int64         `json:"peak_bytes"`

	// ChaosFrom is when the chaos began, on the clock of the history: what the times of faults
	// count from. Met says of each fault of the plan whether it met something.
	ChaosFrom time.Duration `json:"chaos_from_ns"`
	Met       []bool        `json:"met,omitempty"`
	// Bites says of each kind of fault how many were set, and how many of them met
	// something. Damage counts what the faults did all together: packets dropped, bytes
	// lost, processes killed. Points counts how often failpoints were passed.
	Bites  map[plan.Kind]Bite `json:"bites,omitempty"`
	Damage map[string]int64   `json:"damage,omitempty"`
	Points map[string]int     `json:"points,omitempty"`
}

// Bite counts faults of one kind.
type Bite struct {
	Set int `json:"set"`
	Bit int `json:"bit"`
}

// Problem is one reason why a run is not valid.
type Problem struct {
	// Rule names what was broken: a rule of a checker, or of the run ("liveness", "crash").
	Rule string `json:"rule"`
	Text string `json:"text"`
	// Unknown says that nothing was broken as far as it can be told, but it can not.
	Unknown bool `json:"unknown,omitempty"`
}
