// SPDX-License-Identifier: Apache-2.0

// Package plan says what one simulated run does, before it does it: how large the cluster
// is, how it is tuned, who loads it, and which faults come when. A Plan is a value that can
// be written down, read back and made smaller; running it is the business of sim/trial.
//
// Draw makes a plan from a seed. It is a swarm (Groce and others, "Swarm Testing", ISSTA
// 2012): each seed leaves out about half of the kinds of faults, so that some runs are all
// kills and others all slow disks. Kinds lists what there is.
//
// # Invariants
//
//   - I1 Draw depends on its arguments alone, and what it draws is valid.
//   - I2 A fault means the same whatever the others are: Shrink may drop any of them.
//   - I3 What the product, or the engine, can not do is not drawn: see Lacking and Needs.
//   - I4 Only the spare host loses what it has acknowledged. A plan with one asks for at
//     least two owners in each write, and reads one less than all at the end.
//
// What it does not do: it knows no cluster, and starts nothing.
package plan
