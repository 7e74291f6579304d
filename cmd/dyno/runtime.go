// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// processors is how many threads may run Go code at once where n nodes share the
// process. A thread that waits for a sync of a memory map keeps its place until the
// runtime's monitor takes it away, which may last longer than the sync: with one place
// for each core, the committers of three nodes hold all of two while everything else
// waits (puts took twice as long). So each node has one more.
func processors(cores, n int) int { return cores + n }

// memoryLimit is the soft limit of n nodes, each of which may have so many bytes. Without
// one a burst of writes doubles what the stores really need, memtables above all.
func memoryLimit(each uint64, n int) int64 {
	if each == 0 || each > uint64(math.MaxInt64/n) {
		return math.MaxInt64 // what Go calls no limit
	}
	return int64(each) * int64(n)
}

// tuneRuntime fits Go's runtime to n nodes. What the environment says goes before it.
func (a *app) tuneRuntime(n int, memory uint64) {
	if a.getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors(runtime.GOMAXPROCS(0), n))
	}
	if a.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(memory, n))
	}
}

const (
	// idlePeriod is how long a process has to be idle before its memory is given back.
	idlePeriod = 10 * time.Second
	// idleBytes is what an idle process may allocate in that time: gossip, timers, and a
	// request now and then.
	idleBytes = 16 << 20
)

// trimWhenIdle gives memory back to the system once after each time of work, until ctx
// ends. By itself Go would keep what a burst needed for minutes, since an idle process
// collects no garbage.
func trimWhenIdle(ctx context.Context, allocated func() uint64, trim func()) {
	tick := time.NewTicker(idlePeriod)
	defer tick.Stop()
	before, trimmed := allocated(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		idle := now-before < idleBytes
		if idle && !trimmed {
			trim()
		}
		before, trimmed = now, idle
	}
}

// allocatedBytes counts what was allocated on the heap since the process began.
func allocatedBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
