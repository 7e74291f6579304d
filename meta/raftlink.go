// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// linkWindow is how many calls a link has open. A seat that answers slower than that
	// many are sent is fed as fast as it answers.
	linkWindow = 16
	// outboxMessages and outboxBytes bound what waits for a link. Above them messages are
	// dropped and raft is told, which begins anew with what the seat has.
	outboxMessages = wire.MaxMetaMessages
	outboxBytes    = 8 << 20
	// stepBytes is about how much one call carries.
	stepBytes = 1 << 20
	// snapshotTry bounds one piece of a snapshot on its way: the other side may have to
	// write a few megabytes.
	snapshotTry = 10 * time.Second
)

// raftLink is the way to one other seat.
type raftLink struct {
	// Immutable after begin.
	links *raftLinks
	id    state.RaftID
	addr  string
	peer  *rpc.Peer
	stop  context.CancelFunc

	used time.Time // guarded by links.mu

	wake   chan struct{} // has a token when there is something to do
	window chan struct{} // has a token for each open call

	mu       sync.Mutex // guards what follows
	outbox   [][]byte
	bytes    int
	greeted  bool // the seat has accepted this one, as far as is known
	carrying bool // a snapshot is on its way
}

// put adds messages, or reports that they were too much.
func (k *raftLink) put(messages [][]byte) bool {
	size := 0
	for _, m := range messages {
		size += len(m)
	}
	k.mu.Lock()
	fits := len(k.outbox)+len(messages) <= outboxMessages && k.bytes+size <= outboxBytes
	if fits {
		k.outbox = append(k.outbox, messages...)
		k.bytes += size
	}
	k.mu.Unlock()
	k.poke()
	return fits
}

func (k *raftLink) poke() {
	select {
	case k.wake <- struct{}{}:
	default: // run has yet to look
	}
}

// run greets the seat and sends what there is, until ctx ends. It greets without having
// anything to send, too: the seat takes nothing before, and gives nothing.
func (k *raftLink) run(ctx context.Context) {
	retry := time.NewTicker(k.links.cfg.Tick)
	defer retry.Stop()
	for ctx.Err() == nil {
		if k.isGreeted() || k.greet(ctx) {
			k.flush(ctx)
		}
		select {
		case <-k.wake:
			if k.isGreeted() {
				continue
			}
			k.refuseAll() // raft shall know that nothing arrives
		case <-retry.C:
		case <-ctx.Done():
		}
	}
}

func (k *raftLink) isGreeted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.greeted
}

func (k *raftLink) setGreeted(to bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.greeted = to
}

// refuseAll drops what waits.
func (k *raftLink) refuseAll() {
	k.mu.Lock()
	dropped := len(k.outbox) > 0
	k.outbox, k.bytes = nil, 0
	k.mu.Unlock()
	if dropped {
		k.links.drop(k.id)
	}
}

// greet says hello and reports whether the seat accepts this one.
func (k *raftLink) greet(ctx context.Context) bool {
	if !k.peer.Up() {
		return false
	}
	self, _ := k.links.showing()
	hello := wire.MetaHello{
		Raft: uint64(self.raft), For: uint64(k.id), Term: self.term, Open: self.opens,
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotTry)
	defer cancel()
	answer, err := k.say(ctx, &hello)
	if err != nil {
		k.links.log.Debug("a seat did not answer hello", zap.Stringer("raft-id", k.id), zap.Error(err))
		return false
	}
	switch answer.Verdict {
	case kv.VerdictConfirmed:
		k.setGreeted(true)
		k.links.gate.acceptedBy(k.id, self.raft)
		if _, _, err := lookAt(ctx, k.say, k.links.examine); err != nil {
			k.links.log.Debug("a seat was not looked at", zap.Stringer("raft-id", k.id), zap.Error(err))
		}
		return true
	case kv.VerdictForked, kv.VerdictLost:
		k.links.tell(ctx, event{refused: &refusal{
			by: k.id, own: self.raft, verdict: answer.Verdict, why: answer.Detail, lacks: answer.Open,
		}})
	default:
		k.links.log.Debug("a seat does not accept this one yet", zap.Stringer("raft-id", k.id),
			zap.String("why", answer.Detail))
	}
	return false
}

// say says hello once.
func (k *raftLink) say(ctx context.Context, h *wire.MetaHello) (answer wire.MetaHello, err error) {
	result, err := k.peer.Call(ctx, wire.MethodMetaHello, func(dst []byte, _ uint16) []byte {
		return wire.AppendMetaHello(dst, h)
	})
	if err == nil {
		err = wire.DecodeMetaHello(result, &answer)
	}
	return answer, err
}

