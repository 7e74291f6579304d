// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// MintRequest is a client's write at the node that coordinates it. Value and Key are
// kept: they must not share memory with a buffer that is used again.
type MintRequest struct {
	wire.Target
	Role      kv.Role // RoleOwner, or RoleFallback where no owner can be reached
	Kind      kv.Kind
	Value     []byte
	ExpiresAt int64          // Unix milliseconds, 0 for never
	Seen      vclock.Context // what the writer based the write on
	// LWW bases the write on all that this node holds of the key as well: in a bucket that
	// shows one winner, the last write that an owner took is it, and what it beats can go.
	LWW bool
	// After is the highest stamp that the writer was shown; the write's is above it.
	After kv.Stamp
	// Stamp, where it is set, is the write's: it is no news, and must beat nothing that is.
	Stamp    kv.Stamp
	Fence    kv.Fence
	Request  kv.RequestID
	Deadline time.Time

	// Minted, where it is set, is called at most once, when the write has its dot and
	// before it is durable: the sends to the other owners go out beside the local commit.
	// It runs in the store's shard and must be quick.
	Minted func(MintReply)
	// Done is called exactly once: after the local commit, or when it is certain or
	// must be feared that there is none. It must be quick.
	Done func(MintReply)
}

// MintReply is how a mint stands.
type MintReply struct {
	wire.Standing
	Code   wire.ReplicaCode
	Detail string
	Err    error // the sentinel behind a refusal that the client must hear of

	// Object is what the other owners are to merge, with all values; Encoded is its
	// encoding where it is at hand. Dot is the write's. Repeat says that the dot was
	// minted by an earlier try of the same request.
	Object  kv.Object
	Encoded []byte
	Dot     vclock.Dot
	Repeat  bool
}

// mint is one write on its way through the shard.
type mint struct {
	r       *Replica
	req     *MintRequest
	minter  *minter
	check   func(*wire.Target) (wire.Standing, refusal)
	op      storage.Op
	keyHash uint64

	// Of a fallback: what its hints of the key for other slots had before the mint's turn,
	// and what stands in the one that it mints into.
	others kv.Object
	held   kv.Object

	reply  MintReply
	issued bool // a new dot was given out
}

// Mint gives a client's write its dot, merges it into the local object and stores it
// durably, or refuses (I1 to I4). A fallback mints into its hint for one slot.
func (r *Replica) Mint(req *MintRequest) {
	m := &mint{r: r, req: req, check: r.check}
	if req.Role == kv.RoleFallback {
		m.check, m.op.Space = r.checkFallback, storage.HintsFor(StandInSlot)
	}
	var why refusal
	m.reply.Standing, m.keyHash, why = r.admitAs(&req.Target, m.check)
	if m.minter = r.minterOf(req.Partition, req.Role); m.minter == nil && !why.refused() {
		why = refuse("nobody mints as %v", req.Role)
	}
	if req.Role == kv.RoleFallback && !why.refused() {
		why = m.readOthers()
	}
	if why.refused() {
		_ = m.refusedAs(why, ErrMayNotMint)
		req.Done(m.reply)
		return
	}
	m.op = storage.Op{
		Space: m.op.Space, Partition: req.Partition, Bucket: req.Bucket, Key: req.Key,
		Deadline: req.Deadline, Bytes: len(req.Value) + m.others.Size(),
		Apply: m.apply, Done: m.done,
	}
	if err := r.store.Do(&m.op); err != nil {
		m.fail(err)
		req.Done(m.reply)
	}
}

// apply runs in the shard: all checks and the mint are one step.
func (m *mint) apply(cur storage.Current) storage.Next {
	r, part := m.r, &m.r.parts[m.req.Partition]
	var why refusal
	if m.reply.Standing, why = m.check(&m.req.Target); why.refused() {
		return m.refusedAs(why, ErrMayNotMint)
	}
	placement := r.cfg.Ring().Placement(m.req.Partition)
	if m.req.Role == kv.RoleOwner && !mayCoordinate(placement, r.cfg.Node) {
		return m.refused("this copy of the partition has no history yet, or is leaving", ErrMayNotMint)
	}
	if cur.State == storage.StateUnreadable {
		return m.damaged(cur)
	}
	if m.req.Role == kv.RoleFallback {
		cur = m.withOthers(cur)
	}
	if m.minter.lost.Swap(false) {
		m.minter.end()
	}
	r.notePast(m.req.Partition, cur.Object.Context)
	resume := keepsIncarnations(r.past.Stop, r.Status().Confirmed)
	if beyond(m.req.Seen, m.minter.present(resume)) {
		return m.refused(ErrContext.Error(), ErrContext)
	}
	if !m.req.Request.IsZero() && !mutant.On(mutant.RequestsForgotten) {
		if next, repeated := m.repeated(part, cur); repeated {
			return next
		}
	}
	if err := r.cfg.Points.Hit(PointMint); err != nil {
		return m.refused(err.Error(), fmt.Errorf("%w: %w", ErrMayNotMint, err))
	}
	return m.write(part, cur, resume)
}

