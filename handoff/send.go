// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// failure is what went wrong with a hint.
type failure uint8

const (
	failedNot    failure = iota
	failedHint           // with this one alone
	failedMember         // with its member: the others would fail too
)

// item is one hint on its way, for a member, in a pass.
type item struct {
	member *member
	pass   *pass
	hint   replica.Hint
	sent   vclock.Context

	mu sync.Mutex
	// Guarded by mu.
	awaited int    // members that have not answered
	worst   answer // of those that have
}

type answer struct {
	failed failure
	why    string
}

// add takes one member's answer, and reports whether it was the last.
func (it *item) add(a answer) (last bool) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if a.failed > it.worst.failed {
		it.worst = a
	}
	it.awaited--
	return it.awaited == 0
}

// sendNext sends the member's next hint. It reports false where there is none, or none can
// go now.
func (d *Deliverer) sendNext(ctx context.Context, m *member) bool {
	if m.open > 0 && m.open+batchHints > d.cfg.Window {
		return false // else each answer would make room for a batch of one
	}
	if m.pass == nil {
		if len(m.queue) == 0 {
			return false
		}
		m.pass = &pass{at: m.queue[0], mark: d.marks.newest(), more: true}
		m.queue = m.queue[1:]
	}
	p := m.pass
	if len(p.page) == 0 && p.more && !d.read(p, m) {
		return false
	}
	d.deliver(ctx, m, p)
	if p.listed() && m.pass == p {
		m.pass = nil
		d.conclude(p)
		d.stale = d.stale || len(m.queue) == 0
	}
	return true
}

// read reads the next page of a pass.
func (d *Deliverer) read(p *pass, m *member) bool {
	var err error
	p.page, p.from, p.more, err = d.hints.Hints(p.at, p.from, d.cfg.PageHints, d.cfg.PageBytes)
	if err == nil {
		return true
	}
	d.log.Warn("hints not read", zap.Uint16("partition", p.at.Partition), zap.Error(err))
	d.failed(m)
	return false
}

// failed lets a member alone for a while.
func (d *Deliverer) failed(m *member) {
	if now := time.Now(); m.pauses.over(now) { // else it is one of many that failed together
		m.pauses.fail(now, d.cfg.Rand)
		m.looked, m.again = now, m.pauses.left(now)
	}
	m.breakOff()
	d.stale = true
}

// conclude ends a pass of which nothing is on its way any more.
func (d *Deliverer) conclude(p *pass) {
	if p.listed() && p.open == 0 && !p.dirty {
		d.marks.clean(p.at, p.mark)
	}
}

const (
	// batchHints are sent together: their members store them in the same commits, where each
	// would take a sync of its own at the rates that are left beside clients.
	batchHints = 8
	// batchBytes is from how many bytes on nothing is added to a batch.
	batchBytes = 256 << 10
)

// outgoing is a hint that is ready to be sent.
type outgoing struct {
	hint    replica.Hint
	object  kv.Object
	encoded []byte
	members []kv.NodeID
	size    int
}

// deliver sends the next hints of a page to all members of their slots, as the newest ring
// has them.
func (d *Deliverer) deliver(ctx context.Context, m *member, p *pass) {
	current := d.cfg.Ring()
	var batch []outgoing
	size, cost := 0, 0
	for len(p.page) > 0 && len(batch) < batchHints && size < batchBytes &&
		m.open+len(batch) < d.cfg.Window {
		out, found := d.prepare(m, p, current)
		if found {
			batch, size = append(batch, out), size+out.size
			cost += out.size + budget.Piece*len(out.members)
		}
	}
	if len(batch) == 0 {
		return
	}
	if err := d.budget.Take(ctx, cost); err != nil {
		p.dirty = true // this node ends
		return
	}
	d.bytes.Add(uint64(size))
	deadline := time.Now().Add(d.cfg.SendTimeout)
	for i := range batch {
		out := &batch[i]
		it := &item{
			member: m, pass: p, hint: out.hint, sent: out.object.Context, awaited: len(out.members),
		}
		d.begin(it)
		d.hints.TraceHintSent(&it.hint, &out.object)
		for _, node := range out.members {
			req := d.request(current, &it.hint, node, out.object, out.encoded)
			d.send(it, node, req, deadline)
		}
	}
}

