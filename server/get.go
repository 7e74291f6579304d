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
	// headRoom is what a message needs beside siblings, keys and contexts: its head, the
	// rest of a result's map, and the longest cursor.
	headRoom = 8 << 10
	// siblingOverhead is the most that a sibling takes beside its value; an entry of a
	// list takes less beside what is in it.
	siblingOverhead = 128
)

// room is how many bytes of siblings, keys and contexts a result may carry.
func (s *Server) room() int { return s.cfg.Client.Limits.Message - headRoom }

// handleGet answers kv.get.
func (s *Server) handleGet(ctx context.Context, req *request) (encoder, error) {
	var q wire.GetRequest
	if err := wire.DecodeGetRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	bucket, err := s.bucket(ctx, q.Bucket)
	if err != nil {
		return nil, err
	}
	key := bytes.Clone(q.Key)
	b, current, err := s.sealOf(bucket, key)
	if err != nil {
		return nil, err
	}
	object, err := s.data.Load().Coordinator.Get(ctx, &coordinator.GetRequest{
		Bucket: bucket, Key: key, R: q.R, PR: q.PR, Atomic: q.Atomic, MetaOnly: q.MetaOnly,
	})
	if err != nil {
		return nil, err
	}
	s.reads.observe(object.Size())
	var after vclock.Dot
	if len(q.Skip) > 0 {
		if after, err = wire.OpenSkip(q.Skip, object.Context); err != nil {
			return nil, err
		}
	}
	result, _ := s.getResult(object, b, after, q.MetaOnly, s.room())
	result.RingVersion = current.Version()
	if result.Found && len(q.Skip) == 0 {
		s.shown.Siblings.Observe(uint64(len(result.Siblings)))
		s.shown.Context.Observe(uint64(len(result.Context)))
	}
	return func(dst []byte) []byte { return wire.AppendGetResult(dst, &result) }, nil
}

// getResult shows what the bucket shows of an object after a dot, and then its context, as far as
// there is room; what comes first is there always. size is about how many bytes the
// result takes, and never less.
func (s *Server) getResult(
	object kv.Object, b seal, after vclock.Dot, metaOnly bool, room int,
) (result wire.GetResult, size int) {
	live := b.bucket.Shown(object, s.parts.Now().UnixMilli())
	result.Found, size = len(live) > 0, siblingOverhead
	for _, v := range live {
		if v.Dot.Compare(after) <= 0 {
			continue
		}
		takes := siblingOverhead
		if !metaOnly {
			takes += len(v.Value)
		}
		if size+takes > room && len(result.Siblings) > 0 {
			result.More, result.Skip = true, wire.AppendSkip(nil, after, object.Context)
			return result, size
		}
		size += takes
		result.Siblings = append(result.Siblings, siblingOf(v, metaOnly))
		after = v.Dot
	}
	takes := b.size(object.Context)
	if size+takes > room && len(result.Siblings) > 0 {
		// The last page has the context alone.
		result.More, result.Skip = true, wire.AppendSkip(nil, after, object.Context)
		return result, size
	}
	result.Context = b.of(object.Context, object.LatestStamp())
	return result, size + takes
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
func (s *Server) handleGetMany(ctx context.Context, req *request) (encoder, error) {
	var q wire.GetManyRequest
	if err := wire.DecodeGetManyRequest(req.params, &q); err != nil {
		return nil, err
	}
	ctx, cancel, err := s.begin(ctx, req, q.Common)
	if err != nil {
		return nil, err
	}
	defer cancel()
	bucket, err := s.bucket(ctx, q.Bucket)
	if err != nil {
		return nil, err
	}
	many := &coordinator.GetManyRequest{
		GetRequest: coordinator.GetRequest{
			Bucket: bucket, R: q.R, PR: q.PR, Atomic: q.Atomic, MetaOnly: q.MetaOnly,
		},
		Keys: make([][]byte, len(q.Keys)),
	}
	result := wire.GetManyResult{Results: make([]wire.GetManyEntry, len(q.Keys))}
	for i, key := range q.Keys {
		many.Keys[i] = bytes.Clone(key)
		result.Results[i].Error = wire.FormatError(wire.CodeTooLarge, "ask again")
	}
	all := s.room() - siblingOverhead*len(q.Keys)
	room := all
	s.data.Load().Coordinator.GetMany(ctx, many, func(i int, got coordinator.Got) bool {
		entry, size := s.getManyEntry(req, many, i, got, all)
		if size > room && i > 0 {
			return room > 0 // a later key may fit
		}
		room -= size
		result.Results[i] = entry
		return room > 0
	})
	return func(dst []byte) []byte { return wire.AppendGetManyResult(dst, &result) }, nil
}

// getManyEntry is one answer of several, in a result that has room for so many bytes
// beside what every entry takes, and about how many of them it takes.
func (s *Server) getManyEntry(
	req *request, many *coordinator.GetManyRequest, i int, got coordinator.Got, room int,
) (wire.GetManyEntry, int) {
	if got.Err != nil {
		text := s.errorText(req, got.Err)
		return wire.GetManyEntry{Error: text}, len(text)
	}
	b, current, err := s.sealOf(many.Bucket, many.Keys[i])
	if err != nil {
		text := s.errorText(req, err)
		return wire.GetManyEntry{Error: text}, len(text)
	}
	result, size := s.getResult(got.Object, b, vclock.Dot{}, many.MetaOnly, room)
	result.RingVersion = current.Version()
	return wire.GetManyEntry{GetResult: result}, size
}
