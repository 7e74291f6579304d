// SPDX-License-Identifier: Apache-2.0

// Package locks is the lock service as a table: sessions, who holds which lock, and who
// waits for it. It is a core: values with methods, no goroutine, channel, lock, I/O, log
// or clock. The metadata group replicates its commands; each member applies them in the
// order of the log and comes to the same table.
//
//	t := locks.New()
//	r := t.Acquire(at, locks.Acquire{Session: id, Holder: 1, Name: "jobs", Kind: ...})
//	for _, e := range t.TakeEvents() { ... } // who else was granted, whose wait ended
//
// Time exists outside only: the leader keeps [Leases] and [Waits], and proposes commands
// when one of them is due.
//
// # Holders
//
// Who holds a lock is a pair: a session, and a number that the client gave to this one
// attempt. A number is new, then active (it waits, or it holds), then finished, and never
// goes back. So every command may come twice, late, or in another order than it was
// sent: what has been done is not done again, and a finished number gets nothing any more.
//
//	         acquire              grant
//	new ───────────────▶ waits ───────────▶ holds
//	 │ cancel,             │ cancel,           │ release, cancel,
//	 │ refused try         │ wait over         │ force release
//	 ▼                     ▼                   ▼
//	                    finished
//
// # Invariants
//
//   - I1 Fences strictly increase over the whole history of the table, across locks that
//     are deleted and made again, and across generations.
//   - I2 A lock has one exclusive holder, or shared holders only. There is no lock that
//     nobody holds.
//   - I3 A queue is served in the order of arrival; who waits, waits behind a holder or a
//     waiter whose kind does not go together with its own.
//   - I4 Holders and waiters belong to living sessions; the end of a session takes all of
//     them away before anybody is granted anything.
//   - I5 A finished number neither holds nor waits, and never will.
//   - I6 An active number belongs to one lock, in one kind.
//   - I7 A session that has ended does not begin again, as long as [MaxEnded] tells.
//   - I8 The table depends on the commands alone: an exported and imported one answers
//     and continues as the original would.
//   - I9 What the table holds is bounded; a command beyond a bound is refused and changes
//     nothing but what its DoneThrough says.
//
// What it does not do: it holds no lock in the sense of a mutex. A holder that is cut off
// learns of its loss by its own clock only; two processes may believe for a while that
// they hold one lock, and only the fence tells them apart (TRAPS L1).
package locks
