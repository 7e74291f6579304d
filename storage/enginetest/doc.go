// SPDX-License-Identifier: Apache-2.0

// Package enginetest is the one conformance suite of storage.Engine: what each engine
// must do, whoever wrote it. The engines of storage and those of the simulator run it.
//
//	enginetest.Run(t, func(t testing.TB) *enginetest.Subject { ... })
//
// # Invariants
//
//   - I1 Every check begins with an engine of its own, which is empty.
//   - I2 A check that can restart does so, and demands the same before and after.
//   - I3 It asks for nothing but what the comments of storage.Engine promise, so it can
//     not be used to test what one engine does beyond that.
//
// It starts no goroutine. What concerns crashes and faults is not in it: engines differ
// in what they lose, and their own tests say what that is.
package enginetest
