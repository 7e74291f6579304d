// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"errors"
	"fmt"
	"time"
)

// Config says what the run promised.
type Config struct {
	// Strict says that levels which meet are kept to: no fault of the run took data from
	// replicas that had acknowledged it. Otherwise rules 3, 5 and 6 hold for final reads
	// only, and the rest is counted.
	Strict bool
	// Final says that each key must have been read in the last round of final reads.
	Final bool
	// MaxSiblings is how many siblings a read may show; 0: as many as there are writes. A run
	// without faults can promise no more than it has writers.
	MaxSiblings int
	// Linger is how long a request of unknown outcome may go on behind its client's back;
	// 0: for ever. A delete without context may cover what was written until then.
	Linger time.Duration
	// Skew is how far apart the clocks of two nodes may be, or one clock at two times: from
	// the write that says when a value ends to the read that finds it ended, clocks may have
	// gone so much more, or less, than the driver's. So much too early may a value with a time
	// to live be gone, and so much too late still be there, and no more.
	Skew time.Duration
	// Grain is what the store rounds its times up to: a value lives for its time at least,
	// and may be there so much longer still.
	Grain time.Duration
	// MinAvailable is the share of operations outside of outages that must be ok, of at
	// least MinOps operations.
	MinAvailable float64
	MinOps       int
	// KeepSessions says that no session that its client keeps alive may be lost.
	KeepSessions bool
	// MinGrants is how many locks must have been granted in a run that asks for any.
	MinGrants int
	// MaxLockOps and MaxLockUnsure bound the operations of one lock, and the attempts of
	// which something may take place at any time; LockTimeout the search for an order of all
	// locks together.
	MaxLockOps, MaxLockUnsure int
	LockTimeout               time.Duration
	// MaxWrites bounds the writes of one key.
	MaxWrites int
	// Keep is how many violations of each checker are told in full.
	Keep int
}

// DefaultConfig is for a run that ends with final reads, and whose clocks agree.
func DefaultConfig() Config {
	return Config{
		Strict: true, Final: true, MinAvailable: 0.8, MinOps: 50,
		Grain: time.Millisecond, MaxWrites: 16 << 10, Keep: 20, // 16 Ki writes of a key: 64 MB of bits
		// Legal histories of this size mostly take milliseconds, and illegal ones still end.
		MinGrants: 1, MaxLockOps: 300, MaxLockUnsure: 16, LockTimeout: 30 * time.Second,
	}
}

// Validate says all that is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("checker: "+format, args...))
		}
	}
	refuse(c.MaxSiblings < 0, "MaxSiblings is %d, must not be negative", c.MaxSiblings)
	const year = 365 * 24 * time.Hour
	refuse(min(c.Linger, c.Skew, c.Grain) < 0 || max(c.Linger, c.Skew, c.Grain) > year,
		"Linger is %v, Skew is %v, Grain is %v, must be 0 to %v", c.Linger, c.Skew, c.Grain, year)
	refuse(!(c.MinAvailable >= 0 && c.MinAvailable <= 1),
		"MinAvailable is %g, must be 0 to 1", c.MinAvailable)
	refuse(c.MinOps < 1, "MinOps is %d, must be at least 1", c.MinOps)
	refuse(c.MaxWrites < 1 || c.MaxWrites > 64<<10,
		"MaxWrites is %d, must be 1 to %d", c.MaxWrites, 64<<10)
	refuse(c.MinGrants < 0, "MinGrants is %d, must not be negative", c.MinGrants)
	refuse(c.MaxLockOps < 1 || c.MaxLockOps > 1<<12 || c.MaxLockUnsure < 0,
		"MaxLockOps is %d, must be 1 to %d; MaxLockUnsure is %d, must not be negative",
		c.MaxLockOps, 1<<12, c.MaxLockUnsure)
	refuse(c.LockTimeout <= 0 || c.LockTimeout > time.Hour,
		"LockTimeout is %v, must be above 0 and at most an hour", c.LockTimeout)
	refuse(c.Keep < 1, "Keep is %d, must be at least 1", c.Keep)
	return errors.Join(errs...)
}
