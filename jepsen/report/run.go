// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
)

// RunVersion is that of run.json. Fields are added, and none changes its meaning.
const RunVersion = 1

// ErrRun is returned for what is no run.json of this version.
var ErrRun = errors.New("report: no run")

// Run says what a run was, beside what its clients saw. All but Version may be empty.
type Run struct {
	Version int `json:"version"`
	// Command repeats the run.
	Command string `json:"command,omitempty"`
	Seed    uint64 `json:"seed"`
	// Commit and Toolchain are those of the nodes' binary.
	Commit    string `json:"commit,omitempty"`
	Toolchain string `json:"toolchain,omitempty"`
	// Mode is how the nodes were kept apart: "switch", "rules", "proxy", "simulated". Lacks are
	// the kinds of faults which that mode can not do.
	Mode  string   `json:"mode,omitempty"`
	Lacks []string `json:"lacks,omitempty"`
	// Workload and Nemesis are what the run was asked for, Nodes is how many there were.
	Workload string        `json:"workload,omitempty"`
	Nemesis  string        `json:"nemesis,omitempty"`
	Nodes    int           `json:"nodes,omitempty"`
	Started  time.Time     `json:"started,omitzero"`
	Duration time.Duration `json:"duration_ns,omitempty"` // of the faults
	// Settings are whatever else was drawn or asked for.
	Settings []Setting `json:"settings,omitempty"`
	// Faults are what was done, in the order of their beginning.
	Faults []Fault `json:"faults,omitempty"`
	// Plan is the plan as it was drawn; this package does not look into it.
	Plan json.RawMessage `json:"plan,omitempty"`
	// Judged is what the run itself found beside the checkers of histories, and what no
	// history can show again: convergence, copies that differ. A later check keeps it.
	Judged []checker.Result `json:"judged,omitempty"`
}

// Setting is a name and a value for people.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Fault is one fault as it was carried out. Times are on the clock of the history.
type Fault struct {
	Kind   string   `json:"kind"`
	Nodes  []string `json:"nodes,omitempty"`
	From   int64    `json:"from"`
	Until  int64    `json:"until"`
	Detail string   `json:"detail,omitempty"`
	// Bit says that it met something: packets that it dropped, a process that it killed.
	Bit bool `json:"bit"`
	// Counts are what it met.
	Counts []Count `json:"counts,omitempty"`
	// Error is why it could not be carried out, or healed.
	Error string `json:"error,omitempty"`
}

// Count is how often, or how much, something was met.
type Count struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

// Bounds of a run.json.
const (
	maxRunBytes = 64 << 20
	maxFaults   = 1 << 16
)

// Check says why r is no run that this version can use.
func (r *Run) Check() error {
	switch {
	case r.Version != RunVersion:
		return fmt.Errorf("%w: it is of version %d, this is %d", ErrRun, r.Version, RunVersion)
	case len(r.Faults) > maxFaults:
		return fmt.Errorf("%w: %d faults, at most %d are told", ErrRun, len(r.Faults), maxFaults)
	}
	for i := range r.Faults {
		if f := &r.Faults[i]; f.Kind == "" || f.From > f.Until {
			return fmt.Errorf("%w: fault %d (%.40q) needs a kind, and must not end before it begins",
				ErrRun, i, f.Kind)
		}
	}
	return nil
}
