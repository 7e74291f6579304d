// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// Replica is this node's own replica, for what peers ask.
type Replica interface {
	Store(replica.StoreRequest)
	Read(*wire.ReadRequest) wire.ReadReply
	Scan(*wire.ScanRequest) wire.ScanReply
	TreeSums(*wire.TreeSumsRequest) wire.TreeSumsReply
	TreeEntries(*wire.TreeListRequest) wire.TreeListReply
	Fence(context.Context, *wire.FenceRequest) wire.FenceReply
}

// peerMethod is how calls of one name are answered.
type peerMethod struct {
	// work answers the job's call and then leaves, now or later; where it returns an error
	// it has done neither.
	work func(*peerJob) error
	gate *gate
	// data: it is about keys, which this node may not be able to serve yet.
	data bool
}

// peerMethods are the methods of the peer port, and the gates that their calls pass: what
// a peer forwards is a client's request.
func (s *Server) peerMethods() map[string]peerMethod {
	return map[string]peerMethod{
		wire.MethodStore:    {work: s.peerStore, gate: s.peers, data: true},
		wire.MethodRead:     {work: s.peerRead, gate: s.peers, data: true},
		wire.MethodScan:     {work: s.peerScan, gate: s.peers, data: true},
		wire.MethodTreeSums: {work: s.peerTreeSums, gate: s.peers, data: true},
		wire.MethodTreeList: {work: s.peerTreeList, gate: s.peers, data: true},
		wire.MethodForward:  {work: s.peerForward, gate: s.requests, data: true},

		wire.MethodPurgeLook:    {work: s.peerPurge, gate: s.peers, data: true},
		wire.MethodPurgeConfirm: {work: s.peerPurge, gate: s.peers, data: true},
		wire.MethodPurgeAdopt:   {work: s.peerPurge, gate: s.peers, data: true},
		wire.MethodPurgeDelete:  {work: s.peerPurge, gate: s.peers, data: true},

		wire.MethodHandoffStatus: {work: s.peerHandoff, gate: s.peers, data: true},
		wire.MethodFence:         {work: s.peerFence, gate: s.peers, data: true},
	}
}

// peerJob is a peer's call on its way to its answer.
type peerJob struct {
	server *Server
	ctx    context.Context
	call   *rpc.Call
	method peerMethod
	size   int // as the gate counts it
}

func (j *peerJob) run() {
	err := j.server.hitRequest(PointPeerRequest)
	if err == nil {
		err = j.method.work(j)
	}
	if err != nil {
		j.fail(err)
		j.leave()
	}
}

// answer ends the job.
func (j *peerJob) answer(result encoder) {
	j.server.hitAnswer(PointPeerAnswer, j.call)
	j.call.Reply(result)
	j.leave()
}

func (j *peerJob) leave() { j.method.gate.leave(j.size) }

func (j *peerJob) fail(err error) {
	req := &request{method: string(j.call.Method)}
	j.call.ReplyError(j.server.errorText(req, err))
}

// introduced is the state of a connection whose hello was accepted.
type introduced struct{}

// handlePeer is called for each request of a peer, on its connection's goroutine. What
// may read the disk goes on in a goroutine of its own.
func (s *Server) handlePeer(ctx context.Context, call *rpc.Call) {
	j := &peerJob{server: s, ctx: ctx, call: call, size: len(call.Params)}
	if string(call.Method) == wire.MethodPeerHello {
		if err := s.peerHello(call); err != nil {
			j.fail(err)
		}
		return
	}
	if _, ok := call.Conn().State().(introduced); !ok {
		call.ReplyError(wire.FormatError(wire.CodeInvalid, "a peer says "+
			wire.MethodPeerHello+" first, and goes away where that is refused"))
		return
	}
	if bytes.HasPrefix(call.Method, []byte(wire.MetaPrefix)) {
		s.handleMember(ctx, j)
		return
	}
	var found bool
	if j.method, found = s.works[string(call.Method)]; !found {
		call.ReplyError(unknownMethod(call.Method))
		return
	}
	err := s.checkData(j.method.data)
	if err == nil {
		err = j.method.gate.enter(j.size)
	}
	if err != nil {
		j.fail(err)
		return
	}
	s.workers.start(j)
}

// handleMember hands a call of the metadata group to this node's part in it, which has
// bounds of its own: neither the data's gate nor its failpoints stand in its way.
func (s *Server) handleMember(ctx context.Context, j *peerJob) {
	if !s.parts.Grouped {
		j.call.ReplyError(unknownMethod(j.call.Method))
		return
	}
	g, err := s.group()
	if err != nil {
		j.fail(err)
		return
	}
	g.HandlePeer(ctx, j.call)
}

// peerStore merges a copy that a peer sends. It answers from the store's commit.
func (s *Server) peerStore(j *peerJob) error {
	// One exact copy, which the store may keep: key and values alias it (I3).
	params := bytes.Clone(j.call.Params)
	req := &wire.StoreRequest{}
	if err := wire.DecodeStoreRequest(params, req); err != nil {
		return err
	}
	s.data.Load().Replica.Store(replica.StoreRequest{
		StoreRequest: req, Deadline: deadlineOf(&req.Target),
		Done: func(reply wire.StoreReply) {
			j.answer(func(dst []byte) []byte { return wire.AppendStoreReply(dst, &reply) })
		},
	})
	return nil
}