// prepare takes the next hint from a page. It reports false where nothing is to be sent.
func (d *Deliverer) prepare(m *member, p *pass, current *ring.Ring) (out outgoing, found bool) {
	h := p.page[0]
	p.page = p.page[1:]
	object, encoded, nothing, err := d.hints.Payload(&h)
	if err != nil {
		p.dirty, m.stuck = true, true // it stays, and was alarmed where it was read (I2)
		return outgoing{}, false
	}
	if nothing {
		it := &item{member: m, pass: p, hint: h, sent: h.Object.Context}
		d.begin(it)
		d.drop(it)
		return outgoing{}, false
	}
	members := membersOf(current, h.HintCell)
	if len(members) == 0 {
		p.dirty = true // the ring has a hole that the next one has not
		return outgoing{}, false
	}
	return outgoing{
		hint: h, object: object, encoded: encoded, members: members,
		size: (object.Size() + len(h.Key)) * len(members),
	}, true
}

// begin counts a hint that is on its way, end one that is not any more.
func (d *Deliverer) begin(it *item) {
	d.open++
	it.member.open++
	it.pass.open++
}

func (d *Deliverer) end(it *item) {
	d.open--
	it.member.open--
	it.pass.open--
	d.conclude(it.pass)
	d.stale = d.stale || it.member.open == 0
}

// drop deletes a hint that all members have.
func (d *Deliverer) drop(it *item) {
	d.hints.DropHint(&it.hint, it.sent, func(gone bool) {
		d.inbox.add(event{item: it, dropped: true, gone: gone})
	})
}

// handle goes on with a hint of which there is news.
func (d *Deliverer) handle(e event) {
	it := e.item
	switch {
	case e.dropped:
		if e.gone {
			d.delivered.Add(1)
			d.gone.add(it.member.id)
		} // else it has changed meanwhile, and what it was is delivered (I5)
		d.end(it)
	case it.worst.failed == failedNot:
		it.member.pauses.reset()
		d.drop(it)
	default:
		it.pass.dirty = true
		d.tell(it)
		if it.worst.failed == failedMember {
			d.failed(it.member)
		} else {
			it.member.stuck = true
		}
		d.end(it)
	}
}

// tell says once in a row of failures that a member does not take its hints.
func (d *Deliverer) tell(it *item) {
	level := zap.DebugLevel
	if !it.member.pauses.paused() {
		level = zap.InfoLevel
	}
	d.log.Log(level, "hints not taken, and kept", zap.Uint16("peer-id", uint16(it.member.id)),
		zap.String("reason", it.worst.why))
}

// membersOf are the members of a hint's slot: two while it moves.
func membersOf(current *ring.Ring, at replica.HintCell) []kv.NodeID {
	slots := current.Placement(at.Partition).Slots
	if int(at.Slot) >= len(slots) {
		return nil
	}
	first, second := slots[at.Slot].Writers()
	if second == 0 {
		return []kv.NodeID{first}
	}
	return []kv.NodeID{first, second}
}

// request is the message that brings a hint to a member: data that was acknowledged
// earlier, read under the epoch that the hint has.
func (d *Deliverer) request(
	current *ring.Ring, h *replica.Hint, node kv.NodeID, object kv.Object, encoded []byte,
) *wire.StoreRequest {
	return &wire.StoreRequest{
		Target: wire.Target{
			Bucket: h.Bucket, Partition: h.Partition, Key: h.Key, Slot: h.Slot,
			Placement: current.Placement(h.Partition).Version, Instance: current.Instance(node),
			RemainingMS: uint32(d.cfg.SendTimeout.Milliseconds()),
		},
		Role: kv.RoleOwner, Class: kv.ClassReplicated, Epoch: h.Epoch,
		Object: object, Raw: encoded,
	}
}

// send sends a hint to one member, this node included: it may have become one.
func (d *Deliverer) send(it *item, node kv.NodeID, req *wire.StoreRequest, deadline time.Time) {
	done := func(reply wire.StoreReply, err error) {
		if it.add(judge(reply, err)) {
			d.inbox.add(event{item: it})
		}
	}
	if node == d.cfg.Node {
		d.hints.Store(replica.StoreRequest{
			StoreRequest: req, Deadline: deadline,
			Done: func(reply wire.StoreReply) { done(reply, nil) },
		})
		return
	}
	d.peers.Store(node, req, deadline, done)
}

// judge says what an answer means for the hint, and for those behind it.
func judge(reply wire.StoreReply, err error) answer {
	switch {
	case err != nil:
		return answer{failedMember, err.Error()}
	case reply.Code == wire.ReplicaOK && reply.Role == kv.RoleOwner:
		return answer{}
	case reply.Code == wire.ReplicaNoBucket:
		return answer{} // nobody wants it any more; it goes with its bucket
	case reply.Code == wire.ReplicaUnreadable, reply.Code == wire.ReplicaStaleEpoch,
		reply.Code == wire.ReplicaFenced:
		return answer{failedHint, reply.Detail}
	default:
		return answer{failedMember, fmt.Sprintf("%s: %s", reply.Role, reply.Detail)}
	}
}
