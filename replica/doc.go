// SPDX-License-Identifier: Apache-2.0

// Package replica is this node as one of the N that hold a key. Every rule that must
// hold together with the apply lives here and runs in the store's shard, where
// nothing can come between the check and the write: minting, merging, placement,
// instance and purge-epoch checks, the table of request ids, and what a start after
// a stop, a crash or a loss may keep.
//
// A write that a client asked for is minted once, by an owner ([Replica.Mint]); all
// other copies of it, wherever they come from, are merged ([Replica.Store]). Both
// pass the same checks, whether they came over the network or from this node.
//
// # Invariants
//
//   - I1 A dot is issued at most once over the whole life of the cluster: counters
//     only grow within an incarnation, and an incarnation ends whenever the store may
//     not hold all its own earlier dots (ARCHITECTURE 5 and 6; TRAPS C1 to C6).
//   - I2 An answer says stored only after the commit on which it rests is durable.
//   - I3 A store that is refused, or a record that is damaged, never answers
//     not-found and never mints.
//   - I4 A request id of a key that this store minted, and remembers (for its window, as
//     long as its table has room), is never minted again here; the same dot is answered.
//   - I5 Replies state role, placement version, instance, confirmation and purge
//     epoch as they are when the reply is made, not when the request was planned.
//   - I6 Merging never refuses for size or siblings; only client writes do.
//   - I7 What this node keeps for others, it keeps until it was told that all whom it is for
//     have it durably, and that was what stands there now. Hints have a space of their own
//     in the store, so they are never taken for what this node owns (TRAPS S8, S10).
//   - I8 A marker, which covers what it does not hold, is merged into nothing and sent to
//     nobody.
//   - I9 The tree of a partition is that of what the shard has applied: it changes with
//     each change, exactly once, or it is not shown ([ErrTreeUnknown]). A damaged record is
//     never in a tree as an object or as nothing once a scan has met it; where one is met
//     otherwise, a scan follows (TRAPS M1, M2, M6).
//   - I10 A step of a purge round is durable before anything is done or answered by it; what
//     was applied before it is over by then. An owner whose store took no part in a round
//     that the group has committed is not ready in the partition (TRAPS G5).
//
// What it does not do: it counts no quorum and knows no other node; it keeps hints and does
// not deliver them, and takes steps of purge rounds that others lead. Promises come with
// their own feature; the checks that they need of every message are made already.
//
// Goroutines: none of its own. It runs in the store's shards and in its callers; the node
// runs [Replica.KeepTrees].
package replica
