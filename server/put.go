// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// handlePut answers kv.put, here if this node owns the key, else at an owner.
func (s *Server) handlePut(ctx context.Context, params []byte, from origin) (encoder, error) {
	var req wire.PutRequest
	if err := wire.DecodePutRequest(params, &req); err != nil {
		return nil, err
	}
	ctx, cancel := s.within(ctx, req.Common)
	defer cancel()
	write, binding, err := s.writeOf(req.Bucket, req.Key, req.WriteOptions)
	if err != nil {
		return nil, err
	}
	route, err := s.parts.Coordinator.Route(write.Bucket, write.Key)
	if err != nil {
		return nil, err
	}
	if !route.Here {
		return s.forward(ctx, route, wire.MethodPut, params, from)
	}
	write.Kind, write.Value, write.TTL = kv.KindValue, bytes.Clone(req.Value), req.TTLMS
	if write.Value == nil {
		write.Value = []byte{}
	}
	done, err := s.parts.Coordinator.Put(ctx, write)
	if err != nil {
		return nil, err
	}
	result := s.putResult(done, binding, req.ReturnSiblings)
	return func(dst []byte) []byte { return wire.AppendPutResult(dst, &result) }, nil
}

// putResult shows an acknowledged put. Siblings that do not fit a message are left out,
// and with them the context that would cover them: the writer reads the key.
func (s *Server) putResult(
	done coordinator.PutResult, b vclock.Binding, siblings bool,
) wire.PutResult {
	live := done.Object.Live(s.parts.Now().UnixMilli())
	result := wire.PutResult{SiblingCount: len(live), Context: sealContext(done.Context, b)}
	if !siblings {
		return result
	}
	shown := s.getResult(done.Object, b, vclock.Dot{}, false, resultRoom)
	if !shown.More {
		result.Siblings, result.Context = shown.Siblings, shown.Context
	}
	return result
}

// handleDelete answers kv.delete, here if this node owns the key, else at an owner.
func (s *Server) handleDelete(ctx context.Context, params []byte, from origin) (encoder, error) {
	var req wire.DeleteRequest
	if err := wire.DecodeDeleteRequest(params, &req); err != nil {
		return nil, err
	}
	ctx, cancel := s.within(ctx, req.Common)
	defer cancel()
	write, binding, err := s.writeOf(req.Bucket, req.Key, req.WriteOptions)
	if err != nil {
		return nil, err
	}
	route, err := s.parts.Coordinator.Route(write.Bucket, write.Key)
	if err != nil {
		return nil, err
	}
	if !route.Here {
		return s.forward(ctx, route, wire.MethodDelete, params, from)
	}
	covers, err := s.parts.Coordinator.Delete(ctx, write)
	if err != nil {
		return nil, err
	}
	result := wire.DeleteResult{Context: sealContext(covers, binding)}
	return func(dst []byte) []byte { return wire.AppendDeleteResult(dst, &result) }, nil
}

// writeOf is what put and delete have in common.
func (s *Server) writeOf(name string, key []byte, o wire.WriteOptions) (
	*coordinator.PutRequest, vclock.Binding, error,
) {
	bucket, err := s.bucket(name)
	if err != nil {
		return nil, 0, err
	}
	if o.Fence != 0 {
		return nil, 0, &coordinator.Error{
			Code: wire.CodeInvalid, Text: "fence: fenced writes are not supported yet",
		}
	}
	key = bytes.Clone(key)
	binding, _, err := s.binding(bucket, key)
	if err != nil {
		return nil, 0, err
	}
	seen, err := openContext(o.Context, binding)
	if err != nil {
		return nil, 0, err
	}
	return &coordinator.PutRequest{
		Bucket: bucket, Key: key, Seen: seen, W: o.W, PW: o.PW, Request: o.RequestID,
	}, binding, nil
}

// forward hands a client's write to an owner. A write that was forwarded to this node,
// which is no owner by its own ring, is refused: the rings differ, and a second hop
// would lose track of who answers (TRAPS C10).
func (s *Server) forward(
	ctx context.Context, route coordinator.Route, method string, params []byte, from origin,
) (encoder, error) {
	if from == fromPeer {
		return nil, &coordinator.Error{
			Code: wire.CodeNotReady, Text: "forwarded to a node that does not own the key; the " +
				"rings differ, try again",
		}
	}
	deadline, _ := ctx.Deadline()
	reply, err := s.parts.Coordinator.Forward(ctx, route, &wire.ForwardRequest{
		Method: method, Params: params, RemainingMS: uint32(time.Until(deadline).Milliseconds()),
	})
	if err != nil {
		return nil, err
	}
	if reply.Error != "" {
		code, text := wire.ParseError(reply.Error)
		return nil, &coordinator.Error{Code: code, Text: text}
	}
	result := bytes.Clone(reply.Result)
	return func(dst []byte) []byte { return append(dst, result...) }, nil
}
