// SPDX-License-Identifier: Apache-2.0

// Package fleet runs many plans, each in a process of its own, and says what they showed
// all together. Sweep goes through seeds, Shrink makes a red plan smaller, Mutants asks how
// soon known bugs are seen, CheckFile judges a history that was kept. It prints nothing.
//
// A [Runner] runs one plan. The one that counts is Children: it starts `dyno-jepsen child`,
// built by Build with the edited runtime (sim/overlay) where a Go toolchain and the source
// are at hand, and from the program that runs already otherwise.
//
// # Invariants
//
//   - I1 Whatever becomes of a process is a result: what panicked is invalid, what was too
//     slow or too large is unknown. An error of a Runner says that the rig itself failed.
//   - I2 Results come in the order of seeds, however many run at once; what a seed shows
//     does not depend on the others.
//   - I3 A process has its limits of time and memory, ends with its whole group, and leaves
//     nothing behind but what was asked for.
//   - I4 What was not shown is not valid: a sweep in which too little succeeded, or in which
//     faults met nothing, is unknown.
//
// # Goroutines
//
// A sweep has one that hands out seeds, and one for each process that runs; Sweep.Run waits
// for all of them. A process has one that looks at its memory, and ends with it.
package fleet
