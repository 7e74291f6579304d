// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// countPage is how many hints are counted at a time.
const countPage = 256

// hintCount is how far the hints of a partition have been counted that were there at the
// start. It belongs to the partition's shard. What changes meanwhile is in the book at
// once; above where the count stands the record is noted, so that the count, which may have
// read it before the change, passes it over.
type hintCount struct {
	done bool
	upTo string // the name of the last record that was counted
	// changed has the weights of what was changed above upTo; a zero weight: it is gone.
	changed map[string]hintWeight
}

var _ storage.Observer = (*Replica)(nil)

// Changed has the book of the hints, or the partition's tree, follow a change. The store
// calls it, in the shard, for every change whatever it comes from (TRAPS M1).
func (r *Replica) Changed(op *storage.Op, before, after *storage.Current) {
	if slot, hints := op.Space.Slot(); hints {
		r.hintChanged(op, slot, before, after)
	} else {
		r.treeChanged(op, before, after)
	}
}

// hintChanged keeps the book when a hint's record changes. It runs in the shard.
func (r *Replica) hintChanged(op *storage.Op, slot uint8, before, after *storage.Current) {
	at := HintCell{op.Partition, slot}
	name := hintName(at, op.Bucket, op.Key)
	r.hints.mended(at, name, before.State != storage.StateUnreadable)
	less, more := weightOf(op.Key, &before.Object), weightOf(op.Key, &after.Object)
	if more != (hintWeight{}) {
		r.noteStored(at, more)
	}
	c := &r.parts[op.Partition].hints
	if !c.done && name > c.upTo {
		less = c.changed[name] // what stood there before the start is not in the book
		if c.changed == nil {
			c.changed = make(map[string]hintWeight)
		}
		c.changed[name] = more
	}
	r.hints.change(at, less, more)
}

// noteStored counts a record for the member whose slot it stands for now.
func (r *Replica) noteStored(at HintCell, w hintWeight) {
	if current := r.cfg.Ring(); current != nil {
		if slots := current.Placement(at.Partition).Slots; int(at.Slot) < len(slots) {
			first, _ := slots[at.Slot].Writers()
			r.hints.note(first, w)
		}
	}
}

// CountHints counts the hints that earlier lives of the store have left. It is called until
// it returns nil, and goes on where it ended; before that no hint is to be delivered. The
// store's shards must run.
func (r *Replica) CountHints(ctx context.Context) error {
	for p := range r.parts {
		if err := r.countPartition(ctx, uint16(p)); err != nil {
			return fmt.Errorf("replica: count hints of partition %d: %w", p, err)
		}
	}
	r.hints.counted.Store(true)
	return nil
}

func (r *Replica) countPartition(ctx context.Context, p uint16) error {
	slot, found, err := r.store.HintsFrom(p, 0)
	for ; err == nil && found; slot, found, err = r.store.HintsFrom(p, slot+1) {
		if err := r.countCell(ctx, HintCell{p, slot}); err != nil {
			return err
		}
		if slot == math.MaxUint8 {
			break
		}
	}
	if err != nil {
		return err
	}
	return r.inShard(ctx, p, func(part *partition) {
		part.hints = hintCount{done: true}
	})
}

func (r *Replica) countCell(ctx context.Context, at HintCell) error {
	var from storage.Position
	for more := true; more; {
		var page []storage.Located
		var err error
		page, from, more, err = r.store.In(storage.HintsFor(at.Slot)).Page(
			at.Partition, from, countPage, math.MaxInt, storage.ModeBare)
		if err != nil {
			return err
		}
		if err := r.inShard(ctx, at.Partition, func(part *partition) {
			r.countHints(at, page, part)
		}); err != nil {
			return err
		}
	}
	return nil
}

// countHints takes a page into the book. It runs in the shard.
func (r *Replica) countHints(at HintCell, page []storage.Located, part *partition) {
	c := &part.hints
	last := c.upTo
	for i := range page {
		h := &page[i]
		name := hintName(at, h.Bucket, h.Key)
		last = max(last, name)
		if _, changed := c.changed[name]; c.done || name <= c.upTo || changed {
			continue // it is in the book as it stands
		}
		if h.State == storage.StateUnreadable {
			t := wire.Target{Bucket: h.Bucket, Partition: at.Partition, Key: h.Key, Slot: at.Slot}
			r.noteDamagedHint(&t, h.Err)
			continue
		}
		r.hints.change(at, hintWeight{}, weightOf(h.Key, &h.Object))
	}
	c.upTo = last
	for name := range c.changed {
		if name <= c.upTo {
			delete(c.changed, name)
		}
	}
}

// inShard runs fn in the shard of a partition, and returns when it is over.
func (r *Replica) inShard(ctx context.Context, p uint16, fn func(*partition)) error {
	for {
		done := make(chan error, 1)
		err := r.store.Visit(p, func(err error) {
			if err == nil {
				fn(&r.parts[p])
			}
			done <- err
		})
		if err == nil {
			return <-done // the shard calls it, whatever happens
		}
		if !errors.Is(err, storage.ErrOverloaded) {
			return err
		}
		if err := sleep(ctx, removeBackoff); err != nil {
			return err
		}
	}
}
