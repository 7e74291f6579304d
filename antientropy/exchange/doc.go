// SPDX-License-Identifier: Apache-2.0

// Package exchange compares what this node holds with what the other owners of its
// partitions hold, always, and brings together what differs (Dynamo 4.7; ARCHITECTURE 7).
// It reads its own records again, slowly, and mends those that are damaged from the other
// owners. Who lacks something is decided by package antientropy; this is its shell.
//
// Each pair of a partition and another of its owners is compared about once a period: the
// roots of both trees; where they differ the branches, then the leaves, each twice with a
// pause; then the lists of keys of at most 256 leaves; then exactly the keys that differ.
//
// # Invariants
//
//   - I1 Only what differed at two looks, a pause apart, is listed; a key is repaired only
//     if who lacks something has not changed since it was listed (TRAPS M3).
//   - I2 An exchange lists at most 256 leaves, of at most one batch of differing keys at a
//     time, and takes from the node's budget before it moves an object; a pair is compared
//     by one exchange at a time (M4).
//   - I3 Only confirmed owners of one placement version, of the instances that the ring
//     names, with whole trees of one shape, at one purge epoch, with no round about to delete
//     there, are compared (M4, M7, M8).
//   - I4 A key is repaired by merging, between the two replicas that were compared and no
//     others, and an answer counts once it is durable (M5).
//   - I5 What was read is sent under the purge epoch of its read; where that is refused it
//     is read again (S11).
//   - I6 A damaged record is mended from all other owners, and not before nothing that this
//     node had acknowledged can be on its way (mend.go).
//   - I7 A pair is settled in a round only by an exchange that began after it.
//
// What it does not do: hints, purge rounds, moves and refills are other rooms'.
//
// # Goroutines
//
//	Run       picks who is compared next           its caller's
//	exchange  one for each that is under way       Run waits for it
//	keys      a few for each exchange that repairs its exchange waits for them
//	mend      mends damaged records                Run waits for it
//	scrub     reads records again                  mend waits for it
package exchange
