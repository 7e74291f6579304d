// SPDX-License-Identifier: Apache-2.0

// Package budget is what all background work of a node shares: so many bytes a second,
// fewer while clients wait longer than they did before (DeCandia et al., "Dynamo", 2007,
// section 6.5). Handoff, exchange, scrub and transfer take from one [Shared] before they
// move data; the server tells a [Meter] how long clients waited, and its 99th percentile
// is shown to the budget about once a second.
//
// # Invariants
//
//   - I1 Over any time, what was granted is at most the burst, the rate times the time, and
//     one piece: a piece larger than the burst is let through, and paid for afterwards.
//   - I2 The rate is never below Least, nor above Rate: background work always goes on,
//     since what it mends may be all that stands between a second failure and a loss.
//   - I3 Of two who wait the first is served first: none starves.
//   - I4 While there are clients the rate is at most a quarter above what was moved lately,
//     or a little above Least: after a rest nothing is moved at a rate that they have not
//     been asked about.
//
// What it does not do: it knows nothing of what is moved but its size, and bounds no memory.
//
// Goroutines: none; who takes waits in its own.
package budget
