// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// StoreRequest is a copy of an object that this replica is to merge into its own. Its
// Key, Object and Raw are kept: they must not share memory with a buffer that is used
// again.
type StoreRequest struct {
	*wire.StoreRequest
	Deadline time.Time
	// Done is called exactly once, after the commit that the answer rests on. It must
	// be quick.
	Done func(wire.StoreReply)
}

// arrival is one copy on its way through the shard.
type arrival struct {
	r   *Replica
	req StoreRequest
	// check is whether this node may take it: as an owner, or as a fallback.
	check func(*wire.Target) (wire.Standing, refusal)
	op    storage.Op
	reply wire.StoreReply

	// Of a hint: what stands there now, and what it covers afterwards.
	held   kv.Object
	covers vclock.Context
	// mends says that the copy may take the place of a record that can not be read.
	mends bool
}

// Store merges a copy into the local object, durably, or refuses. What is for a fallback
// it merges into the hint for the slot that the copy names.
func (r *Replica) Store(req StoreRequest) {
	a := &arrival{r: r, req: req, check: r.checkCopy}
	if a.hint() {
		a.check = r.checkFallback
		a.op.Space = storage.HintsFor(req.Slot)
	}
	r.take(a)
}

// Mend is Store for what all other owners hold of a key, and puts it in the place of a
// record that can not be read: the caller knows that this node holds all of the key then
// that it was ever counted for. Where nobody holds anything the record is removed.
func (r *Replica) Mend(req StoreRequest) {
	r.take(&arrival{r: r, req: req, check: r.check, mends: true})
}

func (r *Replica) take(a *arrival) {
	req := a.req
	var why refusal
	if a.reply.Standing, _, why = r.admitAs(&req.Target, a.check); !why.refused() {
		why = a.unfit()
	}
	if why.refused() {
		a.reply.Code, a.reply.Detail = why.code, why.detail
		req.Done(a.reply)
		return
	}
	a.op = storage.Op{
		Space: a.op.Space, Partition: req.Partition, Bucket: req.Bucket, Key: req.Key,
		Deadline: req.Deadline, Bytes: req.Object.Size(), Apply: a.apply, Done: a.done,
	}
	if err := r.store.Do(&a.op); err != nil {
		a.reply.Code, a.reply.Detail = codeOf(err)
		req.Done(a.reply)
	}
}

// unfit says why the copy itself can not be taken, whoever it is for.
func (a *arrival) unfit() refusal {
	switch {
	case !a.req.Object.HasValues():
		return refuse("the copy lacks values")
	case a.hint() && len(a.req.Object.Versions) == 0:
		return refuse("a hint without a version keeps nothing")
	}
	return refusal{}
}

func (a *arrival) hint() bool { return a.req.Role == kv.RoleFallback }

// apply runs in the shard: all checks and the merge are one step.
func (a *arrival) apply(cur storage.Current) storage.Next {
	r, part := a.r, &a.r.parts[a.req.Partition]
	var why refusal
	if a.reply.Standing, why = a.check(&a.req.Target); why.refused() {
		a.reply.Code, a.reply.Detail = why.code, why.detail
		return storage.Keep()
	}
	if at := part.stand(); !at.Accepts(a.req.Epoch, !a.hint()) {
		a.reply.Code, a.reply.Epoch = wire.ReplicaStaleEpoch, at.Adopted
		a.reply.Detail = fmt.Sprintf("read under purge epoch %d, now %d", a.req.Epoch, at.Adopted)
		return storage.Keep()
	}
	r.notePast(a.req.Partition, a.req.Object.Context) // the data is welcome all the same
	if a.mends && cur.State == storage.StatePresent && !cur.Full {
		return storage.Load() // a value may be what is damaged
	}
	if cur.State == storage.StateUnreadable {
		if a.hint() {
			part.standIn.end()
			r.noteDamagedHint(&a.req.Target, cur.Err) // kept: it may be all that there is (TRAPS S6)
		} else {
			part.end()
			if a.mends {
				return a.mend()
			}
			r.noteUnreadable(&a.req.Target, cur.Err)
		}
		a.reply.Code, a.reply.Detail = wire.ReplicaUnreadable, cur.Err.Error()
		return storage.Keep()
	}
	if a.req.Class == kv.ClassClientWrite && a.req.Object.Fence < cur.Object.Fence {
		// The merge would drop it, and its writer would hear that it was stored. Copies
		// of what was acknowledged earlier are merged whatever their fence (TRAPS F3).
		a.reply.Code = wire.ReplicaFenced
		a.reply.Detail = fmt.Sprintf("fence %d holds the key, the write has %d",
			cur.Object.Fence, a.req.Object.Fence)
		return storage.Keep()
	}
	if kv.Collides(cur.Object, a.req.Object) {
		r.collisions.Add(1)
		r.log.Error("one dot, two contents: a dot was issued twice or a record is damaged",
			zap.Uint16("partition", a.req.Partition), zap.Binary("key", a.req.Key))
	}
	if err := r.cfg.Points.Hit(a.point(PointMerge, PointHint)); err != nil {
		a.reply.Code, a.reply.Detail = wire.ReplicaFailed, err.Error()
		return storage.Keep()
	}
	r.noteAhead(&a.req.Target, &cur.Object, &a.req.Object)
	a.reply.Code = wire.ReplicaOK
	if a.hint() {
		return a.keepHint(cur)
	}
	return a.merge(cur)
}

