// SPDX-License-Identifier: Apache-2.0

// Package clock makes programs whose wall clock can be set while they run, without the
// machine's being touched: time namespaces of Linux do not shift it.
//
// [Build] builds a program with an edited package time (edits.go; sim/overlay applies them,
// and refuses a toolchain that they were not written for). Such a program asks the
// environment for a file, maps it, and adds the eight bytes in it to what [time.Now] says.
// [Clock] is that file.
//
// # Invariants
//
//   - I1 Only the wall clock is off: time.Since, timers and deadlines go on as if it had been
//     set, which is what settimeofday does to a program.
//   - I2 Without the variable such a program behaves like any other; with a file that it can
//     not map it does not start.
//   - I3 The program under test has no line for it.
//
// What it does not do: the kernel's own times, of files for example, stay right; so does all
// that is not asked of package time.
//
// Goroutines: none.
package clock
