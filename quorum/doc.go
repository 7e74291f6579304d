// SPDX-License-Identifier: Apache-2.0

// Package quorum counts the answers to one read or one write over the slots of a
// partition, and says whether enough have come, may still come, or can not come any
// more (Dynamo 4.5 and 4.6; ARCHITECTURE 4). It is a core: values with methods, no
// goroutine, channel, lock, I/O, log or clock.
//
// A caller starts a [Write] or a [Read] with a [Spec], asks whoever Next names, gives
// each answer to Add, and acts on the first [Decision] that is not [Pending]:
//
//   - Reached: answer the client. Go on with Add and Next for a write: replicas that
//     are still to answer may fail, and their slots then want hints.
//   - Unreachable: the write's Outcome says whether anything may be left behind. None
//     and fewer asked than needed is the client's UNAVAILABLE, None and Fenced its
//     FENCED, all else its QUORUM.
//   - Newest above the spec's version: the caller's ring is old. Fetch the newer one;
//     a round that failed may be tried again with it.
//
// Lateness is not failure: a replica that takes too long is told to the round with
// Late, so that Next names a replacement, and its answer counts whenever it comes.
//
// # Invariants
//
//   - I1 A decision other than Pending is never left.
//   - I2 Decisions depend on the set of answers, not on their order.
//   - I3 An answer counts once, and only from a replica that the round has named to be
//     asked and that has not answered before.
//   - I4 A write counts a slot only if all of its members count: two while it moves. A
//     read counts the slot's reading member only (TRAPS 5.4).
//   - I5 A node stands for one slot, so W slots are W distinct nodes (TRAPS S12).
//   - I6 Fallbacks count in sloppy rounds only, for one slot each, for r and w only; a
//     fallback that holds nothing of the key never counts for a read (TRAPS S1, S3).
//   - I7 The outcome of a write is None only if each replica that was asked has refused
//     before it stored anything; the coordinator's own mint is an answer like any
//     other (TRAPS S4).
//   - I8 While a round is Pending, an answer is awaited or Next names whom to ask.
//   - I9 pr and pw count confirmed owners only, by their own statement (TRAPS S2).
//   - I10 Answers of another instance, at an older placement version, or in another
//     role than asked, count for nothing, whatever the replica did.
//   - I11 Reached and Unreachable are told at the first answer that makes them true.
//
// What it does not do: it sends nothing, waits for nothing, merges nothing, and has no
// opinion of who is alive. It does not check fences or promises: replicas refuse, and
// ring.Accept is their rule for placement versions.
package quorum
