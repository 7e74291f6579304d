// SPDX-License-Identifier: Apache-2.0

// Package coordinator carries one client request over the replicas of its key: put,
// get, delete, get_many and scan (DeCandia et al., "Dynamo", 2007, sections 4.5 and
// 5). It is written in direct style: each request is one function that asks the ring
// for the preference list, sends, and feeds what comes back to a round of package
// quorum, which alone decides.
//
// # Invariants
//
//   - I1 A put is minted by an owner that may coordinate, here or, forwarded over one
//     hop, at another. It goes to a further owner, or is minted by a fallback that stands in
//     for them, only where those before certainly did nothing with it (TRAPS C10, C14).
//   - I2 Neither the answer nor the client's deadline cancels the sends: they have their
//     own deadline, and [Coordinator.Drain] waits for them. Whatever gets a dot is sent, and
//     until that deadline a fallback is asked for a hint for each owner that did not take it.
//   - I3 Replies are counted, never plans: role, placement version, instance and
//     confirmation are what the replica stated (TRAPS S2).
//   - I4 An error's outcome is none only if certainly no replica stored anything.
//   - I5 Data below the highest purge epoch among a read's replies is not merged: the read
//     starts over. Every message that carries data read earlier carries the epoch of that
//     read.
//   - I6 Fallbacks are asked in sloppy buckets only, and only where owners are missing. They
//     count for r and w, never for pr and pw; they are never repaired, and their not-found
//     never counts: so a scan, which is about absence too, asks owners alone.
//   - I7 The channel of a request's events has room for every event that can ever be
//     sent to it, so that no sender waits for a request that has been answered.
//
// What it does not do: it stores nothing and holds no rule about versions; those are
// replica's. It delivers no hints: that is handoff's.
//
// Goroutines: the caller's. get_many starts some and waits for them; a put whose answer
// leaves sends open, or a mint, leaves one behind that sees them to their end, by their
// deadline at the latest, and that Drain waits for.
package coordinator
