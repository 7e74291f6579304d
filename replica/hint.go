// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// checkFallback is check for what this node is to do in the place of an owner.
//
// A store that the group has not confirmed since its start may be a fallback: a hint counts
// for w only, which such a store counts for as an owner too. A refused one may not: it may
// be a copy of one that runs elsewhere, whose hints nobody would ever deliver.
func (r *Replica) checkFallback(t *wire.Target) (wire.Standing, refusal) {
	status := r.status.Load()
	s := wire.Standing{
		Role: kv.RoleNotReady, Instance: r.cfg.Instance, Confirmed: status.Confirmed,
	}
	current := r.cfg.Ring()
	if current == nil {
		return s, refuse("the cluster has not been formed yet")
	}
	if int(t.Partition) >= len(r.parts) {
		s.Role = kv.RoleNotOwner
		return s, refuse("there is no partition %d", t.Partition)
	}
	s.Epoch = r.parts[t.Partition].stand().Stamp()
	placement := current.Placement(t.Partition)
	s.Placement = placement.Version
	if !status.Ready {
		return s, refuse("not ready: %s", status.Reason)
	}
	if _, member := current.SlotOf(t.Partition, r.cfg.Node); member {
		// One copy at a node must not count twice, and what is kept for another must not be
		// taken for what this node owns (TRAPS S10, S12).
		s.Role = kv.RoleOwner
		return s, refuse("a member of the partition keeps no hints for it")
	}
	s.Role = kv.RoleFallback
	switch {
	case t.Instance != r.cfg.Instance:
		return s, refuse("this store is instance %d, not %d", r.cfg.Instance, t.Instance)
	case t.Placement > placement.Version:
		return s, refuse("this node knows placement %d, the request is of %d",
			placement.Version, t.Placement)
	case int(t.Slot) >= len(placement.Slots):
		return s, refuse("the partition has no slot %d", t.Slot)
	case r.deleted(t.Bucket):
		return s, refusal{wire.ReplicaNoBucket, "the bucket has been deleted"}
	}
	return s, refusal{}
}

// keepHint merges a hint with what stands there for the same slot and key.
func (a *arrival) keepHint(cur storage.Current) storage.Next {
	a.held = cur.Object
	if isMarker(&cur.Object) {
		// Of a time when this node was an owner, and its own object was what the marker stood
		// for. Merged, it would delete what it covers.
		a.r.hints.unkept.Add(1)
		cur.Object, cur.Full = kv.Object{}, true
	}
	a.covers = cur.Object.Context.Join(a.req.Object.Context)
	return a.merge(cur)
}

// fits reports whether there is room for the hint.
func (a *arrival) fits(object *kv.Object) bool {
	r, key := a.r, a.req.Key
	if r.hints.room(weightOf(key, &a.held), weightOf(key, object)) {
		return true
	}
	r.hints.refused.Add(1)
	a.reply.Code = wire.ReplicaOverloaded
	a.reply.Detail = fmt.Sprintf("this node keeps %d bytes of hints for others, as many as it may",
		r.hints.limit)
	return false
}

// readHints answers a read where this node is no member of the key's partition: with the
// merge of what its hints have of it, whatever their slot. That it has none is no answer to
// what the key holds, and counts for nothing (TRAPS S3).
func (r *Replica) readHints(req *wire.ReadRequest) wire.ReadReply {
	var reply wire.ReadReply
	var why refusal
	target := req.Target
	target.Slot = 0 // that of a read says nothing
	if reply.Standing, _, why = r.admitAs(&target, r.checkFallback); why.refused() {
		reply.Code, reply.Detail = why.code, why.detail
		return reply
	}
	object, err := r.hintsOf(&target, req.Mode)
	if err == nil {
		err = r.cfg.Points.Hit(PointRead)
	}
	switch {
	case errors.Is(err, storage.ErrUnreadable):
		reply.Code, reply.Detail = wire.ReplicaUnreadable, err.Error()
		return reply
	case err != nil:
		reply.Code, reply.Detail = codeOf(err)
		return reply
	}
	if now, why := r.checkFallback(&target); why.refused() {
		reply.Standing, reply.Code, reply.Detail = now, why.code, why.detail
		return reply
	}
	reply.Code, reply.Object = wire.ReplicaOK, object
	return reply
}

