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
//   - I8 Nothing goes out that rests on what is not synced here; ready.go has the library's
//     duties by number.
//   - I9 Raft messages are taken only between two seats that have accepted each other's
//     openings, and who was accepted is remembered durably before (gate.go).
//   - I10 A raft id begins with an empty log only in the very opening of the store for which
//     the group made it; a store that is refused takes no part, and is erased only after the
//     group has given up its raft id (adopt.go).
//   - I11 Of a leader, whatever it says of the state was confirmed by a quorum after it was
//     asked, and after it had applied an entry of its own term.
//   - I12 Steps about seats come one at a time, from the leader, as package seats names them.
//
// # The engine
//
//	propose, readIndex ----+            +---> raft.RawNode
//	meta.step -> gate -----+-> loop ----+---> logStore: one synced change
//	ticks, events ---------+    |       +---> raftLinks -> the other seats
//	                            |       +---> machine: committed entries
//	                            +-> keeper: parts of snapshots, sweeps (its own goroutine)
//
// The loop alone touches raft. A write that stands still stops its heartbeats with it, so
// that another seat leads; one that takes longer than EngineConfig.StallAfter ends run, and
// so does a panic of the library, with an error. After a start a seat takes no part until
// all other seats have accepted its store, or two elections have passed: one of those that
// were up while it was rolled back says so.
//
// What this does not find out: two processes with copies of one directory that reach
// different peers, which do not reach each other, before the group has judged either.
//
// # Goroutines of the engine
//
//	what                started by        ends when                        waited for by
//	loop                run               its context ends, or a fault     run, but after a stall
//	keeper              run               its context ends, or a fault     run
//	judge of hellos     run               its context ends, or a fault     run
//	watch of writes     run               its context ends, or a stall     run
//	link to a seat, and raftLinks.link    the seat is gone, or the         run
//	its connection                        context ends
//	snapshot to a seat  the loop          sent, or the context ends        run
//
// Locks of the engine: gate.mu, raftLinks.mu and then raftLink.mu, engine.doors. None is
// held over a wait or over a call of the machine.
//
// # Goroutines of the services
//
//	what               started by            ends when              waited for by
//	engine             Group.Run             ctx ends, it fails     Group.Run
//	links              Group.Run             ctx ends               Group.Run
//	one per link       links                 idle, ctx ends         links
//	tail               Group.Run             ctx ends, halted       Group.Run
//	renewals           Group.Run             ctx ends               Group.Run
//	one per message    renewals              answered               renewals
//	watch for a leader one per message, try  the try ends           one per message
//	pulls, keepViews   Group.Run             ctx ends               Group.Run
//	two shelves        Group.Run             ctx ends               Group.Run
//	lead               Group.Run             ctx ends               Group.Run
//	office             lead, per leadership  it ends                lead
//	its four duties    office                it ends                office
//	a peer's call      HandlePeer            answered               Group.Run (serving)
//	confirmations      confirms              nobody waits for one   Group.Run (serving)
//
// Calls of this member's own rooms run on their callers' goroutines, and end with ctx or
// with Run.
package meta
