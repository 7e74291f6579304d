// SPDX-License-Identifier: Apache-2.0

// Package rig puts a cluster of real processes to the test as a whole: all workloads at once,
// while a plan of faults (package nemesis) is played on its processes, its network, its disks
// and its clocks, and judges what came of it.
//
// [Play] is one run: it opens the best surroundings that the system allows, draws the plan of
// what they can do, loads the cluster, plays, heals, waits until all copies agree, reads all
// keys through every node, and writes the history as it comes. Keys are used for a while and
// then left for new ones, so that none has more writes than its checker takes; all are read in
// the end.
//
// What must hold:
//
//   - I1 Everything is over when Play returns: processes, mounts, namespaces, goroutines.
//   - I2 A node that ends by itself is an error of the run, unless the fault that it met
//     explains it: then the fault starts it again.
//   - I3 A fault that could not be played, or met nothing, is told as such.
//   - I4 One fault at a time holds a node: a later one waits for it for a while, and is left
//     out where that is too long.
//   - I5 Every wait is bounded.
package rig
