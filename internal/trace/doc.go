// SPDX-License-Identifier: Apache-2.0

// Package trace holds the events on which the promises hang: a dot was minted, a write
// was acknowledged, a hint was deleted. Checkers of a simulated or a real run read
// them; nothing in dyno acts on them, and they are no log.
//
// A [Tracer] belongs to one node and is handed to its shells. A nil *Tracer does
// nothing, and that is what a product build hands in:
//
//	s.trace.Emit(trace.Event{Kind: trace.Synced, Partition: p, Actor: a, Counter: n})
//
// Events carry plain integers and bytes, so that this package stands below the ones
// that speak of them. Which fields a kind fills stands beside the kind.
//
// # Invariants
//
//   - I1 A nil *Tracer costs one comparison and keeps nothing.
//   - I2 An event reaches the sink after what it tells of is true, in the goroutine that
//     made it true: an event of an answer comes before the answer can be seen.
//   - I3 Key, Request and Covers are lent for the call; a sink copies what it keeps.
//
// What it does not do: it stamps no time, orders no events of different goroutines, and
// buffers nothing but in a [Recorder]. A sink that needs more does it.
package trace
