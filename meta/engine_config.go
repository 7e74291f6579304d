// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"
	"time"
)

// EngineConfig bounds the raft group. All members should have the same.
type EngineConfig struct {
	// Tick is the unit of the group's time.
	Tick time.Duration
	// HeartbeatTicks is how often the leader speaks; ElectionTicks how long a seat waits for
	// it before it asks for votes. At least twice HeartbeatTicks.
	HeartbeatTicks, ElectionTicks int
	// DeadAfter is how long a voter may be silent before another member takes its seat.
	DeadAfter time.Duration
	// RefusedAfter is the same for a voter whose store was rolled back or copied.
	RefusedAfter time.Duration
	// StallAfter is how long one write may take before the process ends.
	StallAfter time.Duration
	// SnapshotEntries is after how many entries a snapshot is written; half as many entries
	// stay in the log behind it, for seats that lag.
	SnapshotEntries uint64
	// HashEvery is at which indexes the seats compare their states: all that it divides.
	HashEvery uint64
}

// DefaultEngineConfig is for members in one region.
func DefaultEngineConfig() EngineConfig {
	return EngineConfig{
		Tick: 100 * time.Millisecond, HeartbeatTicks: 1, ElectionTicks: 10,
		DeadAfter: time.Minute, RefusedAfter: 10 * time.Second, StallAfter: 30 * time.Second,
		SnapshotEntries: 8192, HashEvery: 4096,
	}
}

// Validate returns all that is wrong with c, joined.
func (c EngineConfig) Validate() error {
	var faults []error
	check := func(ok bool, text string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("meta: "+text, args...))
		}
	}
	check(c.Tick >= time.Millisecond, "a tick of %v is too short: 1 ms at least", c.Tick)
	check(c.HeartbeatTicks >= 1, "%d heartbeat ticks; 1 at least", c.HeartbeatTicks)
	check(c.ElectionTicks >= 2*c.HeartbeatTicks,
		"%d election ticks; twice the heartbeat ticks at least", c.ElectionTicks)
	election := c.Tick * time.Duration(c.ElectionTicks)
	check(c.DeadAfter >= 2*election, "a voter is dead after %v; 2 elections (%v) at least",
		c.DeadAfter, 2*election)
	check(c.RefusedAfter >= 2*election, "a refused voter is replaced after %v; 2 elections (%v) "+
		"at least", c.RefusedAfter, 2*election)
	check(c.StallAfter >= election, "a write stalls after %v; an election (%v) at least",
		c.StallAfter, election)
	check(c.SnapshotEntries >= 16, "a snapshot every %d entries; 16 at least", c.SnapshotEntries)
	check(c.HashEvery >= 1, "states are compared every %d entries; 1 at least", c.HashEvery)
	return errors.Join(faults...)
}
