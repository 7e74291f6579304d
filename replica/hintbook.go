// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// HintCell is where hints stand: what one node keeps for the members of one slot.
type HintCell struct {
	Partition uint16
	Slot      uint8
}

func (c HintCell) compare(d HintCell) int {
	return cmp.Or(cmp.Compare(c.Partition, d.Partition), cmp.Compare(c.Slot, d.Slot))
}

// HintTally is what stands in a cell.
type HintTally struct {
	HintCell
	Hints   int   // with versions
	Markers int   // without: what they stand for is this node's own object
	Bytes   int64 // of both, about
	Damaged int   // records that can not be read, as far as they were met; neither of both
	// Oldest is the time of the oldest version in a hint, in Unix milliseconds; 0: there is
	// none. Where that hint is gone it may be up to a minute before the next one's. Markers
	// have no version, and no age.
	Oldest int64
}

// hintWeight is what one record adds to its cell. That of a damaged one is zero: nothing is
// known of it.
type hintWeight struct {
	hints, markers int
	bytes          int64
	oldest         int64 // version, in Unix milliseconds; 0: it has none
}

const (
	// hintOverhead is what a hint takes beside key and object: record and key heads.
	hintOverhead = 64
	minute       = 60_000 // in milliseconds
	// maxDamaged bounds the damaged hints that are remembered, to be told of once each. A
	// store that has more of them has a broken disk.
	maxDamaged = 4096
)

// isMarker reports whether an object of a hint space is a marker: a context without
// versions. It must never be merged into anything: it covers what it does not hold.
func isMarker(o *kv.Object) bool { return len(o.Versions) == 0 && !o.Context.IsEmpty() }

// weightOf is the weight of a record; that of none is zero.
func weightOf(key []byte, o *kv.Object) hintWeight {
	if o.IsZero() {
		return hintWeight{}
	}
	w := hintWeight{bytes: hintOverhead + int64(len(key)+o.Size())}
	if isMarker(o) {
		w.markers = 1
		return w
	}
	w.hints = 1
	oldest := o.Versions[0].Stamp
	for _, v := range o.Versions {
		oldest = min(oldest, v.Stamp)
	}
	w.oldest = max(1, oldest.UnixMilli())
	return w
}

// hintTotals are those of one cell.
type hintTotals struct {
	hints, markers int
	bytes          int64
	minutes        map[int64]minuteTally
	// damaged are records by their keys. true: it is among hints or markers, since it could be
	// read when it was counted.
	damaged map[string]bool
}

// minuteTally is how many hints there are whose oldest version is of one minute.
type minuteTally struct {
	hints  int
	oldest int64 // of all that there were, in Unix milliseconds
}

func (t *hintTotals) empty() bool {
	return t.hints == 0 && t.markers == 0 && len(t.damaged) == 0
}

func (t *hintTotals) add(w hintWeight, sign int) {
	t.hints += sign * w.hints
	t.markers += sign * w.markers
	t.bytes += int64(sign) * w.bytes
	if w.oldest == 0 {
		return
	}
	m := t.minutes[w.oldest/minute]
	if m.hints += sign; m.hints == 0 {
		delete(t.minutes, w.oldest/minute)
		return
	}
	if m.oldest == 0 || sign > 0 && w.oldest < m.oldest {
		m.oldest = w.oldest
	}
	t.minutes[w.oldest/minute] = m
}

// hintBook is what a node knows of the hints that it keeps, without reading them.
type hintBook struct {
	limit int64 // immutable
	// counted: what had been there before the start is in the book.
	counted atomic.Bool
	refused atomic.Uint64 // hints, at the limit
	unkept  atomic.Uint64 // markers that were left to anti-entropy

	mu sync.Mutex
	// Guarded by mu.
	cells   map[HintCell]*hintTotals // none is empty
	bytes   int64                    // of all cells
	damaged int                      // of all cells
	stored  map[kv.NodeID]*HintsStored
}

// HintsStored is how many records were stored for a member since the start, again and again
// where one took the place of another.
type HintsStored struct{ Hints, Markers uint64 }

// note counts a record that was stored for a member.
func (b *hintBook) note(node kv.NodeID, w hintWeight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stored[node]
	if s == nil { // one for each member that ever was: bounded by node numbers
		s = &HintsStored{}
		if b.stored == nil {
			b.stored = make(map[kv.NodeID]*HintsStored)
		}
		b.stored[node] = s
	}
	s.Hints += uint64(w.hints)
	s.Markers += uint64(w.markers)
}

