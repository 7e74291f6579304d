// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// handleScan answers kv.scan.
func (s *Server) handleScan(ctx context.Context, req *request) (encoder, error) {
	var q wire.KeyScanRequest
	if err := wire.DecodeKeyScanRequest(req.params, &q); err != nil {
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
	prefix := bytes.Clone(q.Prefix)
	from, err := wire.OpenScanCursor(q.Cursor, bucket.ID, prefix)
	if err != nil {
		return nil, err
	}
	start := coordinator.Cursor{Partition: from.Partition, After: bytes.Clone(from.After)}
	page, err := s.data.Load().Coordinator.Scan(ctx, &coordinator.ScanRequest{
		Bucket: bucket, Prefix: prefix, Start: start, Limit: int(q.Limit), KeysOnly: q.KeysOnly,
	})
	if err != nil {
		return nil, err
	}
	result, cut, err := s.scanResult(bucket, page, q.KeysOnly)
	if err != nil {
		return nil, err
	}
	if cut != nil {
		page.More, page.Next = true, *cut
	}
	if page.More {
		next := wire.ScanCursor{Partition: page.Next.Partition, After: page.Next.After}
		result.Cursor = wire.AppendScanCursor(nil, next, bucket.ID, prefix)
	}
	return func(dst []byte) []byte { return wire.AppendKeyScanResult(dst, &result) }, nil
}

// scanResult shows a page as far as a message has room; where it ends early it says
// where the next page begins. An entry whose siblings do not fit any message is shown
// without them and without context: the client gets the key.
func (s *Server) scanResult(bucket kv.Bucket, page coordinator.ScanPage, keysOnly bool) (
	wire.KeyScanResult, *coordinator.Cursor, error,
) {
	result := wire.KeyScanResult{Complete: page.Complete}
	room := s.room()
	for i, entry := range page.Entries {
		shown, size, err := s.scanEntry(bucket, entry, keysOnly)
		if err != nil {
			return result, nil, err
		}
		if size > room && i > 0 {
			last := page.Entries[i-1].Key
			cut := coordinator.Cursor{Partition: s.partitionOf(bucket, last), After: last}
			return result, &cut, nil
		}
		room -= size
		result.Entries = append(result.Entries, shown)
	}
	return result, nil, nil
}

// scanEntry is one key of a page, and about how many bytes it takes.
func (s *Server) scanEntry(bucket kv.Bucket, e wire.ScanEntry, keysOnly bool) (
	wire.KeyScanEntry, int, error,
) {
	shown, size := wire.KeyScanEntry{Key: e.Key}, len(e.Key)+siblingOverhead
	if keysOnly {
		return shown, size, nil
	}
	b, _, err := s.sealOf(bucket, e.Key)
	if err != nil {
		return shown, 0, err
	}
	got, takes := s.getResult(e.Object, b, vclock.Dot{}, false, s.room())
	if !got.More && size+takes <= s.room() {
		shown.Siblings, shown.Context = got.Siblings, got.Context
		size += takes
	}
	return shown, size, nil
}

func (s *Server) partitionOf(bucket kv.Bucket, key []byte) uint16 {
	current := s.parts.Cluster.Ring() // known, or there would be no entry
	return ring.PartitionOf(ring.Hash(current.HashSeed(), bucket.ID, key), current.Partitions())
}
