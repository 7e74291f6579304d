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
// # A bug that no run can show
//
// M17 asks for leases that go on over a change of leaders, which is [LeasesGoOn], and for
// what a deposed leader has decided taking effect later. The latter would be a command that
// ends sessions and counts whatever term it was proposed in (LOCKS R4), and it has no
// mutant: in no entry of a group are the term of such a command and that of the entry two.
// Only a leader's own loop appends one, in the term in which it leads. What waits for a
// loop that has ceased to lead is refused before the loop can lead again, and who decides
// which sessions end ends with the term. An entry may be committed late, by the leader
// after: but nobody had renewed those sessions for all of their time when it was proposed,
// and a new leader takes renewals only after it has applied all entries before its own
// first, so that no client is told of a session that such an entry ends. The check is there
// for a leader that is written in another way some day; the tests of package locks and of
// package meta hold it, with commands that no leader would propose.
//
// Mutants of lines, which the tests of single rooms must kill, are another thing:
// internal/mutants.
package mutant
