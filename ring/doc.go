// SPDX-License-Identifier: Apache-2.0

// Package ring says which nodes hold a key. It is a core: values with methods, no
// goroutine, channel, lock, I/O, log or clock.
//
// The hash space is cut into equal partitions whose number never changes (Dynamo 6.2,
// strategy 3). Each partition has an explicit, ordered list of slots; nothing is derived
// from tokens, so that a change of one partition is a change of that partition alone
// (TRAPS T10). A [State] is the plain data that the metadata group agrees on, a [Ring]
// the same checked, immutable and fast to ask.
//
//	r, err := ring.New(state)
//	pref := r.Preference(r.PartitionOf(bucket, key))
//
// [Solve] computes where slots should stand: a pure function of the members and of where
// they stand now. [Form] is its use for the first ring, [Moves] the difference of two
// answers.
//
// A change is a [Plan] of moves, checked as a whole by [CheckPlan]; each move passes
// through the phases of [Progress], whose preconditions are TRAPS 5.4, and each replica
// judges what it is asked by [Accept]. Nothing executes plans in this version. A store
// that is lost is filled anew in its place: a [Refill] (docs/adr/0022).
//
// # Invariants
//
//   - I1 The number of partitions is a power of two, 1 to 65,536, and every partition has
//     exactly Replicas slots.
//   - I2 Node numbers and names are distinct, and every member of a slot is a member of
//     the ring.
//   - I3 A node stands in at most one slot of a partition, counting both members of slots
//     that move, whatever their phases.
//   - I4 Every slot keeps the invariant of kv.Slot, and every placement has a version.
//   - I5 Every key of every bucket is in exactly one partition, and the partition depends
//     on the cluster id, the bucket id and the key only.
//   - I6 A preference list names every member of the ring exactly once: the members of
//     the slots, then the fallbacks.
//   - I7 A solved list has distinct nodes, spread over the zones as evenly as the zones'
//     nodes allow.
//   - I8 A solved placement gives each node its target, rounded up or down, of all slots
//     and of the slots at each position. From a previous placement that is reached by
//     exchanges, and the rare one that they can not finish comes as near as they lead.
//   - I9 The solver's answer depends on its input alone, not on the order of the members.
//   - I10 A node that stays in a list keeps its position, unless only reordering leads to
//     the balance of I8.
//
// What it does not do: it knows nothing of who is alive, counts no replies, and changes
// no ring by itself.
package ring
