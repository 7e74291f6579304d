// SPDX-License-Identifier: Apache-2.0

// Package whitebox judges a run by what its nodes say of themselves (internal/trace),
// where the black-box checkers judge it by what its clients saw. A bug shows here at the
// moment at which a promise is broken, whether or not chance lets a client see it.
//
//	checker := whitebox.New()
//	cfg.Trace = trace.New(number, checker.Process(number)) // for each process that starts
//	...
//	for _, v := range checker.Verdict() { fmt.Println(v) }
//
// # The rules
//
//   - unique-dot: a dot is minted once, in the whole life of the cluster, for one key and
//     one request. No version has another's dot, nor one that nobody minted.
//   - acknowledged-by-w: at the moment of an acknowledgement as many distinct nodes as the
//     write had to reach have a durable object, or a hint, that covers its dot; a store that is
//     being filled after a loss is none of them.
//   - grows: what the durable object of a key covers, at one node, never becomes less,
//     unless the node's disk was wiped or an older copy put in its place: [Checker.Wiped].
//   - removed: an object that a node removes holds nothing but tombstones. Buckets are not
//     deleted in a run that is judged.
//   - refill: no owner is copied into a store that was lost before it is fenced, and no such
//     store takes itself for full before it has fenced itself, where it has copied others, and
//     was reported.
//   - entry-by-majority: when a seat of the metadata group takes an entry for committed, a
//     majority of its voters has it durably, but for one that was added meanwhile.
//   - same-entry: no seat takes another entry for committed under an index than the first
//     that did.
//
// What a node has lost with its power it must not have called durable, so a power loss
// excuses nothing and is not told to the checker.
//
// # Invariants
//
//   - I1 Events are judged in the order in which they are taken. A node tells of a commit
//     before it answers on the strength of it, so that order is enough.
//   - I2 A process that has been followed by another of its node, or whose disk was wiped,
//     is not heard any more: it reaches nobody, and what it says of its disk is old.
//   - I3 Memory is bounded by the dots, keys and entries of the run, and by its nodes.
//   - I4 No rule is green for want of events: an acknowledgement without a demand, or of
//     a dot that was never minted, is a violation. So a checker must hear from the start.
//
// What it does not do: it knows no clock and no seed, and does not judge values.
//
// # Goroutines
//
// None of its own.
package whitebox
