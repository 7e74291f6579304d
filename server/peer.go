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
}

// peerWork answers a call of a peer and then calls leave, now or later; where it returns
// an error it has done neither.
type peerWork func(ctx context.Context, call *rpc.Call, leave func()) error

// introduced is the state of a connection whose hello was accepted.
type introduced struct{}

// handlePeer is called for each request of a peer, on its connection's goroutine. What
// may read the disk goes on in a goroutine of its own.
func (s *Server) handlePeer(ctx context.Context, call *rpc.Call) {
	req := &request{method: string(call.Method), arrived: time.Now()}
	if req.method == wire.MethodPeerHello {
		if err := s.peerHello(call); err != nil {
			call.ReplyError(s.errorText(req, err))
		}
		return
	}
	if _, ok := call.Conn().State().(introduced); !ok {
		call.ReplyError(wire.FormatError(wire.CodeInvalid, "a peer says "+
			wire.MethodPeerHello+" first, and goes away where that is refused"))
		return
	}
	work, through := s.peerMethod(req.method)
	if work == nil {
		call.ReplyError(unknownMethod(call.Method))
		return
	}
	size := len(call.Params)
	if err := through.enter(size); err != nil {
		call.ReplyError(s.errorText(req, err))
		return
	}
	s.working.Go(func() {
		leave := func() { through.leave(size) }
		if err := work(ctx, call, leave); err != nil {
			call.ReplyError(s.errorText(req, err))
			leave()
		}
	})
}

// peerMethod finds a method of the peer port, and the gate that its requests pass: what
// a peer forwards is a client's request.
func (s *Server) peerMethod(name string) (peerWork, *gate) {
	switch name {
	case wire.MethodStore:
		return s.peerStore, s.peers
	case wire.MethodRead:
		return s.peerRead, s.peers
	case wire.MethodScan:
		return s.peerScan, s.peers
	case wire.MethodForward:
		return s.peerForward, s.requests
	default:
		return nil, nil
	}
}

// peerStore merges a copy that a peer sends. It answers from the store's commit.
func (s *Server) peerStore(_ context.Context, call *rpc.Call, leave func()) error {
	// One exact copy, which the store may keep: key and values alias it (I3).
	params := bytes.Clone(call.Params)
	req := &wire.StoreRequest{}
	if err := wire.DecodeStoreRequest(params, req); err != nil {
		return err
	}
	s.parts.Replica.Store(replica.StoreRequest{
		StoreRequest: req, Deadline: deadlineOf(&req.Target),
		Done: func(reply wire.StoreReply) {
			call.Reply(func(dst []byte) []byte { return wire.AppendStoreReply(dst, &reply) })
			leave()
		},
	})
	return nil
}

// peerRead sends this node's copy of a key.
func (s *Server) peerRead(_ context.Context, call *rpc.Call, leave func()) error {
	var req wire.ReadRequest
	if err := wire.DecodeReadRequest(call.Params, &req); err != nil {
		return err
	}
	reply := s.parts.Replica.Read(&req)
	call.Reply(func(dst []byte) []byte { return wire.AppendReadReply(dst, &reply) })
	leave()
	return nil
}

// peerScan sends a page of this node's keys.
func (s *Server) peerScan(_ context.Context, call *rpc.Call, leave func()) error {
	var req wire.ScanRequest
	if err := wire.DecodeScanRequest(call.Params, &req); err != nil {
		return err
	}
	reply := s.parts.Replica.Scan(&req)
	call.Reply(func(dst []byte) []byte { return wire.AppendScanReply(dst, &reply) })
	leave()
	return nil
}

// peerForward coordinates a client's write that a peer can not.
func (s *Server) peerForward(ctx context.Context, call *rpc.Call, leave func()) error {
	var q wire.ForwardRequest
	if err := wire.DecodeForwardRequest(call.Params, &q); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(q.RemainingMS)*time.Millisecond)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	req := &request{method: q.Method, params: q.Params, arrived: time.Now(), forwarded: true}
	reply := s.coordinate(ctx, req)
	call.Reply(func(dst []byte) []byte { return wire.AppendForwardReply(dst, &reply) })
	leave()
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
	call.Reply(func(dst []byte) []byte { return wire.AppendPeerHello(dst, &ours) })
	return nil
}

// narrow brings a version of the wire into the range of those there will ever be.
func narrow(version uint32) uint16 { return uint16(min(version, math.MaxUint16)) }

// deadlineOf turns the milliseconds that travel into a time.
func deadlineOf(t *wire.Target) time.Time {
	return time.Now().Add(time.Duration(t.RemainingMS) * time.Millisecond)
}
