// SPDX-License-Identifier: Apache-2.0

// Package mutant holds bugs of the product that can be switched on: what somebody might
// write at the places where promises hang, to see that the rig's checkers notice. They
// exist under the build tag "mutant" only; then one at most is on, by its name in the
// environment variable DYNO_MUTANT, or by Activate in a test:
//
//	if mutant.On(mutant.AckOneShort) {
//		w.need = max(1, w.need-1)
//	}
//
// In a plain build On is the constant false, so the compiler drops the block: `go tool nm`
// finds no symbol of this package in `dyno`, and its disassembly no branch of a mutant.
//
// [All] lists them in every build, with what should see each of them. A test holds the
// list and the product's code together.
//
// # Invariants
//
//   - I1 In a plain build nothing of this package allocates, branches or reads the
//     environment.
//   - I2 At most one mutant is on at a time.
//   - I3 A name that no mutant has ends the process at its start, with the names there are.
//
// Mutants of lines, which the tests of single rooms must kill, are another thing:
// internal/mutants.
package mutant
