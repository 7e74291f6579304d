// SPDX-License-Identifier: Apache-2.0

// Package workload draws what clients of a cluster do, does it through any client, and
// records it as a history (package history) that the checkers can judge.
//
// A [Workload] draws [Step]s; it is a value, and the same source of chance draws the same
// steps from it. A [Session] does them, one after the other, through a [Store]: the little
// that a workload needs of a client. [Run] does some of them.
//
//	Register  keys with siblings: reads, writes over what was read before, blind writes,
//	          deletes with and without context; DrawDeletes draws one of many deletes
//	Set       keys whose values hold elements: an add reads, joins the siblings, and
//	          writes over them
//	Counter   keys whose values hold a part for each client, which only grows: an
//	          increment reads, takes the newest of each part, adds to its own, and writes
//	          over what it read
//	Sessions  registers at levels that all meet, through one node after the other
//	Expiry    registers whose values end, read around their ends
//
// [Draw] draws one by its name, within what a plan asks for.
//
// [Locks] is a workload of another kind: its [LockStep]s are attempts at locks, done by the
// [LockHolder]s of [LockClient]s through a [LockService]. The holders of one client share its
// session, which one of them opens, closes, leaves and replaces. [RunLocks] does some steps.
//
// # Invariants
//
//   - I1 No value is written twice in a run whose sessions have clients of their own.
//
//   - I2 A write is sent with a context exactly if its operation is not blind; then the
//     operation lists all that the context came from.
//
//   - I3 Every operation that was begun is recorded once, also where its session was ended
//     meanwhile. One that can not be recorded, or shows what no session has written, is an
//     error of the run.
//
//   - I4 A session's part of a counter holds all its increments that may have been done, so
//     it never goes back and counts none twice, also where an outcome was unknown.
//
//   - I5 What is kept for a session is bounded by the keys that its steps name.
//
//   - I6 No attempt at a lock has the number of another one of its session, and a lock that
//     was asked for often, or has unknown outcomes, gets a new name ([LockNames]), so that
//     its history can be searched.
//
//   - I7 What an operation says of the client's belief (history.Lock.Lost) was so when it
//     began.
//
// What it does not do: it sets no faults, and judges nothing.
package workload
