// SPDX-License-Identifier: Apache-2.0

// Package versions is a map of keys to versions in memory: what an engine in memory, and
// the simulator's image of a disk, keep. A read at a timestamp sees the newest version at
// or below it.
//
// What is durable, its user knows and says (Durable): only so far do newer versions hide
// older ones, since a crash must still find what it leaves.
//
// # Invariants
//
//   - I1 A value is never changed in place, so clones share values.
//   - I2 Nothing that is handed in is kept, and what is handed out belongs to the caller.
//   - I3 A read at or above the discard timestamp sees the same before and after a discard.
//   - I4 Newest is the timestamp of the newest version that was put or that a crash left,
//     also where that was a deletion.
//
// A Map is for one goroutine at a time.
package versions