// repeated answers a retry with the dot that the request was given before (I4).
func (m *mint) repeated(part *partition, cur storage.Current) (storage.Next, bool) {
	dot, found := vclock.Dot{}, false
	key := requestKey{id: m.req.Request, keyHash: m.keyHash}
	if earlier, known := part.requests.find(key, m.r.cfg.Now().UnixMilli()); known {
		// A dot whose object could not be stored is no answer.
		dot, found = earlier, cur.Object.Context.Contains(earlier)
	} else if twin, known := findRequest(cur.Object, m.req.Request); known {
		// Another coordinator minted it, and its write has come here already.
		dot, found = twin.Dot, true
	}
	if !found {
		return storage.Next{}, false
	}
	if !cur.Full {
		return storage.Load(), true
	}
	if !m.fits(&cur.Object) {
		return storage.Keep(), true
	}
	m.reply.Code, m.reply.Repeat = wire.ReplicaOK, true
	m.reply.Object, m.reply.Encoded, m.reply.Dot = cur.Object, cur.Encoded, dot
	_ = m.r.cfg.Points.Hit(PointRepeat) // the earlier try may have stored it: no error fits
	m.minted()
	return m.again(cur.Object, dot), true
}

// write mints a new version.
func (m *mint) write(part *partition, cur storage.Current, resume bool) storage.Next {
	r, now := m.r, m.r.cfg.Now().UnixMilli()
	version := kv.Version{
		Kind: m.req.Kind, Value: m.req.Value, ExpiresAt: m.req.ExpiresAt,
		Fence: m.req.Fence, Request: m.req.Request,
	}
	if mutant.On(mutant.KeepIncarnation) && m.minter.actor == 0 {
		m.minter.actor = vclock.Actor(r.cfg.Node)<<48 | 1
		m.minter.counter = cur.Object.Context.Max(m.minter.actor)
	}
	if m.minter.begins(resume) {
		if err := r.cfg.Points.Hit(PointIncarnation); err != nil {
			return m.refused(err.Error(), err)
		}
	}
	// A refused or repeated try leaves a gap in the counters, which means nothing.
	var err error
	version.Dot, version.Stamp, err = m.minter.next(
		now, max(cur.Object.LatestStamp(), m.req.After), resume, r.cfg.Incarnation)
	if err != nil {
		return m.refused(err.Error(), err)
	}
	if m.req.Stamp != 0 {
		version.Stamp = m.req.Stamp
	}
	seen := m.req.Seen
	if m.req.LWW {
		seen = seen.Join(cur.Object.Context)
	}
	object, err := cur.Object.Put(version.Sealed(), seen)
	if err != nil {
		if errors.Is(err, kv.ErrDotReused) {
			m.minter.end() // nobody can say which dots were issued; the next try gets another
		}
		return m.refused(err.Error(), err)
	}
	if !object.HasValues() && !cur.Full {
		return storage.Load()
	}
	if !m.fits(&object) {
		return storage.Keep()
	}
	var note *wire.JournalEntry
	if !m.req.Request.IsZero() {
		part.requests.add(requestKey{id: m.req.Request, keyHash: m.keyHash}, version.Dot, now)
		note = &wire.JournalEntry{
			Request: m.req.Request, Dot: version.Dot, KeyHash: m.keyHash, At: now,
		}
	}
	encoded := encode(&object)
	m.issued = true
	r.traceMinted(&m.req.Target, version.Dot, &m.req.Request)
	m.reply.Code, m.reply.Dot = wire.ReplicaOK, version.Dot
	m.reply.Object, m.reply.Encoded = object, encoded
	_ = r.cfg.Points.Hit(PointSends) // it has its dot: too late for an error
	m.minted()
	return storage.Put(object, encoded, note).Stamped(m.minter.stamp)
}

// damaged refuses to mint over a record that can not be read, and ends the
// incarnation: the store may lack dots of its own of this key (TRAPS C2).
func (m *mint) damaged(cur storage.Current) storage.Next {
	m.minter.end()
	if m.req.Role == kv.RoleFallback {
		m.r.noteDamagedHint(&m.req.Target, cur.Err)
	} else {
		m.r.noteUnreadable(&m.req.Target, cur.Err)
	}
	m.reply.Code, m.reply.Detail = wire.ReplicaUnreadable, cur.Err.Error()
	return storage.Keep()
}

func (m *mint) refused(why string, err error) storage.Next {
	return m.refusedAs(refusal{wire.ReplicaRefused, why}, err)
}

func (m *mint) refusedAs(why refusal, err error) storage.Next {
	m.reply.Code, m.reply.Detail, m.reply.Err = why.code, why.detail, why.sentinel(err)
	return storage.Keep()
}

func (m *mint) minted() {
	if m.req.Minted != nil {
		m.req.Minted(m.reply)
	}
}

// done runs after the commit on which the answer rests.
func (m *mint) done(result storage.Result) {
	switch {
	case result.Err != nil:
		if m.issued {
			// Others may hold the dot, this store does not (TRAPS C5).
			m.minter.lost.Store(true)
		}
		m.fail(result.Err)
	case m.reply.Code == wire.ReplicaOK:
		if m.req.Role == kv.RoleFallback {
			m.r.traceHint(trace.HintStored, &m.req.Target, &m.reply.Object, m.reply.Object.Context)
		}
		if now, why := m.check(&m.req.Target); why.refused() {
			m.reply.Standing, m.reply.Code = now, wire.ReplicaFailed
			m.reply.Detail = storedTooLate + why.detail
		}
	}
	m.req.Done(m.reply)
}

func (m *mint) fail(err error) {
	m.reply.Code, m.reply.Detail = codeOf(err)
}

// findRequest returns the version that a request left in o.
func findRequest(o kv.Object, id kv.RequestID) (kv.Version, bool) {
	for _, v := range o.Versions {
		if v.Request == id {
			return v, true
		}
	}
	return kv.Version{}, false
}

// mayCoordinate reports whether node has the history that minting needs (TRAPS T15).
func mayCoordinate(placement ring.Placement, node kv.NodeID) bool {
	for _, slot := range placement.Slots {
		if slot.MayCoordinate(node) {
			return true
		}
	}
	return false
}
