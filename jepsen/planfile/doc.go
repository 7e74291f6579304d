// SPDX-License-Identifier: Apache-2.0

// Package planfile is how plans of faults are written, those of the simulator and those of
// real processes: JSON that people can read and edit, with durations as text.
//
// # Invariants
//
//   - I1 Reading is bounded and strict: more bytes than the reader wants, a field that it
//     does not know and a second value are errors.
//   - I2 What is written can be read.
//
// What it does not do: it knows no plan. Who reads one checks what it says.
//
// Goroutines: none.
package planfile
