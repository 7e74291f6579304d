// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"sync"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// repairTries is how often a key is read again whose copy was refused since a purge went
// by. A partition's purge rounds are minutes apart: two in a row are a fault.
const repairTries = 3

// fate is what became of a key.
type fate uint8

const (
	fateEqual    fate = 1 + iota // both sides agree by now
	fateRepaired                 // who was behind has it durably
	fateMoving                   // who is behind is being written: whatever was on its way came
	fateStale                    // a purge went by between read and store; read it again (S11)
	fateLeft                     // it could not be read or stored
)

// fates count keys by what became of them.
type fates [fateLeft + 1]int

// left is how many keys differ yet.
func (f *fates) left() int { return f[fateMoving] + f[fateStale] + f[fateLeft] }

// crew repairs the keys of a batch, a few at a time.
type crew struct {
	session *session
	batch   []difference

	mu    sync.Mutex // guards what follows; never held over a wait
	next  int
	fates fates
	err   error // the first; no key is begun after it
}

// repairAll brings the keys of a batch together.
func (s *session) repairAll(ctx context.Context, batch []difference) (fates, error) {
	c := &crew{session: s, batch: batch}
	var working sync.WaitGroup
	for range min(s.cfg.Keys, len(batch)) {
		working.Go(func() {
			for d := c.take(); d != nil; d = c.take() {
				fate, err := s.repair(ctx, d)
				c.done(fate, err)
			}
		})
	}
	working.Wait()
	return c.fates, c.err
}

// take returns the next key; nil where there is none, or none is to be begun.
func (c *crew) take() *difference {
	stop := c.session.going()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = stop
	}
	if c.err != nil || c.next == len(c.batch) {
		return nil
	}
	c.next++
	return &c.batch[c.next-1]
}

func (c *crew) done(f fate, err error) {
	c.session.counts.key(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fates[f]++
	if c.err == nil {
		c.err = err
	}
}

// repair brings one key together on exactly these two sides (M5). An error is that of a side
// that does not answer, or must not be repaired any more.
func (s *session) repair(ctx context.Context, d *difference) (fate, error) {
	for range repairTries {
		if f, err := s.repairOnce(ctx, d); err != nil || f != fateStale {
			return f, err
		}
	}
	return fateLeft, nil
}

// repairOnce looks at the key on both sides, and has each side that is behind merge the
// other's copy.
func (s *session) repairOnce(ctx context.Context, d *difference) (fate, error) {
	near, known, err := s.read(ctx, s.near, d, wire.ReadBare)
	if err != nil || !known {
		return fateLeft, err
	}
	far, known, err := s.read(ctx, s.far, d, wire.ReadBare)
	if err != nil || !known {
		return fateLeft, err
	}
	behind := antientropy.Decide(near.Object, far.Object)
	nearBehind := behind == antientropy.BehindMine || behind == antientropy.BehindBoth
	farBehind := behind == antientropy.BehindTheirs || behind == antientropy.BehindBoth
	switch {
	case !nearBehind && !farBehind:
		return fateEqual, nil
	case nearBehind && s.entry(d, &near.Object) != d.near,
		farBehind && s.entry(d, &far.Object) != d.far:
		// It has changed since it was listed: somebody is writing the key, and brings whole
		// objects (M3). What that does not mend the next exchange finds.
		return fateMoving, nil
	}
	if nearBehind {
		// First, so that the far side is sent the join of both.
		if f, err := s.copy(ctx, d, s.far, s.near, &far.Object); err != nil || f != fateRepaired {
			return f, err
		}
	}
	if farBehind {
		return s.copy(ctx, d, s.near, s.far, &near.Object)
	}
	return fateRepaired, nil
}

// entry is what a side's list has of the key.
func (s *session) entry(d *difference, o *kv.Object) antientropy.Entry {
	if o.IsZero() {
		return antientropy.Entry{}
	}
	return antientropy.Of(s.shape.Seed, d.Bucket, d.Key, o).Listed()
}

// read asks a side for its copy. known is false where the side can not tell.
func (s *session) read(
	ctx context.Context, of *side, d *difference, mode wire.ReadMode,
) (reply wire.ReadReply, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	reply, err = of.read(ctx, &wire.ReadRequest{Target: s.target(ctx, of, &d.TreePlace), Mode: mode})
	switch {
	case err != nil:
		return reply, false, fmt.Errorf("exchange: read at %s: %w", of.name, err)
	case reply.Code == wire.ReplicaUnreadable && of == s.near:
		s.damaged(s.partition, d.TreePlace)
		return reply, false, nil
	case reply.Code == wire.ReplicaUnreadable, reply.Code == wire.ReplicaNoBucket:
		return reply, false, nil // the other side mends it itself, or both remove it
	}
	err = s.fit(of, &reply.Standing, reply.Code, reply.Detail)
	return reply, err == nil, err
}

// copy has one side merge what the other holds. What is sent carries the purge epoch of
// its read: a replica that has purged since refuses it (S11).
func (s *session) copy(
	ctx context.Context, d *difference, from, to *side, size *kv.Object,
) (fate, error) {
	bytes := len(d.Key) + size.Size()
	if err := s.cfg.Budget.Take(ctx, budget.Piece+bytes); err != nil {
		return fateLeft, err
	}
	whole, known, err := s.read(ctx, from, d, wire.ReadFull)
	if err != nil || !known {
		return fateLeft, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	reply, err := to.store(ctx, &wire.StoreRequest{
		Target: s.target(ctx, to, &d.TreePlace), Role: kv.RoleOwner, Class: kv.ClassReplicated,
		Epoch: whole.Epoch, Object: whole.Object, Raw: whole.Raw,
	})
	switch {
	case err != nil:
		return fateLeft, fmt.Errorf("exchange: store at %s: %w", to.name, err)
	case reply.Code == wire.ReplicaStaleEpoch:
		return fateStale, nil
	case reply.Code == wire.ReplicaUnreadable && to == s.near:
		s.damaged(s.partition, d.TreePlace)
		return fateLeft, nil
	case reply.Code == wire.ReplicaUnreadable, reply.Code == wire.ReplicaNoBucket:
		return fateLeft, nil
	}
	if err := s.fit(to, &reply.Standing, reply.Code, reply.Detail); err != nil {
		return fateLeft, err
	}
	s.counts.moved(bytes)
	return fateRepaired, nil
}
