// SPDX-License-Identifier: Apache-2.0

package storage

// Observer hears of every change of an object: the one place through which all of them
// go, whichever operation they come from.
type Observer interface {
	// Changed tells that an operation has put or removed an object. It runs in the shard of
	// the operation's partition, in the order in which changes are applied, when nothing
	// but the store's failure can keep the change from becoming durable, and before anybody
	// is answered. before and after are as Apply sees them, and lent for the call; before
	// may be unreadable, and without values. The operation's Space says whether the object
	// is this node's own, or a hint. It must not wait for anything.
	Changed(op *Op, before, after *Current)
}

// Observe has o hear of all changes. It must be called before Run.
func (s *Store) Observe(o Observer) { s.observer = o }

// Settle calls done when all that the partition's shard has applied by then is durable and
// can be read: what is read afterwards holds every change that came before. It is called
// exactly once, unless Settle returns an error, with the error that stopped the store
// first, if any. It runs where Op.Done does, and must be as quick.
func (s *Store) Settle(partition uint16, done func(error)) error {
	sh := s.shardOf(partition)
	op := &Op{Partition: partition, Done: func(r Result) { done(r.Err) }}
	op.turn = turn{bytes: opOverhead, visit: func(err error) {
		if err != nil {
			done(err)
			return
		}
		// The pipe keeps the order: it is answered behind all changes that are in there.
		sh.hand(&change{op: op, shard: sh})
	}}
	if err := sh.queue.reserve(op.turn.bytes); err != nil {
		return err
	}
	return sh.queue.push(op)
}
