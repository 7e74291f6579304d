// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/planfile"
)

// Version is that of the encoding.
const Version = 1

// ErrInvalid is returned for what is no plan.
var ErrInvalid = errors.New("plan: invalid")

// Plan is one run.
type Plan struct {
	Version int `json:"version"`
	// Seed draws what the plan leaves open: delays, keys, values, incarnations.
	Seed    uint64  `json:"seed"`
	Cluster Cluster `json:"cluster"`
	Engine  Engine  `json:"engine"`
	// Grouped says that the nodes run their metadata group; else one stands in for it.
	Grouped bool `json:"grouped,omitempty"`
	// Link is what every link does all the time; Sync is what a sync takes.
	Link Link `json:"link"`
	Sync Span `json:"sync"`
	// Knobs tune the product; what is 0 is as the product has it.
	Knobs Knobs `json:"knobs"`
	// SeededOrder lets the seed choose which of its goroutines runs next.
	SeededOrder bool `json:"seeded_order,omitempty"`
	// Chaos is how long the loads run while the faults come.
	Chaos Span   `json:"chaos"`
	Loads []Load `json:"loads"`
	// Faults are in the order in which they begin.
	Faults []Fault `json:"faults"`
	// Spare is the number of the host whose disk may lose what it holds; 0: none.
	Spare int `json:"spare,omitempty"`
	// Core are the numbers of the hosts that must serve while all others are gone.
	Core []int `json:"core"`
}

// Cluster is the size of a cluster.
type Cluster struct {
	Nodes      int `json:"nodes"`
	Replicas   int `json:"replicas"`
	Partitions int `json:"partitions"`
}

// Majority is what a quorum of the replicas needs.
func (c Cluster) Majority() int { return c.Replicas/2 + 1 }

// Needed is how many nodes must be there so that every key has a majority.
func (c Cluster) Needed() int { return c.Nodes - (c.Replicas - c.Majority()) }

// Engine names what stands for the disk.
type Engine string

// The engines.
const (
	EngineDisk   Engine = "disk"   // the simulated disk
	EngineMemory Engine = "memory" // Badger in memory: nothing outlives its process
	EngineTmpfs  Engine = "tmpfs"  // Badger in a directory
)

// Link is what a link does.
type Link struct {
	Delay  Span    `json:"delay"`
	Jitter Span    `json:"jitter"`
	Loss   float64 `json:"loss,omitempty"`
}

// Knobs are bounds and periods of the product. Zero leaves the product's own.
type Knobs struct {
	Shards       int  `json:"shards,omitempty"`
	QueueOps     int  `json:"queue_ops,omitempty"`
	BatchOps     int  `json:"batch_ops,omitempty"`
	AheadBytes   int  `json:"ahead_bytes,omitempty"`
	CacheBytes   int  `json:"cache_bytes,omitempty"`
	JournalNotes int  `json:"journal_notes,omitempty"`
	MaxRepairs   int  `json:"max_repairs,omitempty"`
	MaxRequests  int  `json:"max_requests,omitempty"`
	SendTimeout  Span `json:"send_timeout,omitempty"`
	Timeout      Span `json:"timeout,omitempty"`
	TryTimeout   Span `json:"try_timeout,omitempty"`
	Attempts     int  `json:"attempts,omitempty"`
	Probe        Span `json:"probe,omitempty"`
	// HintBytes is what a node keeps for others, HintAfter how soon it is asked to.
	HintBytes int  `json:"hint_bytes,omitempty"`
	HintAfter Span `json:"hint_after,omitempty"`
	// Tick to DeadAfter are of the metadata group, SessionTTL of its sessions.
	Tick            Span `json:"tick,omitempty"`
	SnapshotEntries int  `json:"snapshot_entries,omitempty"`
	HashEvery       int  `json:"hash_every,omitempty"`
	DeadAfter       Span `json:"dead_after,omitempty"`
	SessionTTL      Span `json:"session_ttl,omitempty"`
	// Exchange is how often replicas are compared.
	Exchange Span `json:"exchange,omitempty"`
	// Purge is the age from which on tombstones go; no request takes more than half of it.
	Purge Span `json:"purge,omitempty"`
	// SmallTables lets Badger flush and compact within a run.
	SmallTables bool `json:"small_tables,omitempty"`
}

