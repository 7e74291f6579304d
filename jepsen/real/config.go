// SPDX-License-Identifier: Apache-2.0

package real

import (
	"fmt"
	"time"
)

// LeastLockNodes and LeastRepairNodes are how many nodes the two kinds of runs need: a group
// that loses one and goes on, and one node more than a key has owners.
const (
	LeastLockNodes   = 3
	LeastRepairNodes = replicas + 1

	mostNodes = 9
)

// Config says how real nodes are put to the test.
type Config struct {
	// Binary is the dyno program, Dir an empty folder for the nodes.
	Binary, Dir string
	// Nodes is how many there are, 9 at most.
	Nodes int
	Seed  uint64
	// Duration is how long faults come.
	Duration time.Duration
	// Tell is told what goes on; nil: nobody is.
	Tell func(string)
}

func (c *Config) tell(s string) {
	if c.Tell != nil {
		c.Tell(s)
	}
}

// Check says what is wrong with c, for a run that needs so many nodes.
func (c *Config) Check(least int) error {
	switch {
	case c.Nodes < least || c.Nodes > mostNodes:
		return fmt.Errorf("real: %d nodes, must be %d to %d", c.Nodes, least, mostNodes)
	case c.Duration < time.Second || c.Duration > time.Hour:
		return fmt.Errorf("real: %v of faults, must be 1s to 1h", c.Duration)
	}
	return nil
}
