// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bytes"
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// Why messages of raft are not taken, for the other side's log. Whatever it is, the other
// side says hello again, and hears more of it then.
var (
	errNoSeatHere     = errors.New("meta: this member has no seat in the group")
	errHelloFirst     = errors.New("meta: say meta.hello first")
	errNotAcceptedYet = errors.New("meta: the sender has not accepted this member yet")
	errFull           = errors.New("meta: too many messages wait here")
	errEnded          = errors.New("meta: this member is stopping")
)

const (
	// inboxSize bounds the calls that wait for the loop; each holds at most a message of
	// the connection. A seat that sends more waits for its answers anyway.
	inboxSize = 64
	// helloQueue bounds the hellos that wait to be judged: one for each seat, mostly.
	helloQueue = 16
)

// inbound is what one meta.step brought.
type inbound struct {
	from     state.RaftID
	messages []*pb.Message
	hash     wire.StateHash
}

// helloCall is a meta.hello that waits to be judged.
type helloCall struct {
	conn   connection // nil: it did not come over one that raft messages could follow on
	hello  wire.MetaHello
	answer func(wire.MetaHello) // it does not wait
}

// handleHello answers the method meta.hello. It does not wait: judging may write.
func (e *engine) handleHello(call *rpc.Call) {
	h := &helloCall{conn: call.Conn(), answer: func(a wire.MetaHello) { answerHello(call, a) }}
	if err := wire.DecodeMetaHello(call.Params, &h.hello); err != nil {
		call.ReplyError(wire.FormatError(wire.CodeInvalid, err.Error()))
		return
	}
	if !e.offerHello(h) {
		answerHello(call, wire.MetaHello{Detail: errFull.Error()})
	}
}

// offerHello queues a hello to be judged, or reports that too many wait.
func (e *engine) offerHello(h *helloCall) bool {
	return e.offer(func() bool {
		select {
		case e.hellos <- h:
			return true
		default:
			return false
		}
	})
}

// offer hands something to a queue of the engine that is emptied, and answered, when the
// engine ends: after that it takes nothing.
func (e *engine) offer(put func() bool) bool {
	e.doors.RLock()
	defer e.doors.RUnlock()
	return !e.closed && put()
}

// shut answers what waits in the queues, for good.
func (e *engine) shut() {
	e.doors.Lock()
	e.closed = true
	e.doors.Unlock()
	for {
		select {
		case h := <-e.hellos:
			h.answer(wire.MetaHello{Verdict: kv.VerdictUnknown, Detail: errEnded.Error()})
		case j := <-e.keeper.jobs:
			if j.refuse != nil {
				j.refuse()
			}
		default:
			return
		}
	}
}

func answerHello(call *rpc.Call, answer wire.MetaHello) {
	if answer.Verdict == 0 {
		answer.Verdict = kv.VerdictUnknown
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendMetaHello(dst, &answer) })
}

// judgeHellos answers hellos, one after the other, until ctx ends.
func (e *engine) judgeHellos(ctx context.Context) error {
	for {
		select {
		case h := <-e.hellos:
			if err := e.judgeHello(ctx, h); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (e *engine) judgeHello(ctx context.Context, h *helloCall) error {
	switch q := &h.hello; {
	case q.Verdict != 0:
		e.heedVerdict(ctx, q)
		h.answer(wire.MetaHello{Verdict: kv.VerdictUnknown})
		return nil
	case q.Raft == 0 && q.For == 0:
		self, _ := e.links.showing()
		h.answer(wire.MetaHello{
			Raft: uint64(self.raft), Term: self.term, Open: self.opens, Verdict: kv.VerdictUnknown,
		})
		return nil
	}
	answer, err := e.gate.judge(h.conn, &h.hello)
	if err != nil {
		answer.Verdict, answer.Detail = kv.VerdictUnknown, err.Error()
	}
	if answer.Verdict == kv.VerdictForked {
		e.log.Warn("a seat is refused",
			zap.Stringer("raft-id", state.RaftID(h.hello.Raft)), zap.String("why", answer.Detail))
	}
	h.answer(answer)
	if answer.Verdict == kv.VerdictConfirmed && h.hello.For != 0 {
		e.links.link(state.RaftID(h.hello.Raft)) // it takes nothing from here before a hello
	}
	return err
}

// handleStep answers the method meta.step.
func (e *engine) handleStep(call *rpc.Call) {
	reply := wire.MetaStepReply{Taken: true}
	if err := e.takeStep(call); err != nil {
		reply = wire.MetaStepReply{Detail: err.Error()}
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendMetaStepReply(dst, &reply) })
}

func (e *engine) takeStep(call *rpc.Call) error {
	var q wire.MetaStepRequest
	if err := wire.DecodeMetaStepRequest(call.Params, &q); err != nil {
		return err
	}
	from := state.RaftID(q.Raft)
	if err := e.gate.passes(call.Conn(), from); err != nil {
		return err
	}
	in := inbound{from: from, hash: q.Hash, messages: make([]*pb.Message, 0, len(q.Messages))}
	for _, b := range q.Messages {
		m := new(pb.Message)
		if err := proto.Unmarshal(b, m); err != nil {
			return err
		}
		if !mayStep(m) || state.RaftID(m.GetFrom()) != from {
			return errors.New("meta: not a message between seats")
		}
		if m.GetType() != pb.MsgPreVote && m.GetType() != pb.MsgPreVoteResp {
			e.gate.heard(from, m.GetTerm()) // those two tell of terms that may never begin
		}
		in.messages = append(in.messages, m)
	}
	select {
	case e.inbox <- in:
		return nil
	case <-e.ended:
		return errEnded
	default:
		return errFull
	}
}

// mayStep reports whether a message is of those that seats send to each other. All others
// are raft's own, and must not come from outside.
func mayStep(m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp,
		pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgSnap, pb.MsgTimeoutNow:
		return m.GetTerm() > 0
	default:
		return false
	}
}

// handleSnapshot answers the method meta.snapshot, once the keeper has taken the piece.
func (e *engine) handleSnapshot(call *rpc.Call) {
	var q wire.MetaSnapshotRequest
	err := wire.DecodeMetaSnapshotRequest(call.Params, &q)
	from := state.RaftID(q.Raft)
	if err == nil {
		err = e.gate.passes(call.Conn(), from)
	}
	if err != nil {
		answerPiece(call, 0, err)
		return
	}
	q.Part.Chunk = bytes.Clone(q.Part.Chunk) // it is the connection's until the answer
	do := func(ctx context.Context) error {
		next, file, err := e.keeper.take(q.Raft, &q.Part)
		if err == nil && file != nil {
			e.tell(ctx, event{received: file})
		}
		answerPiece(call, next, err)
		return err
	}
	refuse := func() { answerPiece(call, 0, errEnded) }
	if !e.offer(func() bool { return e.keeper.offer(job{do: do, refuse: refuse}) }) {
		answerPiece(call, 0, errFull)
	}
}

func answerPiece(call *rpc.Call, next uint64, err error) {
	reply := wire.MetaSnapshotReply{Next: next}
	reply.Code = wire.MetaOK
	if err != nil {
		reply.Code, reply.Detail = wire.MetaRefused, err.Error()
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendMetaSnapshotReply(dst, &reply) })
}
