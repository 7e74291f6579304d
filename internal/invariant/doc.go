// SPDX-License-Identifier: Apache-2.0

// Package invariant holds assertions about the program itself: what must be true
// unless somebody here made a mistake. It is for nothing that comes from a peer, a
// client or a disk; those get errors.
//
// Assertions are on in tests with the race detector and under the build tag
// "invariants", and do not exist in a plain build:
//
//	if invariant.Enabled {
//		invariant.Check(sorted(dots), "dots of an object are in order")
//	}
//
// Write the guard where the condition costs something to work out: Enabled is a
// constant, so the compiler drops the block. Where the condition is a comparison,
// Check alone will do.
//
// # Invariants
//
//   - I1 In a plain build nothing of this package allocates, branches or panics.
//   - I2 A check that fails panics with a *[Broken]; nothing else here panics.
package invariant
