// SPDX-License-Identifier: Apache-2.0

// Package nemesis says what is done to a cluster of real processes, and when: the kinds of
// faults ([Kinds]), and a plan of them that a seed draws ([Draw]), as a value that can be kept
// and played again. It does nothing itself.
//
// A plan begins and ends in peace, and rests now and then; between that a fault begins every
// few seconds, and two or three are there at a time. Kinds come from a shuffled deck: each that
// the environment can do comes before one comes twice, but for some that need no node of their
// own, which fill the time in which the others wait for one.
//
// # Invariants
//
//   - I1 What is drawn is valid, and a plan less some of its faults is.
//   - I2 A node has one fault of its process, disk or data at a time: what is dead can not be
//     paused. Faults of the network, of clocks and of the load go beside them.
//   - I3 But for faults that meet everybody, marked as outages, fewer than half of the nodes
//     have such a fault at a time, and one of three.
//   - I4 One node only may lose what it has stored, the spare one: an acknowledgement
//     promises as many copies as were asked for, less one, through that (ARCHITECTURE 1).
//   - I5 Every fault is over some seconds before the plan is.
//
// Goroutines: none. It reads no clock.
package nemesis
