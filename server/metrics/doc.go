// SPDX-License-Identifier: Apache-2.0

// Package metrics shows what the rooms of a node count to Prometheus. It reads their
// counters when somebody scrapes, and keeps none of its own: what is counted on the way of
// a request is counted in the room that does the work, by an atomic add.
//
// [Families] is the list of all metrics, as docs/operations.md has it. What a node can not
// know yet, since it is no member or has no data, is left out of an answer rather than
// shown as zero.
//
// # Invariants
//
//   - I1 One registry for each node, and none that is global: a process may run many.
//   - I2 The number of series is bounded by members, methods, codes and kinds: no label has
//     a key, a bucket or anything else that clients choose.
//   - I3 A name that is not in Families is never emitted; a scrape that tries fails.
//
// What it does not do: it decides nothing, and whether a node is well is not its word.
//
// Goroutines: none beside the registry's, which end with each scrape.
package metrics
