// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// ErrNotJudged refuses to hand out hints before the group has judged this store, and where
// it refuses it.
var ErrNotJudged = errors.New("replica: the store serves nothing, its hints neither")

// Hint is a hint as it was read, on its way to the members of its slot.
type Hint struct {
	HintCell
	Bucket  kv.BucketID
	Key     []byte
	Object  kv.Object
	Encoded []byte // of Object, where it is at hand
	// Epoch is the purge epoch that the hint is at least of, from before it was read.
	Epoch kv.PurgeEpoch
	// Err says why the hint can not be read; it is kept.
	Err error
}

// IsMarker reports whether the hint stands for this node's own object.
func (h *Hint) IsMarker() bool { return h.Err == nil && isMarker(&h.Object) }

func (h *Hint) target() wire.Target {
	return wire.Target{Bucket: h.Bucket, Partition: h.Partition, Key: h.Key, Slot: h.Slot}
}

// HintStatus is what this node keeps for others.
type HintStatus struct {
	Counted bool  // the numbers hold what earlier lives have left, too
	Bytes   int64 // of all cells
	Limit   int64
	Refused uint64 // hints that there was no room for, since the start
	Unkept  uint64 // markers that were left to anti-entropy, since the start
	Cells   []HintTally
}

// HintStatus tells what this node keeps for others, from memory.
func (r *Replica) HintStatus() HintStatus {
	b := &r.hints
	s := HintStatus{
		Counted: b.counted.Load(), Limit: b.limit, Refused: b.refused.Load(),
		Unkept: b.unkept.Load(), Cells: b.tallies(),
	}
	for _, c := range s.Cells {
		s.Bytes += c.Bytes
	}
	return s
}

// Hints returns hints of a cell from a position on, in order of their keys: at most limit
// of them, and after the first no more than size bytes. next is the position after them,
// more whether there are others. What can not be read is among them, and alarmed.
func (r *Replica) Hints(at HintCell, from storage.Position, limit, size int) (
	page []Hint, next storage.Position, more bool, err error,
) {
	if !r.Status().Ready {
		return nil, from, false, ErrNotJudged
	}
	epoch := r.parts[at.Partition].stand().Stamp()
	found, next, more, err := r.store.In(storage.HintsFor(at.Slot)).Page(
		at.Partition, from, limit, size, storage.ModeFull)
	if err != nil {
		return nil, from, false, err
	}
	damaged := r.hints.someDamaged()
	for i := range found {
		f := &found[i]
		h := Hint{
			HintCell: at, Bucket: f.Bucket, Key: f.Key, Object: f.Object, Encoded: f.Encoded,
			Epoch: epoch,
		}
		if f.State == storage.StateUnreadable {
			h.Err = f.Err
			t := h.target()
			r.noteDamagedHint(&t, f.Err)
		} else if damaged {
			r.hints.mended(at, hintName(at, f.Bucket, f.Key), true)
		}
		page = append(page, h)
	}
	return page, next, more, nil
}

// Payload is what the members of the slot are to be sent for a hint: its own object, or of
// a marker this node's. nothing says that there is nothing to send, and never will be: the
// hint can go.
func (r *Replica) Payload(h *Hint) (object kv.Object, encoded []byte, nothing bool, err error) {
	if !h.IsMarker() {
		return h.Object, h.Encoded, false, h.Err
	}
	if _, member := r.cfg.Ring().SlotOf(h.Partition, r.cfg.Node); !member {
		r.hints.unkept.Add(1) // what this node held has gone to who came after it
		return kv.Object{}, nil, true, nil
	}
	cur, err := r.store.Read(h.Partition, h.Bucket, h.Key, storage.ModeFull)
	switch {
	case err != nil:
		return kv.Object{}, nil, false, err
	case cur.State == storage.StateUnreadable:
		t := h.target()
		r.noteUnreadable(&t, cur.Err)
		return kv.Object{}, nil, false, cur.Err
	case cur.State == storage.StateAbsent:
		// The write that left the marker was never stored here, or the key has been purged:
		// for that its owners have shown that all of them knew it.
		return kv.Object{}, nil, true, nil
	case !cur.Object.Context.Covers(h.Object.Context):
		return kv.Object{}, nil, false, fmt.Errorf("replica: own object of key %q lacks what its "+
			"marker stands for", h.Key)
	}
	return cur.Object, cur.Encoded, false, nil
}

// DropHint deletes a hint that every member of its slot has stored durably, if it still is
// what was sent (TRAPS S8): a hint that has changed meanwhile stays. A marker goes if its
// context is covered by that of what was sent. done hears, once and not before that is
// durable, whether it is gone; it must be quick.
func (r *Replica) DropHint(h *Hint, sent vclock.Context, done func(gone bool)) {
	d := &dropping{r: r, hint: h, sent: sent, told: done}
	d.op = storage.Op{
		Space: storage.HintsFor(h.Slot), Partition: h.Partition, Bucket: h.Bucket, Key: h.Key,
		Apply: d.apply, Done: d.done,
	}
	if err := r.store.Do(&d.op); err != nil {
		done(false)
	}
}

// dropping is the deletion of a hint on its way through the shard.
type dropping struct {
	r    *Replica
	hint *Hint
	sent vclock.Context
	op   storage.Op
	told func(gone bool)
	gone bool
}

func (d *dropping) apply(cur storage.Current) storage.Next {
	if d.gone = cur.State == storage.StateAbsent; d.gone {
		return storage.Keep()
	}
	if cur.State != storage.StatePresent || !d.delivered(&cur.Object) {
		return storage.Keep()
	}
	if err := d.r.cfg.Points.Hit(PointHintDrop); err != nil {
		return storage.Keep()
	}
	d.gone = true
	d.r.parts[d.hint.Partition].standIn.letGo(cur.Object.Context)
	return storage.Remove()
}

// delivered reports whether what stands there now is no more than what was sent.
func (d *dropping) delivered(now *kv.Object) bool {
	if d.hint.IsMarker() {
		return isMarker(now) && d.sent.Covers(now.Context)
	}
	return now.Dominates(d.hint.Object) && d.hint.Object.Dominates(*now)
}

func (d *dropping) done(result storage.Result) {
	d.gone = d.gone && result.Err == nil
	if d.gone {
		t := d.hint.target()
		d.r.traceHint(trace.HintDeleted, &t, &d.hint.Object, vclock.Context{})
		_ = d.r.cfg.Points.Hit(PointHintDropped) // it is gone: too late for an error
	}
	d.told(d.gone)
}

// TraceHintSent tells that a hint is on its way to the members of its slot.
func (r *Replica) TraceHintSent(h *Hint, object *kv.Object) {
	t := h.target()
	r.traceHint(trace.HintSent, &t, object, vclock.Context{})
}
