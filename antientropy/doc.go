// SPDX-License-Identifier: Apache-2.0

// Package antientropy tells two replicas of a partition where they differ, for a few bytes
// where they do not (Dynamo 4.7; ARCHITECTURE 7). It is a core: values with methods, no
// goroutine, channel, lock, I/O, log or clock.
//
// A [Tree] sums up what one replica holds of one partition: a root, 32 branches, 1,024
// leaves. A key belongs to the leaf that its ring hash names. Each [Sum] is the exclusive
// or of the hashes of its entries and their number, so that a change of one key costs a
// few operations whatever there is besides, in any order of the changes:
//
//	root        1        = the sum of all branches
//	branches   32        = the sums of their leaves
//	leaves  1,024        = the sums of their keys: EntryHash, 1
//
// Two replicas compare roots, then branches, then leaves ([Differing]), twice with a pause
// ([Both]): what differs once may be a write that is still on its way. Then they list the
// keys of the leaves that are left ([Choose], [DiffItems], [Persisting]), show each other
// the objects that differ, without values, and find out who lacks something ([Decide]).
//
// # Invariants
//
//   - I1 A tree depends on the entries that it was told of last, and on nothing else: not
//     on the order of the changes, nor on what was there in between.
//   - I2 Two objects have equal entry hashes only if readers can not tell them apart, nor
//     a later merge: context, fence, and of each version dot, kind, expiry, stamp and
//     checksum (which covers value, fence and request) are in it (TRAPS M2).
//   - I3 A sum tells how many entries it has: a pair that cancels out in the exclusive or
//     still counts (TRAPS M1).
//   - I4 Trees are comparable only if their shapes are equal: algorithm, seed, number of
//     partitions, partition (TRAPS M7).
//   - I5 A record that can not be read has an entry of its own, which no object and no
//     other node's damage is equal to: it is never absent and never in sync.
//   - I6 Decide names nobody only if both objects are the same.
//   - I7 Data whose read was of an earlier epoch than the floor is stored by no owner, and
//     of an earlier one than the adopted by no other node ([Purges.Accepts]).
//   - I8 An owner that has adopted an epoch has confirmed in the round of that epoch, or was
//     given a whole copy by one that had ([Purges.Record], [Purges.Adopt]).
//   - I9 An owner deletes for a round only when its floor is that round's, durably; and its
//     floor rises only when all registered nodes have drained ([Purges.Raise]).
//
// # Purge rounds
//
// A tombstone may go where no copy of anything that it covers can ever be merged in again
// (TRAPS 4). A round finds that out for many keys of a partition at a time; the first owner
// leads it ([Leading]), and every node keeps where it stands ([Purges]):
//
//	begin    the group issues an epoch r; the rounds before it can not be committed any more
//	confirm  each owner tells which tombstones it holds exactly so, durably, and records r
//	commit   the group commits r
//	drain    each registered node adopts r, durably: what it reads is of r from now on, and
//	         as no owner it refuses what is older. It delivers the hints that it had, while
//	         the owners still hold the tombstones, and answers
//	purge    each owner raises its floor to r, durably: it refuses what is older. Then it
//	         deletes what it still holds exactly so
//
// A round may end at any point, and the next one begins anew. purge_model_test.go walks
// through all that can happen to rounds, and what each rule is for.
//
// What it does not do: it reads no store and sends nothing. The trees live in package
// replica, where they change with the objects; package antientropy/exchange compares them,
// and carries the rounds out.
package antientropy
