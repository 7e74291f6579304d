// SPDX-License-Identifier: Apache-2.0

// Package meta is a member's part in the metadata group (ARCHITECTURE 8): the small Raft
// group that holds who the members are, how the ring is laid out, which buckets exist, and
// who holds which lock. The rules are those of package state; this is the shell around it.
//
// Every member runs it, as a seat or as a client of the group:
//
//	seat     keeps the log and applies what is committed      (engine.go)
//	client   asks a seat for what is committed and applies it (tail.go), keeps no log
//
// So every member has the whole state in memory: View and Read answer without the network,
// and a lock that is granted wakes its waiter wherever it waits (desk.go). What changes the
// state is forwarded to the leader (forward.go), who alone keeps time (lead.go): it expires
// sessions and ends waits by proposing commands.
//
// # Invariants
//
//   - I1 The state is changed by committed entries in order, each once, whoever brings
//     them; a state that can not follow halts.
//   - I2 A call fails with ErrNoLeader only where nothing was proposed and nothing will be.
//   - I3 A renewal is answered only after a quorum has confirmed the leader, at or after the
//     renewal's arrival there (LOCKS R3), and never while the session's expiry is proposed.
//   - I4 A leader renews and expires nothing before it has applied the entry of its own term
//     and given every session its full TTL (LOCKS R2).
//   - I5 A wait for a lock is entered at the desk before its command is proposed, so that no
//     event of it can be missed.
//   - I6 View never goes back to an older view.
//   - I7 No mutex is held over a wait. The machine's is taken before the desk's and the
//     lead's, never after them.
package meta
