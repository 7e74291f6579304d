// SPDX-License-Identifier: Apache-2.0

// Package checker judges histories (package history): whether what clients saw is what a
// store of siblings may show them. [Check] runs all checkers:
//
//	causal        keys with get, put and delete: the rules below
//	session       the same keys: read your writes, monotonic reads
//	set           keys with add and members: stable, lost, never read, stale
//	counter       keys with increment and total: bounds
//	availability  enough of the operations outside of outages were ok
//	locks         locks and sessions: the rules below
//	lock-order    each lock: there is an order of its operations in which a lock with fences
//	              answers as this one did
//
// Every write has a value of its own, and its context lists the values that it was to
// overwrite. The ancestors of a write, anc(w), are what its context lists, and their
// ancestors. With S for what a read shows, the causal rules are (numbers as in
// the design of the tests):
//
//	phantom       1 what is shown was written to this key, before the read returned, and
//	                did not certainly fail
//	false-sibling 2 nothing is shown beside what overwrote it
//	lost-update   3 an acknowledged write is in S or anc(S), or was deleted
//	explosion     4 nothing is shown twice, and no more than there can be
//	session       5 a process does not go back behind what it wrote or saw
//	resurrection  6 what an acknowledged delete covered is not shown any more
//	expired         nothing is shown whose time to live is over by every clock
//	divergence    8 final reads of all replicas in one round agree
//
// Rules 3 and 6 hold for a read that begins after the acknowledgement, if the levels of
// both meet in a replica ([history.Strict]); and for each final read, as far as
// history.Op.Final says. A value with a time to live may be missing once it may have ended
// by some clock (Config.Skew); sooner it is a lost-update. Monotonic reads
// that no levels promise are counted, not failed: but an atomic read never goes back
// behind an earlier one.
//
// Two guarantees of sessions have no rule of their own, since these hold them. Monotonic
// writes: who sees a session's second write, and reads after that, sees the first one or
// what overwrote it. Was the second sent over the first, then the first is among its
// ancestors, and rule 2 keeps it from standing beside it; was it not, or is it of another
// key, then the first was acknowledged before the second began, and is rule 3's. Writes
// follow reads: what a session wrote over what it had read has that among its ancestors,
// and what it had read otherwise is rule 3's where it was acknowledged; where it was not,
// only atomic reads promise anything, and theirs is a rule. All these hold for one session
// whichever nodes it asks. Rule 7, on dots, needs the nodes' own trace, and is not here.
//
// The rules of locks. A grant lies between the beginning of its attempt and the answer,
// and its hold ends with a release, by force, with its number or its session:
//
//	equal-fences     no two grants have one fence
//	fence-order      fences grow in the order of the grants, of all locks together
//	two-holders      between two grants that can not stand beside each other the first may
//	                 have ended
//	dead-session     nothing is granted to a session that is over
//	released-nothing what a release found in place had been granted,
//	released-twice   and is found by no other one
//	lock-gone        what is held is not over before something may have ended it,
//	session-gone     nor is a session: nothing ends it before its time to live has passed
//	                 since the last renewal was sent, but its client
//	late-loss        a client tells of a loss before its session may be over
//	session-lost     no session is lost, where the run promises that (Config.KeepSessions)
//
// That a client claims to have its session (history.Lock.Lost) is taken for true, so that
// it shows in two-holders where two of them claim to hold one lock.
//
// # Invariants
//
//   - I1 What can not be decided is [Unknown], never [Valid]: an empty history, a key without
//     final read, values that are not unique.
//   - I2 Doubt is in favour of the store. Equal times are concurrent; a delete without
//     context may have covered all that it might have found, and at least what its own
//     levels promise; a write that may have been made twice may stay once.
//   - I3 Time grows as the history does, but for one factor: the writes of one key, squared,
//     in bits. Config.MaxWrites bounds it, as MaxLockOps and MaxLockUnsure do what is
//     searched; beyond them the verdict is Unknown.
//   - I4 Verdicts, and the violations kept, depend on the history alone; but that a search
//     for an order which takes too long (Config.LockTimeout) ends as Unknown.
//
// For its own tests, and for those who want to see that it sees, [Generate] makes valid
// histories from a model of replicas, and [Corruptors] spoil them; so do [GenerateLocks], from
// a model of a group, and [LockCorruptors].
package checker