// peerRead sends this node's copy of a key.
func (s *Server) peerRead(j *peerJob) error {
	var req wire.ReadRequest
	if err := wire.DecodeReadRequest(j.call.Params, &req); err != nil {
		return err
	}
	reply := s.data.Load().Replica.Read(&req)
	j.answer(func(dst []byte) []byte { return wire.AppendReadReply(dst, &reply) })
	return nil
}

// peerScan sends a page of this node's keys.
func (s *Server) peerScan(j *peerJob) error {
	var req wire.ScanRequest
	if err := wire.DecodeScanRequest(j.call.Params, &req); err != nil {
		return err
	}
	reply := s.data.Load().Replica.Scan(&req)
	j.answer(func(dst []byte) []byte { return wire.AppendScanReply(dst, &reply) })
	return nil
}

// peerTreeSums sends sums of this node's tree of a partition.
func (s *Server) peerTreeSums(j *peerJob) error {
	var req wire.TreeSumsRequest
	if err := wire.DecodeTreeSumsRequest(j.call.Params, &req); err != nil {
		return err
	}
	reply := s.data.Load().Replica.TreeSums(&req)
	j.answer(func(dst []byte) []byte { return wire.AppendTreeSumsReply(dst, &reply) })
	return nil
}

// peerTreeList sends a page of the keys below leaves of this node's tree.
func (s *Server) peerTreeList(j *peerJob) error {
	var req wire.TreeListRequest
	if err := wire.DecodeTreeListRequest(j.call.Params, &req); err != nil {
		return err
	}
	reply := s.data.Load().Replica.TreeEntries(&req)
	j.answer(func(dst []byte) []byte { return wire.AppendTreeListReply(dst, &reply) })
	return nil
}

// peerFence promises to refuse what is older than another owner's refill.
func (s *Server) peerFence(j *peerJob) error {
	var req wire.FenceRequest
	if err := wire.DecodeFenceRequest(j.call.Params, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(j.ctx, time.Duration(req.RemainingMS)*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	reply := s.data.Load().Replica.Fence(ctx, &req)
	j.answer(func(dst []byte) []byte { return wire.AppendFenceReply(dst, &reply) })
	return nil
}

// peerForward coordinates a client's write that a peer can not.
func (s *Server) peerForward(j *peerJob) error {
	var q wire.ForwardRequest
	if err := wire.DecodeForwardRequest(j.call.Params, &q); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(j.ctx, time.Duration(q.RemainingMS)*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	req := &request{method: q.Method, params: q.Params, arrived: time.Now(), forwarded: true}
	reply := s.coordinate(ctx, req)
	j.answer(func(dst []byte) []byte { return wire.AppendForwardReply(dst, &reply) })
	return nil
}

// coordinate answers a forwarded request.
func (s *Server) coordinate(ctx context.Context, req *request) (reply wire.ForwardReply) {
	handle := s.handlePut
	switch req.method {
	case wire.MethodPut:
	case wire.MethodDelete:
		handle = s.handleDelete
	default:
		reply.Error = wire.FormatError(wire.CodeUnknownMethod,
			fmt.Sprintf("%.64q is never forwarded", req.method))
		return reply
	}
	result, err := handle(ctx, req)
	if err != nil {
		reply.Error = s.errorText(req, err)
	} else {
		reply.Result = result(nil)
	}
	s.logDone(req, reply.Error)
	return reply
}

// peerHello answers another node that connects. From a connection on which it was
// refused nothing else is taken.
func (s *Server) peerHello(call *rpc.Call) error {
	var theirs wire.PeerHello
	if err := wire.DecodePeerHello(call.Params, &theirs); err != nil {
		return err
	}
	ours := s.parts.Cluster.Identity()
	switch {
	case ours.Node == 0:
		return &coordinator.Error{
			Code: wire.CodeNotReady, Text: "this node is no member of a cluster yet",
		}
	case theirs.Cluster != ours.Cluster:
		return &coordinator.Error{
			Code: wire.CodeInvalid,
			Text: fmt.Sprintf("this is cluster %x, not %x", ours.Cluster, theirs.Cluster),
		}
	case theirs.Node == ours.Node:
		return &coordinator.Error{
			Code: wire.CodeInvalid,
			Text: fmt.Sprintf("this is node %d itself; two processes claim one identity, or an "+
				"address is wrong", ours.Node),
		}
	}
	version, err := rpc.Negotiate(
		rpc.Versions{Min: uint16(ours.Min), Max: uint16(ours.Max)},
		rpc.Versions{Min: narrow(theirs.Min), Max: narrow(theirs.Max)},
	)
	if err != nil {
		return &coordinator.Error{Code: wire.CodeUnsupportedVersion, Text: err.Error(), Err: err}
	}
	ours.Min, ours.Max = uint32(version), uint32(version)
	call.Conn().SetState(introduced{})
	call.Conn().Lift()
	call.Reply(func(dst []byte) []byte { return wire.AppendPeerHello(dst, &ours) })
	return nil
}

// narrow brings a version of the wire into the range of those there will ever be.
func narrow(version uint32) uint16 { return uint16(min(version, math.MaxUint16)) }

// deadlineOf turns the milliseconds that travel into a time.
func deadlineOf(t *wire.Target) time.Time {
	return time.Now().Add(time.Duration(t.RemainingMS) * time.Millisecond)
}
