// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
)

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
		b.changes = s.pipe.take(b.changes, s.cfg.BatchOps, s.packed)
		if len(b.changes) == 0 {
			return nil
		}
		if mutant.On(mutant.AckBeforeSync) {
			b.answer(Result{Outcome: OutcomeDurable})
			for _, c := range b.changes {
				c.op.Done = func(Result) {} // it has been told
			}
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
	writes []Write // of the present commit; kept to be filled again
}

// commit makes a batch durable.
func (c *committer) commit(b *batch) error {
	writes, bytes := c.pack(b)
	defer clear(writes) // do not keep the values
	if len(writes) == 0 {
		b.ts = c.ts // all rest on commits that are durable already
		return nil
	}
	if bytes > bigBatch {
		if err := c.store.disk.mayWrite(bytes); err != nil {
			return err
		}
	}
	if err := c.store.cfg.Points.Hit(PointCommit); err != nil {
		return err
	}
	last, err := c.commitParts(writes, bytes)
	if err != nil {
		return err
	}
	c.ts++
	last = c.store.journal.append(last, b.changes)
	last = c.store.stamps.append(last, b.changes)
	began := time.Now()
	err = c.store.engine.Commit(c.ts, last)
	took := time.Since(began)
	if err == nil && c.store.cfg.Trace != nil {
		c.store.traceCommit(c.ts, b.changes)
	}
	if err != nil && !mutant.On(mutant.CommitErrorIgnored) {
		return fmt.Errorf("commit of %d writes: %w", len(last), err)
	}
	if err := c.store.cfg.Points.Hit(PointPublish); err != nil {
		return err
	}
	b.ts = c.ts
	c.store.stats.add(len(b.changes), took)
	return nil
}

func (c *committer) pack(b *batch) (writes []Write, bytes int) {
	c.writes = c.writes[:0]
	for _, ch := range b.changes {
		c.writes = append(c.writes, ch.writes...)
		bytes += ch.bytes
	}
	return c.writes, bytes
}

// commitParts commits all but the last part of a change that no single commit can
// hold, and returns that part. Only a split object is so large: its version records
// come first and its header after them, so a crash in between leaves records to which
// nothing refers. What is within the limits is one part.
func (c *committer) commitParts(writes []Write, bytes int) (last []Write, err error) {
	limit := c.store.limit
	if bytes <= limit.Bytes && len(writes) <= limit.Count {
		return writes, nil
	}
	from, size := 0, 0
	for i, w := range writes {
		if i > from && (size+w.size() > limit.Bytes || i-from >= limit.Count) {
			c.ts++
			if err := c.store.engine.Commit(c.ts, writes[from:i]); err != nil {
				return nil, fmt.Errorf("commit of a part of %d writes: %w", i-from, err)
			}
			from, size = i, 0
		}
		size += w.size()
	}
	return writes[from:], nil
}

// publish moves the durable timestamp, before anybody is answered (I3).
func (s *Store) publish(b *batch) {
	for _, sh := range s.shards {
		sh.overlay.commit(b.ts, sh, b.changes)
	}
	s.durable.Store(b.ts)
}