// Load is one workload and those who run it.
type Load struct {
	// Kind is one of jepsen/workload's.
	Kind string `json:"kind"`
	// Sessions do Steps each, Pause apart on average.
	Sessions int  `json:"sessions"`
	Steps    int  `json:"steps"`
	Pause    Span `json:"pause"`
}

// Fault is something that is done to the cluster.
type Fault struct {
	Kind Kind `json:"kind"`
	// At is when it begins, from the beginning of the chaos on; For how long it lasts.
	At  Span `json:"at"`
	For Span `json:"for,omitempty"`
	// Hosts are the numbers of those whom it meets. The first is the victim; of
	// partitions, Hosts is one side.
	Hosts []int `json:"hosts,omitempty"`
	// N, Share and By say how hard it is; Kinds tells what each means.
	N     int     `json:"n,omitempty"`
	Share float64 `json:"share,omitempty"`
	By    Span    `json:"by,omitempty"`
	// Point is a failpoint.
	Point string `json:"point,omitempty"`
}

// End is when it is over.
func (f *Fault) End() time.Duration { return time.Duration(f.At + f.For) }

// Skew is how far the wall clocks of two hosts may be apart in this run, or that of one
// host from itself or from the driver's: the sum of what sets a host's clock forward is as
// far ahead as it gets, and that of what sets it back as far behind.
func (p *Plan) Skew() time.Duration {
	var most, least time.Duration
	for h := 1; h <= p.Cluster.Nodes; h++ {
		ahead, behind := p.offsets(h)
		most, least = max(most, ahead), min(least, behind)
	}
	return most - least
}

// offsets bounds how far ahead of the driver's a host's clock gets, and how far behind.
func (p *Plan) offsets(host int) (ahead, behind time.Duration) {
	for i := range p.Faults {
		f := &p.Faults[i]
		if len(f.Hosts) == 0 || f.Hosts[0] != host {
			continue
		}
		var by time.Duration
		switch f.Kind {
		case ClockStep, ClockStrobe:
			by = time.Duration(f.By)
		case ClockDrift: // N parts per million; it may end a little late
			const late = time.Minute
			by = (time.Duration(f.For) + late) / time.Millisecond * time.Duration(f.N)
		}
		ahead, behind = ahead+max(by, 0), behind+min(by, 0)
	}
	return ahead, behind
}

func abs(s Span) time.Duration { return time.Duration(max(s, -s)) }

// Has reports whether a fault of that kind is in the plan.
func (p *Plan) Has(k Kind) bool {
	return slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Kind == k })
}

// Span is a time.Duration that is written as text.
type Span = planfile.Span

// Write writes p, to be read by people too.
func Write(w io.Writer, p *Plan) error {
	return planfile.Write(w, p)
}

// maxBytes bounds a written plan: some thousand faults.
const maxBytes = 1 << 20

// Read reads a plan and checks it.
func Read(r io.Reader) (*Plan, error) {
	p := &Plan{}
	if err := planfile.Read(r, maxBytes, p); errors.Is(err, planfile.ErrMalformed) {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	} else if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return p, p.Validate()
}

// Clone returns a copy that shares nothing.
func (p *Plan) Clone() *Plan {
	twin := *p
	twin.Loads, twin.Faults = slices.Clone(p.Loads), slices.Clone(p.Faults)
	twin.Core = slices.Clone(p.Core)
	for i := range twin.Faults {
		twin.Faults[i].Hosts = slices.Clone(p.Faults[i].Hosts)
	}
	return &twin
}