// hintsOf merges the hints of a key.
func (r *Replica) hintsOf(t *wire.Target, want wire.ReadMode) (merged kv.Object, err error) {
	mode := storage.ModeFull
	if want == wire.ReadBare {
		mode = storage.ModeBare
	}
	for slot := range r.cfg.Ring().Placement(t.Partition).Slots {
		at := HintCell{t.Partition, uint8(slot)}
		if !r.hints.holds(at) {
			continue
		}
		cur, err := r.store.In(storage.HintsFor(at.Slot)).Read(t.Partition, t.Bucket, t.Key, mode)
		if err != nil {
			return kv.Object{}, err
		}
		if cur.State == storage.StateUnreadable {
			damaged := *t
			damaged.Slot = at.Slot
			r.noteDamagedHint(&damaged, cur.Err)
			return kv.Object{}, cur.Err
		}
		if !isMarker(&cur.Object) {
			merged = kv.Merge(merged, cur.Object)
		}
	}
	if mode == storage.ModeBare {
		return bare(merged), nil
	}
	return merged, nil
}

// Mark notes that the member of a slot lacks what a context covers, which this node, an
// owner, holds: where there is no fallback nobody else would. done hears, once and not
// before the note is durable, whether it was kept; what was not is left to anti-entropy, and
// counted. done must be quick.
func (r *Replica) Mark(
	partition uint16, slot uint8, bucket kv.BucketID, key []byte, lacks vclock.Context,
	done func(kept bool),
) {
	m := &marking{r: r, at: HintCell{partition, slot}, lacks: lacks, told: done}
	m.op = storage.Op{
		Space: storage.HintsFor(slot), Partition: partition, Bucket: bucket, Key: key,
		Bytes: lacks.EncodedSize(), Apply: m.apply, Done: m.done,
	}
	if int(partition) >= len(r.parts) || lacks.IsEmpty() {
		m.end(false)
		return
	}
	if err := r.store.Do(&m.op); err != nil {
		m.end(false)
	}
}

// marking is a marker on its way through the shard.
type marking struct {
	r     *Replica
	at    HintCell
	lacks vclock.Context
	op    storage.Op
	told  func(kept bool)
	kept  bool
}

func (m *marking) apply(cur storage.Current) storage.Next {
	r := m.r
	current := r.cfg.Ring()
	_, member := current.SlotOf(m.at.Partition, r.cfg.Node)
	switch {
	case cur.State == storage.StateUnreadable:
		r.noteDamagedHint(&wire.Target{
			Bucket: m.op.Bucket, Partition: m.at.Partition, Key: m.op.Key, Slot: m.at.Slot,
		}, cur.Err)
		return storage.Keep()
	case !member, !r.Status().Ready, r.deleted(m.op.Bucket),
		int(m.at.Slot) >= len(current.Placement(m.at.Partition).Slots):
		return storage.Keep()
	case !cur.Object.IsZero() && !isMarker(&cur.Object):
		// A hint of a time when this node was no member. The marker's context must not be
		// merged into it, and there is no room for both.
		return storage.Keep()
	}
	if err := r.cfg.Points.Hit(PointMark); err != nil {
		return storage.Keep()
	}
	if m.kept = cur.Object.Context.Covers(m.lacks); m.kept {
		return storage.Keep()
	}
	marker := kv.Object{Context: cur.Object.Context.Join(m.lacks)}
	before, after := weightOf(m.op.Key, &cur.Object), weightOf(m.op.Key, &marker)
	if m.kept = r.hints.room(before, after); !m.kept {
		return storage.Keep()
	}
	return storage.Put(marker, nil, nil)
}

func (m *marking) done(result storage.Result) { m.end(m.kept && result.Err == nil) }

func (m *marking) end(kept bool) {
	if !kept {
		m.r.hints.unkept.Add(1)
	}
	m.told(kept)
}
