// SPDX-License-Identifier: Apache-2.0

// Package history is the one format of what clients of a cluster did and saw: for the
// simulator and for real processes. Drivers record it, checkers judge it.
//
// A [History] has a [Header], operations and events. An operation ([Op]) is one request
// of one process with the times between which it ran and what became of it. An event
// ([Event]) is something that was done to the cluster meanwhile.
//
// Each write has a value of its own ([Value]): who wrote it, and the how-manieth of that
// client's writes it is. What a write overwrites is told by values too: Op.Context lists
// those of the read, or the write, whose context it was sent with. From these lists
// alone a checker knows which write may take the place of which.
//
// Operations on locks and sessions have an [Op.Lock] beside the rest. A session is named by
// its driver and may be used by several processes; what is held is held by one attempt
// (Lock.Holder) of it.
//
// # Encoding
//
// JSON, one line each, so that a run that was killed leaves a readable file:
//
//	{"header":{"version":1,"n":3,...}}
//	{"op":{"p":4,"kind":"put","key":"k1","from":1000,"to":2500,"outcome":"ok",...}}
//	{"event":{"from":0,"until":5000,"name":"partition",...}}
//	{"end":{"ops":1,"events":1}}
//
// Operations stand in the order in which their processes ended them: two operations of
// one process never change places. The last line tells a whole file from one that was
// cut ([ErrCut]).
//
// # Invariants
//
//   - I1 Decoding is bounded: the line, the lists in it, and the number of operations that
//     [ReadAll] takes. A field that this version does not know is an error.
//   - I2 What is written can be read: [Writer] refuses what [Reader] would.
//   - I3 Times are nanoseconds on one clock, that of the driver: Invoked <= Completed, also
//     for an operation of unknown outcome, where Completed is when its client gave up.
//   - I4 A process has one operation at a time.
//
// What it does not do: it judges nothing. Whether values are unique, and whether times of
// a process overlap, is for package checker to say.
package history
