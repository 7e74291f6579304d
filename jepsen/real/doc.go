// SPDX-License-Identifier: Apache-2.0

// Package real runs clusters of real processes on this machine, does to them what happens
// to processes and their directories, and records what clients see meanwhile, as a history
// for package checker.
//
// [Cluster] is some `dyno serve` processes, each with a directory of its own: they can be
// stopped, killed, paused, started elsewhere, and their directories saved, put back and
// wiped. [Locks] has clients fight over locks, and others read and write, while faults come
// one after the other; [Measure] says what only real time shows. [Repair] has nodes miss
// writes and lose their stores instead, and [JudgeCopies] compares what they hold in the end.
// A seed draws the same workload and the same faults each time; what comes of them is
// another matter.
//
// What must hold:
//
//   - I1 No process outlives its cluster's Close. Each has one goroutine, which waits for it
//     and ends with it.
//   - I2 A fault begins when the one before is healed, and all nodes are ready again. A node
//     that ends by itself is an error of the run.
//   - I3 Times of the history are those of one clock that never goes back.
//   - I4 Every wait is bounded, and says what it waited for.
//
// It does not cut nodes off from each other: for that they need networks of their own.
package real
