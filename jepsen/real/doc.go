// SPDX-License-Identifier: Apache-2.0

// Package real runs clusters of real processes on this machine, ends and pauses them, and
// records what clients see meanwhile, as a history for package checker.
//
// [Cluster] is some `dyno serve` processes, each with a directory of its own. [Locks] has
// clients fight over locks while faults come one after the other. A seed draws the same
// workload and the same faults each time; what comes of them is another matter.
//
// What must hold:
//
//   - I1 No process outlives its cluster's Close.
//   - I2 A fault begins when the one before is healed. A node that ends by itself is an error
//     of the run.
//   - I3 Times of the history are those of one clock that never goes back.
package real