// point is the failpoint of a copy for an owner, or that of a hint.
func (a *arrival) point(owner, hint string) string {
	if a.hint() {
		return hint
	}
	return owner
}

// merge stores the join of both copies, and spares what it can: an arrival that
// dominates is kept as the bytes it came in, and one that brings nothing is not
// written at all.
func (a *arrival) merge(cur storage.Current) storage.Next {
	if mutant.On(mutant.CopyReplaces) {
		return a.put(a.req.Object, a.req.Raw)
	}
	if a.req.Object.Dominates(cur.Object) {
		if collapsed := a.req.Object.Collapse(); len(collapsed.Versions) < len(a.req.Object.Versions) {
			return a.put(collapsed, nil)
		}
		if cur.Object.Dominates(a.req.Object) {
			return storage.Keep()
		}
		return a.put(a.req.Object, a.req.Raw)
	}
	merged := kv.Merge(cur.Object, a.req.Object).Collapse()
	if cur.Object.Dominates(merged) {
		return storage.Keep()
	}
	if !merged.HasValues() {
		return storage.Load()
	}
	return a.put(merged, nil)
}

// mend takes the place of a record that can not be read. The incarnation has ended: the
// store may lack dots of its own of this key (TRAPS C2).
func (a *arrival) mend() storage.Next {
	a.reply.Code = wire.ReplicaOK
	if a.req.Object.IsZero() {
		return storage.Remove()
	}
	return a.put(a.req.Object.Collapse(), nil)
}

func (a *arrival) put(object kv.Object, encoded []byte) storage.Next {
	if a.hint() && !a.fits(&object) {
		return storage.Keep()
	}
	a.r.traceApplied(&a.req.Target, &a.req.Object)
	return storage.Put(object, encoded, nil)
}

func (a *arrival) done(result storage.Result) {
	switch {
	case result.Err != nil:
		a.reply.Code, a.reply.Detail = codeOf(result.Err)
	case a.reply.Code == wire.ReplicaOK:
		if a.hint() {
			a.r.traceHint(trace.HintStored, &a.req.Target, &a.req.Object, a.covers)
		}
		if now, why := a.check(&a.req.Target); why.refused() {
			a.reply.Standing, a.reply.Code = now, wire.ReplicaFailed
			a.reply.Detail = storedTooLate + why.detail
		} else if err := a.r.cfg.Points.Hit(a.point(PointStored, PointHintStored)); err != nil {
			a.reply.Code, a.reply.Detail = wire.ReplicaFailed, err.Error()
		}
	}
	a.req.Done(a.reply)
}

// storedTooLate begins the answer where the replica stopped being one between the apply
// and the answer: what was stored counts for nothing any more (TRAPS T4).
const storedTooLate = "stored, and given up before the answer: "

// codeOf tells a store's error in the words of the peer protocol.
func codeOf(err error) (wire.ReplicaCode, string) {
	switch {
	case errors.Is(err, storage.ErrOverloaded), errors.Is(err, storage.ErrDiskFull):
		return wire.ReplicaOverloaded, err.Error()
	case errors.Is(err, storage.ErrExpired):
		return wire.ReplicaExpired, err.Error()
	case errors.Is(err, storage.ErrClosed):
		return wire.ReplicaShuttingDown, err.Error()
	case errors.Is(err, storage.ErrTooBig), errors.Is(err, storage.ErrIncomplete):
		return wire.ReplicaRefused, err.Error()
	default:
		return wire.ReplicaFailed, err.Error()
	}
}
