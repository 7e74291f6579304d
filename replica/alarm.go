// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// notePast ends the incarnations of a partition of which a context has dots that they have
// not issued.
func (r *Replica) notePast(number uint16, c vclock.Context) {
	for _, m := range r.parts[number].minters() {
		if beyond(c, m.last()) {
			r.rolledBack(m, number)
		}
	}
}

// rolledBack ends the incarnation where somebody, or the store itself, holds dots of it
// that it has not issued as far as it knows: the store lost writes of its own, and would
// issue these dots again (TRAPS C3).
func (r *Replica) rolledBack(m *minter, number uint16) {
	m.end()
	r.rollbacks.Add(1)
	r.log.Error("own dots from the future: the store lost writes of its own",
		zap.Uint16("partition", number))
}

// aheadAlarm counts stamps from the future, and tells of them now and then: a wrong clock
// stamps every write.
type aheadAlarm struct {
	count atomic.Uint64
	told  atomic.Int64 // Unix milliseconds
}

// aheadEvery is how long, in milliseconds, nothing more is said of stamps from the future.
const aheadEvery = 60_000

// noteAhead looks at what a copy brings. The version is merged all the same: to refuse it
// would keep the replicas apart for ever (docs/adr/0018).
func (r *Replica) noteAhead(t *wire.Target, held, came *kv.Object) {
	now := r.cfg.Now().UnixMilli()
	limit := kv.StampAt(now + r.cfg.MaxAhead.Milliseconds())
	newest, found := came.Winner()
	if !found || newest.Stamp <= limit || held.Context.Contains(newest.Dot) {
		return
	}
	r.ahead.count.Add(1)
	told := r.ahead.told.Load()
	if told != 0 && now >= told && now-told < aheadEvery || !r.ahead.told.CompareAndSwap(told, now) {
		return
	}
	r.log.Error("a version is stamped far ahead: a clock is wrong, of the node that minted it, "+
		"of the one that was written after, or this node's",
		zap.Uint16("minted-by", newest.Dot.Actor.Node()),
		zap.Duration("ahead", time.Duration(newest.Stamp.UnixMilli()-now)*time.Millisecond),
		zap.Uint16("partition", t.Partition), zap.Binary("key", t.Key))
}

// noteUnreadable counts and tells of a damaged record, and has the partition scanned: its
// tree must not have the record as it was.
func (r *Replica) noteUnreadable(t *wire.Target, err error) {
	r.unreadable.Add(1)
	r.parts[t.Partition].tree.suspect.Store(true)
	if r.cfg.Damaged != nil {
		r.cfg.Damaged(t.Partition, t.Bucket, t.Key)
	}
	r.log.Error("record unreadable", zap.Uint16("partition", t.Partition),
		zap.Binary("key", t.Key), zap.Error(err))
}

// noteDamagedHint counts and tells of a damaged hint, once for each. It stays where it is.
func (r *Replica) noteDamagedHint(t *wire.Target, err error) {
	at := HintCell{t.Partition, t.Slot}
	if !r.hints.damage(at, hintName(at, t.Bucket, t.Key)) {
		return
	}
	r.unreadable.Add(1)
	r.log.Error("hint unreadable: it is kept, and can not be delivered",
		zap.Uint16("partition", t.Partition), zap.Uint8("slot", t.Slot),
		zap.Binary("key", t.Key), zap.Error(err))
}

// traceHint tells what became of a hint: by the newest version of o, and what covers holds.
func (r *Replica) traceHint(
	kind trace.Kind, t *wire.Target, o *kv.Object, covers vclock.Context,
) {
	if !r.cfg.Trace.Enabled() {
		return
	}
	newest, _ := o.Winner()
	event := trace.Event{
		Kind: kind, Bucket: uint32(t.Bucket), Partition: uint32(t.Partition), Key: t.Key,
		Slot: t.Slot, Actor: uint64(newest.Dot.Actor), Counter: newest.Dot.Counter,
	}
	if current := r.cfg.Ring(); current != nil {
		if slots := current.Placement(t.Partition).Slots; int(t.Slot) < len(slots) {
			event.Peer = uint16(slots[t.Slot].Owner)
		}
	}
	for d := range covers.Vector {
		event.Covers = append(event.Covers, trace.Dots{Actor: uint64(d.Actor), Counter: d.Counter})
	}
	for d := range covers.Dots {
		event.Covers = append(event.Covers,
			trace.Dots{Actor: uint64(d.Actor), Counter: d.Counter, Alone: true})
	}
	r.cfg.Trace.Emit(event)
}

func (r *Replica) traceMinted(t *wire.Target, d vclock.Dot, request *kv.RequestID) {
	r.cfg.Trace.Emit(trace.Event{
		Kind: trace.DotMinted, Bucket: uint32(t.Bucket), Partition: uint32(t.Partition),
		Key: t.Key, Slot: t.Slot, Actor: uint64(d.Actor), Counter: d.Counter, Request: request[:],
	})
}

// traceApplied tells of a merge, by the newest version that it brought.
func (r *Replica) traceApplied(t *wire.Target, o *kv.Object) {
	if !r.cfg.Trace.Enabled() {
		return
	}
	var newest kv.Version
	for _, v := range o.Versions {
		if v.Stamp >= newest.Stamp {
			newest = v
		}
	}
	r.cfg.Trace.Emit(trace.Event{
		Kind: trace.Applied, Bucket: uint32(t.Bucket), Partition: uint32(t.Partition),
		Key: t.Key, Slot: t.Slot, Actor: uint64(newest.Dot.Actor), Counter: newest.Dot.Counter,
	})
}

// encode returns an object's encoding in a slice that fits it, about.
func encode(o *kv.Object) []byte {
	return wire.AppendObject(make([]byte, 0, 32+o.Size()), o)
}
