// SPDX-License-Identifier: Apache-2.0

package storage

import "fmt"

// batch is what one commit makes durable.
type batch struct {
	ts      uint64
	changes []*change
	free    chan *batch // where it goes when it is answered
}

// answer tells every operation of the batch how it ended.
func (b *batch) answer(r Result) {
	for _, c := range b.changes {
		c.op.Done(r)
	}
}

// done gives the batch's memory back.
func (b *batch) done() {
	clear(b.changes)
	b.changes = b.changes[:0]
	b.free <- b
}

// commitAll packs what the shards have ready into commits, one after another, until
// the pipe is closed and empty, or a commit fails. While a commit waits for the disk
// the shards prepare the next; whoever comes later shares its sync.
func (s *Store) commitAll(answers chan<- *batch) error {
	// One batch is being committed, one waits in answers, one is being answered.
	const batches = 3
	free := make(chan *batch, batches)
	for range batches {
		free <- &batch{free: free}
	}
	c := committer{store: s, ts: s.durable.Load()}
	for b := range free {
		b.changes = s.pipe.take(b.changes, s.cfg.BatchOps, s.limit)
		if len(b.changes) == 0 {
			return nil
		}
		err := s.failed() // somebody else may have stopped the store
		if err == nil {
			err = c.commit(b)
		}
		if err != nil {
			err = s.fail(err)
			b.changes = append(b.changes, s.pipe.fail()...)
			b.answer(s.unknown())
			return err
		}
		answers <- b
	}
	return nil
}

// committer is the one writer of the engine.
type committer struct {
	store  *Store
	ts     uint64
	writes []Write // of the present commit
}

// commit makes a batch durable.
func (c *committer) commit(b *batch) error {
	defer func() { clear(c.writes) }()
	c.writes = c.writes[:0]
	bytes := 0
	for _, ch := range b.changes {
		c.writes = append(c.writes, ch.writes...)
		bytes += ch.bytes
	}
	if len(c.writes) == 0 {
		// All rest on commits that are durable already.
		b.ts = c.ts
		return nil
	}
	if bytes > bigBatch {
		if err := c.store.disk.mayWrite(bytes); err != nil {
			return err
		}
	}
	if bytes > c.store.limit.Bytes || len(c.writes) > c.store.limit.Count {
		if err := c.commitParts(); err != nil {
			return err
		}
	}
	c.ts++
	c.writes = c.store.journal.append(c.writes, b.changes)
	if err := c.store.engine.Commit(c.ts, c.writes); err != nil {
		return fmt.Errorf("commit of %d writes: %w", len(c.writes), err)
	}
	b.ts = c.ts
	c.store.stats.add(len(b.changes))
	return nil
}

// commitParts commits all but the last part of a change that no single commit can
// hold, and leaves that part in writes. Only a split object is so large; its version
// records come first and its header after them, so a crash in between leaves records
// to which nothing refers.
func (c *committer) commitParts() error {
	limit := c.store.limit
	from, bytes := 0, 0
	for i, w := range c.writes {
		if bytes+w.size() > limit.Bytes || i-from >= limit.Count {
			c.ts++
			if err := c.store.engine.Commit(c.ts, c.writes[from:i]); err != nil {
				return fmt.Errorf("commit of a part of %d writes: %w", i-from, err)
			}
			from, bytes = i, 0
		}
		bytes += w.size()
	}
	c.writes = c.writes[from:]
	return nil
}

// publish moves the durable timestamp, before anybody is answered (I3).
func (s *Store) publish(b *batch) {
	for _, sh := range s.shards {
		sh.overlay.commit(b.ts, sh, b.changes)
	}
	s.durable.Store(b.ts)
}
