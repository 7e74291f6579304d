// SPDX-License-Identifier: Apache-2.0

// Command dyno-jepsen looks for wrong answers of dyno: it runs whole clusters, in simulated
// time or as processes, under faults that a seed draws, and judges what their clients saw.
//
//	dyno-jepsen sim --seeds 200       many seeds, each in a process of its own
//	dyno-jepsen replay --seed 17      one of them again
//	dyno-jepsen shrink plan.json      and what matters of it
//	dyno-jepsen locks --seconds 60    real processes, and their locks
//	dyno-jepsen repair --seconds 60   and their stores, which they lose
//	dyno-jepsen report DIR            what a run left, as one HTML file
//
// It is a binary of its own so that the product stays lean. What it does is in sim/fleet
// and jepsen/real; here are flags and what people read. Read app.go first, then sim.go.
//
// What must hold:
//
//   - I1 The exit code is the verdict: 0 valid, 1 a rule was broken, 2 nobody can tell,
//     which is red as well. A wrong command line ends with 64.
//   - I2 Results go to standard output, progress and errors to standard error. JSON is
//     stable: it has a version, fields are added, and none changes its meaning.
//   - I3 Each red seed comes with the command that runs it again.
package main
