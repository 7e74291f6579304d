// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/network"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

const (
	// replicas is how many copies of a key there are.
	replicas = 3
	// LocksWorkload is the workload that fights over locks, beside those of workload.Kinds.
	LocksWorkload = "locks"

	leastNodes, mostNodes = 3, 9
	// MaxRate bounds Config.Rate.
	MaxRate = 100_000
	// maxOps bounds a history.
	maxOps = 4 << 20
)

// Config says what a run is.
type Config struct {
	// Binary is the dyno program, Old another version of it for upgrades, or empty.
	Binary, Old string
	// Clocks says that Binary takes its wall clock from outside (package clock).
	Clocks bool
	// Points are the failpoints of Binary; none, where it is not built to be killed at them.
	Points []string
	// Environ is added to what nodes find in their environment.
	Environ []string
	// Dir is an empty folder for what the run leaves.
	Dir   string
	Nodes int
	Seed  uint64
	// Duration is how long the plan takes.
	Duration time.Duration
	// Workloads are some of Workloads(); none: all.
	Workloads []string
	// Groups and Kinds are the faults that are wanted; none of both: all. Without leaves
	// some out. Peace is no fault at all.
	Groups  []nemesis.Group
	Kinds   []nemesis.Kind
	Without []nemesis.Kind
	Peace   bool
	// Plan is played in place of one that is drawn.
	Plan *nemesis.Plan
	// Rate is how many operations a second are aimed at.
	Rate int
	// Network asks for one mode of a network; "": the best there is.
	Network network.Mode
	// Plain has nodes run on this machine's loopback device and disk, whatever it could do.
	Plain bool
	// Tell is told what goes on; nil: nobody is.
	Tell func(string)
}

// Workloads are the names of all workloads.
func Workloads() []string { return append(workload.Kinds(), LocksWorkload) }

// Check says what is wrong with c.
func (c *Config) Check() error {
	switch {
	case c.Nodes < leastNodes || c.Nodes > mostNodes:
		return fmt.Errorf("rig: %d nodes, must be %d to %d", c.Nodes, leastNodes, mostNodes)
	case c.Duration < nemesis.LeastDuration || c.Duration > 12*time.Hour:
		return fmt.Errorf("rig: a run takes %v to 12h, not %v", nemesis.LeastDuration, c.Duration)
	case c.Rate < 1 || c.Rate > MaxRate:
		return fmt.Errorf("rig: %d operations a second, must be 1 to %d", c.Rate, MaxRate)
	}
	for _, w := range c.Workloads {
		if !slices.Contains(Workloads(), w) {
			return fmt.Errorf("rig: there is no workload %.40q; there are %v", w, Workloads())
		}
	}
	return nil
}

func (c *Config) workloads() []string {
	if len(c.Workloads) == 0 {
		return Workloads()
	}
	return c.Workloads
}

func (c *Config) tell(format string, args ...any) {
	if c.Tell != nil {
		c.Tell(fmt.Sprintf(format, args...))
	}
}
