// SPDX-License-Identifier: Apache-2.0

// Package tally counts how large values are, on paths where nothing may cost more than an
// atomic add: sizes, and times in microseconds, in buckets that double.
//
// # Invariants
//
//   - I1 What was observed is in exactly one bucket, and in the sum.
//   - I2 Observe never waits, and allocates nothing.
//
// What it does not do: it forgets nothing; who wants the present takes differences. Count
// and sum are read one after the other, so that a value that is observed meanwhile may be
// in one of them.
//
// Goroutines: none.
package tally
