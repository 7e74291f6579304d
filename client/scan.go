// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"iter"

	"github.com/dyno-kv/dyno/wire"
)

// Entry is one key of a scan.
type Entry struct {
	Key []byte
	// Siblings and Context are as in [Result]; with [KeysOnly] both are empty.
	Siblings []Sibling
	Context  Context
}

// Scan walks over the keys of a bucket that begin with a prefix. It is for one goroutine.
type Scan struct {
	bucket *Bucket
	req    wire.KeyScanRequest
	opts   options
	fault  error

	cursor  []byte
	partial bool // some partition could not be read with a quorum
	ended   bool
}

// maxEmptyPages bounds pages without entries in a row: a node skips partitions in which
// nothing was found, and there are at most 65,536 of those.
const maxEmptyPages = 1 << 16

// Scan returns a walk over the keys that begin with prefix, in order of partition, then
// key: of all keys for an empty prefix. Nothing is asked before [Scan.All]. Each page is
// read as of its own time; Config.Timeout bounds a page, not the walk.
func (b *Bucket) Scan(prefix []byte, opts ...Option) *Scan {
	s := &Scan{bucket: b}
	switch why := s.opts.fold(opts, optScan); {
	case why != "":
		s.fault = invalidError(wire.MethodKeyScan, b.name, nil, why)
	case b.name == "":
		s.fault = invalidError(wire.MethodKeyScan, "", nil, "a bucket has a name")
	}
	s.cursor = clone(s.opts.cursor)
	s.req = wire.KeyScanRequest{
		Common: wire.Common{Trace: s.opts.trace}, Bucket: b.name, Prefix: clone(prefix),
		Limit: s.opts.limit, KeysOnly: s.opts.keysOnly,
	}
	return s
}

// All yields the entries. An error ends it; calling All again goes on with the page that
// failed, or that the caller left.
func (s *Scan) All(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for empty := 0; !s.ended; {
			entries, next, err := s.page(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for i := range entries {
				if !s.yield(ctx, &entries[i], yield) {
					return
				}
			}
			s.cursor, s.ended = next, len(next) == 0
			if empty++; len(entries) > 0 {
				empty = 0
			}
			if empty > maxEmptyPages {
				yield(Entry{}, fmt.Errorf("client: %s: %d pages without a key in a row",
					wire.MethodKeyScan, empty))
				return
			}
		}
	}
}

// Complete reports that the walk is over and every partition was read with a quorum. A
// walk that is not complete may have missed keys.
func (s *Scan) Complete() bool { return s.ended && !s.partial }

// Cursor is where another scan, [WithCursor], goes on: at the beginning of the page that
// was not yielded to its end. It is nil at the start and at the end.
func (s *Scan) Cursor() []byte { return clone(s.cursor) }

// page reads the next page.
func (s *Scan) page(ctx context.Context) (entries []wire.KeyScanEntry, next []byte, err error) {
	if s.fault != nil {
		return nil, nil, s.fault
	}
	q := &call{
		method: wire.MethodKeyScan, op: wire.OpRead, again: true, bucket: s.bucket.name,
		endpoint: s.opts.endpoint,
		deadline: s.bucket.client.deadline(ctx, &s.opts),
	}
	s.req.Cursor = s.cursor
	q.encode = func(dst []byte) []byte {
		s.req.TimeoutMS = q.timeoutMS
		return wire.AppendKeyScanRequest(dst, &s.req)
	}
	raw, _, err := s.bucket.client.do(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	var got wire.KeyScanResult
	if err := wire.DecodeKeyScanResult(raw, &got); err != nil {
		return nil, nil, q.badAnswer(err)
	}
	s.partial = s.partial || !got.Complete
	return got.Entries, got.Cursor, nil
}

// yield hands one entry on. One whose siblings did not fit the page is read by itself; if
// it is gone by then, it is left out.
func (s *Scan) yield(
	ctx context.Context, e *wire.KeyScanEntry, yield func(Entry, error) bool,
) bool {
	if s.opts.keysOnly {
		return yield(Entry{Key: e.Key}, nil)
	}
	if len(e.Siblings) > 0 {
		return yield(Entry{Key: e.Key, Siblings: siblingsOf(e.Siblings), Context: e.Context}, nil)
	}
	var o []Option
	if s.opts.endpoint != "" {
		o = append(o, WithEndpoint(s.opts.endpoint))
	}
	if s.opts.timeout != 0 {
		o = append(o, WithTimeout(s.opts.timeout))
	}
	r, err := s.bucket.Get(ctx, e.Key, o...)
	if err != nil {
		yield(Entry{}, err)
		return false
	}
	return !r.Found || yield(Entry{Key: e.Key, Siblings: r.Siblings, Context: r.Context}, nil)
}
