// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"fmt"
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

// handlePeer is called for each request of a peer, on its connection's goroutine. What
// may read the disk goes on in a goroutine of its own.
func (s *Server) handlePeer(ctx context.Context, call *rpc.Call) {
	var work func(context.Context, *rpc.Call) error
	switch string(call.Method) {
	case wire.MethodStore:
		work = s.peerStore
	case wire.MethodRead:
		work = s.peerRead
	case wire.MethodScan:
		work = s.peerScan
	case wire.MethodForward:
		work = s.peerForward
	case wire.MethodPeerHello:
		work = s.peerHello
	default:
		call.ReplyError(wire.FormatError(wire.CodeUnknownMethod, fmt.Sprintf("%q", call.Method)))
		return
	}
	s.working.Go(func() {
		if err := work(ctx, call); err != nil {
			call.ReplyError(s.errorText(err))
		}
	})
}

// peerStore merges a copy that a peer sends. It answers from the store's commit.
func (s *Server) peerStore(_ context.Context, call *rpc.Call) error {
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
		},
	})
	return nil
}

// peerRead sends this node's copy of a key.
func (s *Server) peerRead(_ context.Context, call *rpc.Call) error {
	var req wire.ReadRequest
	if err := wire.DecodeReadRequest(call.Params, &req); err != nil {
		return err
	}
	reply := s.parts.Replica.Read(&req)
	call.Reply(func(dst []byte) []byte { return wire.AppendReadReply(dst, &reply) })
	return nil
}

// peerScan sends a page of this node's keys.
func (s *Server) peerScan(_ context.Context, call *rpc.Call) error {
	var req wire.ScanRequest
	if err := wire.DecodeScanRequest(call.Params, &req); err != nil {
		return err
	}
	reply := s.parts.Replica.Scan(&req)
	call.Reply(func(dst []byte) []byte { return wire.AppendScanReply(dst, &reply) })
	return nil
}

// peerForward coordinates a client's write that a peer can not.
func (s *Server) peerForward(ctx context.Context, call *rpc.Call) error {
	var req wire.ForwardRequest
	if err := wire.DecodeForwardRequest(call.Params, &req); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(req.RemainingMS)*time.Millisecond)
	defer cancel()
	var reply wire.ForwardReply
	handle := s.handlePut
	switch req.Method {
	case wire.MethodPut:
	case wire.MethodDelete:
		handle = s.handleDelete
	default:
		reply.Error = wire.FormatError(wire.CodeUnknownMethod, req.Method+" is never forwarded")
	}
	if reply.Error == "" {
		if result, err := handle(ctx, req.Params, fromPeer); err != nil {
			reply.Error = s.errorText(err)
		} else {
			reply.Result = result(nil)
		}
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendForwardReply(dst, &reply) })
	return nil
}

// peerHello answers another node that connects.
func (s *Server) peerHello(_ context.Context, call *rpc.Call) error {
	var theirs wire.PeerHello
	if err := wire.DecodePeerHello(call.Params, &theirs); err != nil {
		return err
	}
	ours := s.parts.Cluster.Identity()
	if theirs.Cluster != ours.Cluster {
		return &coordinator.Error{
			Code: wire.CodeInvalid,
			Text: fmt.Sprintf("this is cluster %x, not %x", ours.Cluster, theirs.Cluster),
		}
	}
	version, err := rpc.Negotiate(
		rpc.Versions{Min: uint16(ours.Min), Max: uint16(ours.Max)},
		rpc.Versions{Min: uint16(theirs.Min), Max: uint16(theirs.Max)},
	)
	if err != nil {
		return &coordinator.Error{Code: wire.CodeUnsupportedVersion, Text: err.Error(), Err: err}
	}
	ours.Min, ours.Max = uint32(version), uint32(version)
	call.Reply(func(dst []byte) []byte { return wire.AppendPeerHello(dst, &ours) })
	return nil
}

// deadlineOf turns the milliseconds that travel into a time.
func deadlineOf(t *wire.Target) time.Time {
	return time.Now().Add(time.Duration(t.RemainingMS) * time.Millisecond)
}
