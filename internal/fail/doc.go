// SPDX-License-Identifier: Apache-2.0

// Package fail holds failpoints: named places in a shell where a test makes things go
// wrong. A [Set] is handed to the shells of one node, so that two nodes in one process
// fail apart; a nil *Set does nothing, and that is what a product build hands in.
//
// In a shell:
//
//	if err := s.fail.Hit("storage/commit-before-sync"); err != nil {
//		return fmt.Errorf("commit: %w", err)
//	}
//
// In a test, the third hit from now on fails, once:
//
//	points := fail.NewSet()
//	points.Arm("storage/commit-before-sync", fail.Plan{Skip: 2, Times: 1, Err: io.ErrShortWrite})
//
// A point is a constant "room/what-is-about-to-happen". Points need no registration:
// [Set.Hits] tells a test whether the place was reached at all. Each room lists its own
// as [Point] values, which say what may be done at each.
//
// # Invariants
//
//   - I1 A nil *Set counts nothing, waits for nothing and returns nil.
//   - I2 Hits of one point are counted in one order; a plan sees each exactly once.
//   - I3 No lock is held while a hook runs: it may wait, sleep in a synctest bubble, or
//     arm other points.
//
// What it does not do: it knows no point by name, starts no goroutine and uses no clock.
package fail
