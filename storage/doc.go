// SPDX-License-Identifier: Apache-2.0

// Package storage is the store of one node: partitions in, group commit, scans. It
// knows no protocol: it is handed functions that say what becomes of an object, and
// sees to it that they run one after another, that what they decide is durable before
// anybody hears of it, and that what is read is either right or called unreadable.
//
// # The commit pipeline
//
//	 Do(op)                       Do(op)            Read, Scan
//	   | not in the overlay?        |                  | as of the durable timestamp
//	   | read it, remember when     |                  v
//	   v                            v               engine
//	[queue]                      [queue]
//	   v                            v
//	 shard 0                      shard n            each owns its partitions:
//	   | Apply(newest state)        |                no key needs a lock
//	   | overlay: newest state      |
//	   +------------> [pipe] <------+                bounded, in order
//	                    v
//	                committer                        one transaction, one sync,
//	                    | engine.Commit              for all that is ready
//	                    v
//	                answerer                         1 overlay -> version cache,
//	                                                   durable timestamp moves
//	                                                 2 Done(durable)
//
// While a commit waits for the disk the shards prepare the next, over an overlay of
// objects that are not durable yet, and the commit before it is answered.
//
// # Spaces
//
// What a store holds of a partition has a [Space]: what this node owns, and for each slot
// the hints that it keeps for the slot's members. A key is another object in each, with
// records of its own; the shard of the partition owns them all, so all that is said here of
// an object holds in each space.
//
// # Invariants
//
//   - I1 An answer, also of an operation that changed nothing, waits for the commit of
//     every uncommitted object that it rests on.
//   - I2 An object that was fetched before its operation's turn carries the timestamp
//     of the read; where the key may have been committed later, it is read again.
//   - I3 The durable timestamp moves before any waiter of that commit is answered, so
//     whoever got an answer reads what it spoke of.
//   - I4 A read never waits for a commit, and sees nothing that is not durable.
//   - I5 A record that is empty or damaged, and a read that failed, is unreadable; it is
//     never absent (TRAPS C2). Every record has an envelope that tells.
//   - I6 After the first failed write or sync nothing more is written, and everything
//     is answered with ErrFailed: operations that had not had their turn with
//     OutcomeNone, all others that are open with OutcomeUnknown.
//   - I7 The discard timestamp is at or below that of every open read.
//   - I8 Of one key, changes are committed in the order in which they were applied.
//   - I9 Done is called exactly once for every operation that Do took in.
//   - I10 An object and its journal note are in one transaction, and so are all records
//     of a split object, unless they are more than the engine takes at once; then
//     values come first, and the header that refers to them last. A removal is the other
//     way round: the object's own record goes last.
//   - I11 The stamp mark is durable with the first object whose stamp is above it.
//   - I12 An observer hears of every change that will become durable, once, in the shard
//     of its partition and in the order of the changes, before anybody is answered; what
//     it heard of by the time of a Settle can be read when that is done.
//
// # What survives
//
//	kill -9      every answered operation, and perhaps some that were not; an empty log
//	             that Badger can not open is removed first
//	power loss   the same: whoever is answered has been synced, and the directory with
//	             it when a log file was new
//	failed sync  what was answered before it; the process has to end, because what the
//	             kernel kept of the rest is only known after a restart. Failed writes of
//	             tables and manifests, which Badger only logs, count as well, but for
//	             those of a compaction's tables, of which it says nothing at all
//
// # Goroutines
//
//	shard        Config.Shards of them; started and awaited by Run; end when their queue
//	             is closed and empty
//	committer    started and awaited by Run; ends when the pipe is closed and empty, or
//	             at the first failure
//	answerer     started and awaited by Run; ends with the committer
//	tender       started and awaited by Run; ends with its context
//	closer       started and awaited by Run; closes the queues when the context ends,
//	             then the pipe when all shards have ended
//	Badger's     started by OpenBadger, ended by Close; after a failed write they may
//	             outlive it, for Badger tries for ever to write its memtables
//
// Locks: an overlay's, a queue's, the pipe's; none is held over another, or over a wait.
//
// # What it does not do
//
// It mints no dots and merges nothing. It does not repair what is unreadable. It does
// not notice a damaged block of Badger's tables in which a key can not be found any
// more, nor a table that a compaction could not write and left out: Badger calls such
// keys absent, and only a scrub against the peers tells (docs/adr/0011).
package storage
