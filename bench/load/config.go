// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store is what is put under load. Its methods are called by many goroutines at a time.
// Implementations copy what they keep of their arguments.
type Store interface {
	// Get reads a key. A key that is not there is no error.
	Get(ctx context.Context, key string) (Reply, error)
	// Put writes a key over the versions that seen covers; nil covers nothing.
	Put(ctx context.Context, key string, value, seen []byte) (Reply, error)
}

// Reply is what the next write of the same key has to know.
type Reply struct {
	Context  []byte // covers what was read or written
	Siblings int    // versions of the key, this one included
}

// Distribution tells which keys are asked for how often.
type Distribution string

const (
	// Uniform asks for all keys alike.
	Uniform Distribution = "uniform"
	// Zipfian asks for few keys often, as YCSB does (theta 0.99), spread over the space.
	Zipfian Distribution = "zipfian"
)

// Limits of a configuration.
const (
	maxClients = 10_000
	maxKeys    = 100_000_000
	maxRate    = 1_000_000
)

// Config describes a run.
type Config struct {
	// Clients is how many requests are under way at most, 1 to 10,000.
	Clients int
	// Rate is how many requests are due each second (open loop); 0 means that each client
	// sends as fast as it is answered (closed loop).
	Rate float64
	// Duration is how long is measured; Ops after how many requests it is enough. One of
	// them must be above 0; whichever comes first ends the run.
	Duration time.Duration
	Ops      uint64
	// WarmUp is how long requests run before anything is measured.
	WarmUp time.Duration
	// Keys is the size of the key space; each key is Prefix and ten digits.
	Keys   uint64
	Prefix string
	// ValueSize is the size of a value in bytes.
	ValueSize int
	// PutShare is the share of puts, 0 to 1; the rest are gets.
	PutShare     float64
	Distribution Distribution
	// Preload writes every key once before the run.
	Preload bool
	// Fresh says that no key with Prefix exists before the run, so that the first write
	// of a key need not read it.
	Fresh bool
	// ExpectedInterval corrects a closed loop for coordinated omission: the time between
	// two requests of a client while the store does not stall. 0: no correction.
	ExpectedInterval time.Duration
	// Timeout bounds each request.
	Timeout time.Duration
	// ServerPIDs are processes whose processor time and memory are reported.
	ServerPIDs []int
	// Seed makes keys, kinds and values repeat from run to run.
	Seed uint64
	// Classify names the code of a failed request, and whether its outcome is unknown.
	Classify func(err error) (code string, unknown bool)
	// Progress, where not nil, is called about four times a second, by one goroutine.
	Progress func(Progress)
}

// Progress tells how far a run has come.
type Progress struct {
	Phase    string  // "preload", "warm-up", "measure"
	Done     uint64  // requests that have ended in this phase
	Of       uint64  // how many there will be; 0 where only time tells
	Fraction float64 // 0 to 1
}

// Validate returns every fault of c, joined.
func (c *Config) Validate() error {
	var faults []error
	add := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	add(c.Clients >= 1 && c.Clients <= maxClients,
		"%d clients, must be 1 to %d", c.Clients, maxClients)
	add(c.Rate >= 0 && c.Rate <= maxRate, "rate %v, must be 0 to %d a second", c.Rate, maxRate)
	add(c.Duration > 0 || c.Ops > 0, "either a duration or a number of requests must be given")
	add(c.Duration >= 0, "duration %v must not be negative", c.Duration)
	add(c.WarmUp >= 0, "warm-up %v must not be negative", c.WarmUp)
	add(c.Keys >= 1 && c.Keys <= maxKeys, "%d keys, must be 1 to %d", c.Keys, maxKeys)
	add(c.ValueSize >= 0 && c.ValueSize <= maxValue,
		"values of %d bytes, must be 0 to %d", c.ValueSize, maxValue)
	add(c.PutShare >= 0 && c.PutShare <= 1, "share of puts %v, must be 0 to 1", c.PutShare)
	add(c.Distribution == Uniform || c.Distribution == Zipfian,
		"distribution %q, must be %s or %s", c.Distribution, Uniform, Zipfian)
	add(c.ExpectedInterval >= 0, "expected interval %v must not be negative", c.ExpectedInterval)
	add(c.ExpectedInterval == 0 || c.Rate == 0,
		"an expected interval corrects a closed loop; an open loop needs none")
	add(c.Timeout > 0, "timeout %v must be above 0", c.Timeout)
	add(c.Classify != nil, "a function that classifies errors is needed")
	return errors.Join(faults...)
}
