// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// resultRoom is how many bytes of siblings a result may carry: the message limit,
	// less room for a context of the largest size and for the rest of the map.
	resultRoom = (4 << 20) - (256 << 10)
	// siblingOverhead is about what a sibling takes beside its value.
	siblingOverhead = 64
)

// handleGet answers kv.get.
func (s *Server) handleGet(ctx context.Context, params []byte, _ origin) (encoder, error) {
	var req wire.GetRequest
	if err := wire.DecodeGetRequest(params, &req); err != nil {
		return nil, err
	}
	ctx, cancel := s.within(ctx, req.Common)
	defer cancel()
	bucket, err := s.bucket(req.Bucket)
	if err != nil {
		return nil, err
	}
	key := bytes.Clone(req.Key)
	binding, current, err := s.binding(bucket, key)
	if err != nil {
		return nil, err
	}
	object, err := s.parts.Coordinator.Get(ctx, &coordinator.GetRequest{
		Bucket: bucket, Key: key, R: req.R, PR: req.PR, Atomic: req.Atomic, MetaOnly: req.MetaOnly,
	})
	if err != nil {
		return nil, err
	}
	var after vclock.Dot
	if len(req.Skip) > 0 {
		if after, err = wire.OpenSkip(req.Skip, object.Context); err != nil {
			return nil, err
		}
	}
	result := s.getResult(object, binding, after, req.MetaOnly, resultRoom)
	result.RingVersion = current.Version()
	return func(dst []byte) []byte { return wire.AppendGetResult(dst, &result) }, nil
}

// getResult shows an object's live versions after a dot, as far as room allows; the
// first of them always.
func (s *Server) getResult(
	object kv.Object, b vclock.Binding, after vclock.Dot, metaOnly bool, room int,
) wire.GetResult {
	live := object.Live(s.parts.Now().UnixMilli())
	result := wire.GetResult{Found: len(live) > 0}
	for _, v := range live {
		if v.Dot.Compare(after) <= 0 {
			continue
		}
		size := siblingOverhead
		if !metaOnly {
			size += len(v.Value)
		}
		if size > room && len(result.Siblings) > 0 {
			result.More, result.Skip = true, wire.AppendSkip(nil, after, object.Context)
			return result
		}
		room -= size
		result.Siblings = append(result.Siblings, siblingOf(v, metaOnly))
		after = v.Dot
	}
	result.Context = sealContext(object.Context, b)
	return result
}

func siblingOf(v kv.Version, metaOnly bool) wire.Sibling {
	s := wire.Sibling{
		TimestampMS: v.Stamp.UnixMilli(), ExpiresMS: v.ExpiresAt, Fence: v.Fence, Bare: metaOnly,
		Deleted: v.Kind == kv.KindTombstone,
	}
	if !metaOnly {
		s.Value = v.Value
	}
	return s
}

// handleGetMany answers kv.get_many.
func (s *Server) handleGetMany(ctx context.Context, params []byte, _ origin) (encoder, error) {
	var req wire.GetManyRequest
	if err := wire.DecodeGetManyRequest(params, &req); err != nil {
		return nil, err
	}
	ctx, cancel := s.within(ctx, req.Common)
	defer cancel()
	bucket, err := s.bucket(req.Bucket)
	if err != nil {
		return nil, err
	}
	keys := make([][]byte, len(req.Keys))
	for i, key := range req.Keys {
		keys[i] = bytes.Clone(key)
	}
	many := &coordinator.GetManyRequest{
		GetRequest: coordinator.GetRequest{
			Bucket: bucket, R: req.R, PR: req.PR, Atomic: req.Atomic, MetaOnly: req.MetaOnly,
		},
		Keys: keys,
	}
	result := wire.GetManyResult{Results: make([]wire.GetManyEntry, len(keys))}
	for i := range result.Results {
		result.Results[i].Error = wire.FormatError(wire.CodeTooLarge, "ask again")
	}
	room := resultRoom
	s.parts.Coordinator.GetMany(ctx, many, func(i int, got coordinator.Got) bool {
		entry, size := s.getManyEntry(bucket, keys[i], got, req.MetaOnly)
		if size > room && i > 0 {
			return true // a later key may fit
		}
		room -= size
		result.Results[i] = entry
		return room > 0
	})
	return func(dst []byte) []byte { return wire.AppendGetManyResult(dst, &result) }, nil
}

// getManyEntry is one answer of several, and about how many bytes it takes.
func (s *Server) getManyEntry(
	bucket kv.Bucket, key []byte, got coordinator.Got, metaOnly bool,
) (wire.GetManyEntry, int) {
	if got.Err != nil {
		text := s.errorText(got.Err)
		return wire.GetManyEntry{Error: text}, len(text)
	}
	binding, current, err := s.binding(bucket, key)
	if err != nil {
		return wire.GetManyEntry{Error: s.errorText(err)}, siblingOverhead
	}
	result := s.getResult(got.Object, binding, vclock.Dot{}, metaOnly, resultRoom)
	result.RingVersion = current.Version()
	return wire.GetManyEntry{GetResult: result}, sizeOf(&result)
}

// sizeOf is about how many bytes a result takes.
func sizeOf(r *wire.GetResult) int {
	size := len(r.Context) + siblingOverhead
	for i := range r.Siblings {
		size += siblingOverhead + len(r.Siblings[i].Value)
	}
	return size
}
