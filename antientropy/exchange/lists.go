// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/wire"
)

// batchKeys is how many differing keys are known at a time: their lists are compared as
// they come, so that neither side's is ever held whole.
const batchKeys = 1024

// listPatience is how many times as long as another call a page of a list may take: one is
// made at a time on each node.
const listPatience = 4

// difference is a key whose entries differ, as both sides listed them.
type difference struct {
	wire.TreePlace
	near, far antientropy.Entry // zero: not listed
}

// entryOf is what a list says of a key.
func entryOf(e *wire.TreeEntry) antientropy.Entry {
	if e.Damaged {
		return antientropy.Entry{Held: antientropy.HeldDamaged, Hash: e.Hash}
	}
	return antientropy.Entry{Held: antientropy.HeldObject, Hash: e.Hash}
}

// comparePlaces is the order of a partition's keys.
func comparePlaces(a, b *wire.TreePlace) int {
	if order := cmp.Compare(a.Bucket, b.Bucket); order != 0 {
		return order
	}
	return bytes.Compare(a.Key, b.Key)
}

// listing walks over one side's list of the keys below some leaves, page by page.
type listing struct {
	session *session
	side    *side
	leaves  []uint16
	page    []wire.TreeEntry
	at      wire.TreePlace // up to where has been listed
	over    bool           // there is nothing after it
}

// head returns the next entry, nil at the end.
func (l *listing) head(ctx context.Context) (*wire.TreeEntry, error) {
	for len(l.page) == 0 && !l.over {
		if err := l.turn(ctx); err != nil {
			return nil, err
		}
	}
	if len(l.page) == 0 {
		return nil, nil
	}
	return &l.page[0], nil
}

func (l *listing) pop() { l.page = l.page[1:] }

// turn asks for the next page. One that does not go on would never end.
func (l *listing) turn(ctx context.Context) error {
	s := l.session
	if err := s.going(); err != nil {
		return err
	}
	// A list waits for its turn behind those of other exchanges, on either side.
	ctx, cancel := context.WithTimeout(ctx, listPatience*s.cfg.CallTimeout)
	defer cancel()
	reply, err := l.side.list(ctx, &wire.TreeListRequest{
		TreeTarget: s.tree(ctx, l.side), Leaves: l.leaves, After: l.at, Limit: wire.MaxList,
	})
	if err == nil {
		err = s.fit(l.side, &reply.Standing, reply.Code, reply.Detail)
	}
	if err != nil {
		return err
	}
	last := l.at
	for i := range reply.Entries {
		if comparePlaces(&last, &reply.Entries[i].TreePlace) >= 0 {
			return fmt.Errorf("exchange: the list of %s is not in order", l.side.name)
		}
		last = reply.Entries[i].TreePlace
	}
	if reply.More {
		if comparePlaces(&l.at, &reply.Next) >= 0 || comparePlaces(&last, &reply.Next) > 0 {
			return fmt.Errorf("exchange: the list of %s does not go on", l.side.name)
		}
		last = reply.Next
	}
	l.page, l.at, l.over = reply.Entries, last, !reply.More
	return nil
}

// mendLeaves lists the keys below leaves on both sides, and repairs those that differ, a
// batch at a time.
func (s *session) mendLeaves(ctx context.Context, leaves []uint16) (all fates, err error) {
	near := &listing{session: s, side: s.near, leaves: leaves}
	far := &listing{session: s, side: s.far, leaves: leaves}
	for over := false; !over; {
		var batch []difference
		if batch, over, err = differences(ctx, near, far); err != nil {
			return all, err
		}
		if len(batch) == 0 {
			continue
		}
		if err := s.rest(ctx); err != nil {
			return all, err
		}
		some, err := s.repairAll(ctx, batch)
		for f, n := range some {
			all[f] += n
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// differences merges both lists, up to a batch of keys whose entries differ.
func differences(ctx context.Context, near, far *listing) (
	batch []difference, over bool, err error,
) {
	for len(batch) < batchKeys {
		n, err := near.head(ctx)
		if err != nil {
			return nil, false, err
		}
		f, err := far.head(ctx)
		if err != nil {
			return nil, false, err
		}
		order := 0
		switch {
		case n == nil && f == nil:
			return batch, true, nil
		case n == nil:
			order = 1
		case f == nil:
			order = -1
		default:
			order = comparePlaces(&n.TreePlace, &f.TreePlace)
		}
		switch {
		case order < 0:
			batch = append(batch, difference{TreePlace: n.TreePlace, near: entryOf(n)})
			near.pop()
		case order > 0:
			batch = append(batch, difference{TreePlace: f.TreePlace, far: entryOf(f)})
			far.pop()
		default:
			if a, b := entryOf(n), entryOf(f); a != b {
				batch = append(batch, difference{n.TreePlace, a, b})
			}
			near.pop()
			far.pop()
		}
	}
	return batch, false, nil
}
