// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// handlePut answers kv.put, here if this node owns the key, else at an owner.
func (s *Server) handlePut(ctx context.Context, req *request) (encoder, error) {
	var q wire.PutRequest
	if err := wire.DecodePutRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	write, b, err := s.writeOf(ctx, q.Bucket, q.Key, q.WriteOptions)
	if err != nil {
		return nil, err
	}
	if result, err := s.elsewhere(ctx, write, req); result != nil || err != nil {
		return result, err
	}
	write.Kind, write.Value, write.TTL = kv.KindValue, bytes.Clone(q.Value), q.TTLMS
	if write.Value == nil {
		write.Value = []byte{}
	}
	done, err := s.data.Load().Coordinator.Put(ctx, write)
	if err != nil {
		return nil, err
	}
	result := s.putResult(done, b, q.ReturnSiblings)
	return func(dst []byte) []byte { return wire.AppendPutResult(dst, &result) }, nil
}

// putResult shows an acknowledged put. It always fits a message, since a write that is
// stored must not be answered with TOO_LARGE: siblings that do not fit are left out, and
// with them the context that would cover them, so that the writer reads the key. So is a
// context that no message holds; the writer's next put without it leaves a sibling.
func (s *Server) putResult(
	done coordinator.PutResult, b seal, siblings bool,
) wire.PutResult {
	live := b.bucket.Shown(done.Object, s.parts.Now().UnixMilli())
	result := wire.PutResult{SiblingCount: len(live), Context: s.writersContext(&done, b)}
	if !siblings {
		return result
	}
	shown, size := s.getResult(done.Object, b, vclock.Dot{}, false, s.room())
	if !shown.More && size <= s.room() {
		result.Siblings, result.Context = shown.Siblings, shown.Context
	}
	return result
}

// writersContext is what a writer may base its next write on, as long as it fits.
func (s *Server) writersContext(done *coordinator.PutResult, b seal) []byte {
	if b.size(done.Context) > s.room() {
		return nil
	}
	return b.of(done.Context, done.Stamp)
}

// handleDelete answers kv.delete, here if this node owns the key, else at an owner.
func (s *Server) handleDelete(ctx context.Context, req *request) (encoder, error) {
	var q wire.DeleteRequest
	if err := wire.DecodeDeleteRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	write, b, err := s.writeOf(ctx, q.Bucket, q.Key, q.WriteOptions)
	if err != nil {
		return nil, err
	}
	if result, err := s.elsewhere(ctx, write, req); result != nil || err != nil {
		return result, err
	}
	done, err := s.data.Load().Coordinator.Delete(ctx, write)
	if err != nil {
		return nil, err
	}
	result := wire.DeleteResult{Context: s.writersContext(&done, b)}
	return func(dst []byte) []byte { return wire.AppendDeleteResult(dst, &result) }, nil
}

// writeOf is what put and delete have in common.
func (s *Server) writeOf(
	ctx context.Context, name string, key []byte, o wire.WriteOptions,
) (*coordinator.PutRequest, seal, error) {
	bucket, err := s.bucket(ctx, name)
	if err != nil {
		return nil, seal{}, err
	}
	if o.Fence != 0 {
		return nil, seal{}, &coordinator.Error{
			Code: wire.CodeInvalid, Text: "fence: fenced writes are not supported yet",
		}
	}
	key = bytes.Clone(key)
	b, _, err := s.sealOf(bucket, key)
	if err != nil {
		return nil, seal{}, err
	}
	seen, stamp, err := b.open(o.Context)
	if err != nil {
		return nil, seal{}, err
	}
	return &coordinator.PutRequest{
		Bucket: bucket, Key: key, Seen: seen, After: stamp, Informed: len(o.Context) > 0,
		W: o.W, PW: o.PW, Request: o.RequestID,
	}, b, nil
}

// elsewhere has an owner coordinate a write, unless this node does: its result is nil then.
// Where no owner can be reached a fallback stands in, if the write lets it.
func (s *Server) elsewhere(
	ctx context.Context, write *coordinator.PutRequest, req *request,
) (encoder, error) {
	route, err := s.data.Load().Coordinator.Route(write)
	if err != nil || route.Here {
		return nil, err
	}
	result, err := s.forward(ctx, route, req)
	if route.StandIn && errors.Is(err, coordinator.ErrNoOwner) {
		write.StandIn = true
		return nil, nil
	}
	return result, err
}

// forward hands a client's write to an owner. A write that was forwarded to this node,
// which is no owner by its own ring, is refused: the rings differ, and a second hop
// would lose track of who answers (TRAPS C10).
func (s *Server) forward(
	ctx context.Context, route coordinator.Route, req *request,
) (encoder, error) {
	if req.forwarded {
		return nil, &coordinator.Error{
			Code: wire.CodeNotReady, Text: "forwarded to a node that does not own the key; the " +
				"rings differ, try again",
		}
	}
	reply, err := s.data.Load().Coordinator.Forward(ctx, route, &wire.ForwardRequest{
		// A copy: the call may outlive this request, whose time may be over first (I3).
		Method: req.method, Params: bytes.Clone(req.params),
	})
	if err != nil {
		return nil, err
	}
	if reply.Error != "" {
		code, text := wire.ParseError(reply.Error)
		return nil, &coordinator.Error{Code: code, Text: text}
	}
	return func(dst []byte) []byte { return append(dst, reply.Result...) }, nil
}
