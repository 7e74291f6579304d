// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"runtime"
	"runtime/debug"
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