// flush sends what waits, as fast as the seat answers.
func (k *raftLink) flush(ctx context.Context) {
	for {
		select {
		case k.window <- struct{}{}:
		case <-ctx.Done():
			return
		}
		messages := k.next()
		if len(messages) == 0 {
			<-k.window
			return
		}
		k.step(messages)
	}
}

// next takes what one call carries.
func (k *raftLink) next() (messages [][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, size := 0, 0
	for n < len(k.outbox) && (n == 0 || size+len(k.outbox[n]) <= stepBytes) {
		size += len(k.outbox[n])
		n++
	}
	messages, k.outbox = k.outbox[:n:n], k.outbox[n:]
	k.bytes -= size
	return messages
}

// step sends messages. Calls overtake nobody: one connection keeps their order.
func (k *raftLink) step(messages [][]byte) {
	self, hash := k.links.showing()
	q := wire.MetaStepRequest{Raft: uint64(self.raft), Messages: messages, Hash: hash}
	patience := k.links.cfg.Tick * time.Duration(k.links.cfg.ElectionTicks)
	k.links.touch(k)
	k.peer.Go(wire.MethodMetaStep, func(dst []byte, _ uint16) []byte {
		return wire.AppendMetaStepRequest(dst, &q)
	}, time.Now().Add(patience), func(result []byte, err error) {
		<-k.window
		if err = stepTaken(result, err); err != nil {
			k.setGreeted(false)
			k.links.drop(k.id)
		}
	})
}

func (l *raftLinks) touch(k *raftLink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.used = time.Now()
}

// stepTaken tells why messages were not taken; nil: they were.
func stepTaken(result []byte, err error) error {
	if err != nil {
		return err
	}
	var reply wire.MetaStepReply
	if err := wire.DecodeMetaStepReply(result, &reply); err != nil {
		return err
	}
	if !reply.Taken {
		return errors.New(reply.Detail)
	}
	return nil
}

// snapshotJob is a snapshot for one seat and the raft message that makes it install that.
type snapshotJob struct {
	index, term uint64
	data        []byte
	sum         uint64
	message     []byte
}

// sendSnapshot begins to send a snapshot beside the other messages; the loop is told how
// that went. It reports false where it can not begin: only one is on its way to a seat.
func (l *raftLinks) sendSnapshot(to state.RaftID, job *snapshotJob) bool {
	k := l.link(to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if k == nil || l.life == nil || !k.setCarrying(true) {
		return false
	}
	ctx := l.life
	l.lives.Go(func() {
		err := k.carry(ctx, job)
		k.setCarrying(false)
		l.tell(ctx, event{sent: &snapshotSent{to: to, err: err}})
	})
	return true
}

// setCarrying notes whether a snapshot is on its way, and reports whether that changed.
func (k *raftLink) setCarrying(to bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	changed := k.carrying != to
	k.carrying = to
	return changed
}

// carry sends the pieces of a snapshot one by one, and then its message.
func (k *raftLink) carry(ctx context.Context, job *snapshotJob) error {
	self, _ := k.links.showing()
	part := wire.SnapshotPart{
		Index: job.index, Term: job.term, Total: uint64(len(job.data)), Sum: job.sum,
	}
	for part.Offset < part.Total {
		rest := job.data[part.Offset:]
		part.Chunk = rest[:min(partSize, len(rest))]
		next, err := k.piece(ctx, &wire.MetaSnapshotRequest{Raft: uint64(self.raft), Part: part})
		if err != nil {
			return err
		}
		if next <= part.Offset || next > part.Total {
			return fmt.Errorf("meta: a seat wants byte %d of a snapshot after byte %d", next, part.Offset)
		}
		part.Offset = next
	}
	q := wire.MetaStepRequest{Raft: uint64(self.raft), Messages: [][]byte{job.message}}
	ctx, cancel := context.WithTimeout(ctx, snapshotTry)
	defer cancel()
	return stepTaken(k.peer.Call(ctx, wire.MethodMetaStep, func(dst []byte, _ uint16) []byte {
		return wire.AppendMetaStepRequest(dst, &q)
	}))
}

// piece sends one piece and returns where the next one begins.
func (k *raftLink) piece(ctx context.Context, q *wire.MetaSnapshotRequest) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTry)
	defer cancel()
	result, err := k.peer.Call(ctx, wire.MethodMetaSnapshot, func(dst []byte, _ uint16) []byte {
		return wire.AppendMetaSnapshotRequest(dst, q)
	})
	if err != nil {
		return 0, err
	}
	var reply wire.MetaSnapshotReply
	if err := wire.DecodeMetaSnapshotReply(result, &reply); err != nil {
		return 0, err
	}
	if reply.Code != wire.MetaOK {
		return 0, fmt.Errorf("meta: a seat does not take a snapshot: %s", reply.Detail)
	}
	return reply.Next, nil
}