// HintsStored tells what was stored for each member since the start.
func (r *Replica) HintsStored() map[kv.NodeID]HintsStored {
	b := &r.hints
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[kv.NodeID]HintsStored, len(b.stored))
	for node, s := range b.stored {
		all[node] = *s
	}
	return all
}

// room reports whether one record may take the place of another. Shards ask and change at
// the same time, so together they may go above the limit by a record each.
func (b *hintBook) room(less, more hintWeight) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	grown := more.bytes - less.bytes
	return grown <= 0 || b.bytes+grown <= b.limit
}

// change takes one weight from a cell and adds another.
func (b *hintBook) change(at HintCell, less, more hintWeight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.totals(at)
	t.add(less, -1)
	t.add(more, +1)
	b.bytes += more.bytes - less.bytes
	b.settle(at, t)
}

// totals returns those of a cell, new ones where it is empty. mu is held.
func (b *hintBook) totals(at HintCell) *hintTotals {
	t := b.cells[at]
	if t == nil {
		t = &hintTotals{minutes: make(map[int64]minuteTally), damaged: make(map[string]bool)}
		b.cells[at] = t
	}
	return t
}

// keeps reports whether there are hints of a partition; markers, which stand for what this
// node owns, are none. A damaged record may have been anything.
func (b *hintBook) keeps(partition uint16) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, t := range b.cells {
		if at.Partition == partition && (t.hints > 0 || len(t.damaged) > 0) {
			return true
		}
	}
	return false
}

// settle forgets a cell that has become empty. mu is held.
func (b *hintBook) settle(at HintCell, t *hintTotals) {
	if t.empty() {
		b.bytes -= t.bytes // a damaged record took what it weighed with it
		delete(b.cells, at)
	}
}

// damage notes a record that can not be read, and reports whether it is news.
func (b *hintBook) damage(at HintCell, record string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.totals(at)
	if _, known := t.damaged[record]; known || b.damaged >= maxDamaged {
		b.settle(at, t)
		return false
	}
	t.damaged[record] = b.counted.Load() // all that could be read then are in the book
	b.damaged++
	return true
}

// mended forgets that a record is damaged, if it was called so: it is gone or replaced, or
// it is readable after all, as where a disk fails for a moment.
func (b *hintBook) mended(at HintCell, record string, readable bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.cells[at]
	if t == nil {
		return
	}
	weighed, known := t.damaged[record]
	if !known {
		return
	}
	delete(t.damaged, record)
	b.damaged--
	switch { // what it weighs nobody can tell any more
	case readable || !weighed:
	case t.hints > 0:
		t.hints--
	case t.markers > 0:
		t.markers--
	}
	b.settle(at, t)
}

// someDamaged reports whether any record is called damaged.
func (b *hintBook) someDamaged() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.damaged > 0
}

// holds reports whether there may be a hint in a cell.
func (b *hintBook) holds(at HintCell) bool {
	if !b.counted.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cells[at] != nil
}

// tallies are those of all cells that have something, in order.
func (b *hintBook) tallies() []HintTally {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]HintTally, 0, len(b.cells))
	for _, at := range slices.SortedFunc(maps.Keys(b.cells), HintCell.compare) {
		t := b.cells[at]
		list = append(list, t.tally(at))
	}
	return list
}

// tally is what is told of a cell.
func (t *hintTotals) tally(at HintCell) HintTally {
	tally := HintTally{
		HintCell: at, Hints: t.hints, Markers: t.markers, Bytes: t.bytes, Damaged: len(t.damaged),
	}
	for _, weighed := range t.damaged { // as many of both as can be read
		switch {
		case !weighed:
		case tally.Hints > 0:
			tally.Hints--
		case tally.Markers > 0:
			tally.Markers--
		}
	}
	for _, m := range t.minutes { // the least: their order does not matter
		if tally.Oldest == 0 || m.oldest < tally.Oldest {
			tally.Oldest = m.oldest
		}
	}
	return tally
}

// hintName is the key of a hint's record: it orders the hints of a partition.
func hintName(at HintCell, bucket kv.BucketID, key []byte) string {
	return string(wire.AppendHintKey(nil, at.Partition, at.Slot, bucket, key))
}
