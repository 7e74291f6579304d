// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// ReadOptions are the options of kv.get that kv.get_many has too.
type ReadOptions struct {
	R, PR    kv.Level // unset: the bucket's
	Atomic   bool
	MetaOnly bool // siblings without their values
}

func (o *ReadOptions) read(q *request, f field) bool {
	switch f {
	case fieldR:
		o.R = q.level(1)
	case fieldPR:
		o.PR = q.level(0)
	case fieldAtomic:
		o.Atomic = q.bool()
	case fieldMetaOnly:
		o.MetaOnly = q.bool()
	default:
		return false
	}
	return true
}

func (w *mapWriter) readOptions(o ReadOptions) {
	w.levelIfSet(fieldR, o.R)
	w.levelIfSet(fieldPR, o.PR)
	w.boolIfSet(fieldAtomic, o.Atomic)
	w.boolIfSet(fieldMetaOnly, o.MetaOnly)
}

// bucketIfSet appends the bucket where it is not the default one.
func (w *mapWriter) bucketIfSet(name string) {
	if name != kv.DefaultBucketName {
		w.strIfSet(fieldBucket, name)
	}
}

// GetRequest is kv.get. Decoded slices alias the params.
type GetRequest struct {
	Common
	ReadOptions
	Bucket string // "default" where the request names none
	Key    []byte
	Skip   []byte // from the page before; empty at the start
}

// AppendGetRequest appends the params of kv.get.
func AppendGetRequest(dst []byte, q *GetRequest) []byte {
	w := beginParams(dst)
	w.bucketIfSet(q.Bucket)
	w.bin(fieldKey, q.Key)
	w.readOptions(q.ReadOptions)
	w.binIfSet(fieldSkip, q.Skip)
	w.common(q.Common)
	return w.end()
}

// DecodeGetRequest reads the params of kv.get.
func DecodeGetRequest(params []byte, into *GetRequest) error {
	*into = GetRequest{Common: defaults(), Bucket: kv.DefaultBucketName}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldBucket:
			into.Bucket = q.bucketName()
		case fieldKey:
			into.Key = q.keyBytes()
		case fieldSkip:
			into.Skip = q.bytes(MaxCursor)
		default:
			if !into.ReadOptions.read(&q, f) {
				q.common(f, &into.Common)
			}
		}
	}
	q.require(fieldKey)
	return q.finish()
}

// Sibling is one version of a key, as clients see it.
type Sibling struct {
	Value []byte
	// Bare says that the value was left out because only metadata were asked for.
	Bare        bool
	Deleted     bool  // a tombstone; it has no value
	TimestampMS int64 // when it was written, Unix milliseconds, by the writer's node
	ExpiresMS   int64 // Unix milliseconds; 0 means never
	Fence       kv.Fence
}

// minSibling is the least that an encoded sibling takes: a map with timestamp_ms.
const minSibling = 1 + 13 + 1

func appendSibling(dst []byte, s *Sibling) []byte {
	w := beginMap(dst)
	if !s.Deleted && !s.Bare {
		w.bin(fieldValue, s.Value)
	}
	w.uint(fieldTimestampMS, uint64(s.TimestampMS))
	w.uintIfSet(fieldExpiresMS, uint64(s.ExpiresMS))
	w.boolIfSet(fieldDeleted, s.Deleted)
	w.uintIfSet(fieldFence, uint64(s.Fence))
	return w.end()
}

func (r *reader) sibling() Sibling {
	s := Sibling{Bare: true}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldValue:
			s.Value, s.Bare = r.bytes(len(r.b)), false
		case fieldTimestampMS:
			s.TimestampMS = r.milli()
		case fieldExpiresMS:
			s.ExpiresMS = r.milli()
		case fieldDeleted:
			s.Deleted = r.bool()
		case fieldFence:
			s.Fence = kv.Fence(r.uint64())
		default:
			r.skip()
		}
	}
	if s.Deleted {
		s.Value, s.Bare = nil, false
	}
	return s
}

func (w *mapWriter) siblings(list []Sibling) {
	w.array(fieldSiblings, len(list))
	for i := range list {
		w.dst = appendSibling(w.dst, &list[i])
	}
}

func (r *reader) siblings() []Sibling {
	n := r.array(minSibling)
	if n == 0 {
		return nil
	}
	return elements(r, n, (*reader).sibling)
}

// GetResult answers kv.get. Decoded slices alias the result.
type GetResult struct {
	Found    bool
	Siblings []Sibling // in order of their dots
	// Context is opaque; a put or delete with it overwrites what was read. The last
	// page has it, and a key that was deleted has it too.
	Context     []byte
	RingVersion uint64
	More        bool   // there are further siblings: ask again with Skip
	Skip        []byte // opaque; set where More is
}

// AppendGetResult appends the result of kv.get.
func AppendGetResult(dst []byte, a *GetResult) []byte {
	w := beginMap(dst)
	w.getResult(a)
	return w.end()
}

func (w *mapWriter) getResult(a *GetResult) {
	w.bool(fieldFound, a.Found)
	w.siblings(a.Siblings)
	if !a.More {
		w.bin(fieldContext, a.Context)
	}
	w.uint(fieldRingVersion, a.RingVersion)
	w.boolIfSet(fieldMore, a.More)
	w.binIfSet(fieldSkip, a.Skip)
}

// DecodeGetResult reads the result of kv.get.
func DecodeGetResult(result []byte, into *GetResult) error {
	*into = GetResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if !into.read(&r, f) {
			r.skip()
		}
	}
	return r.finish()
}

func (a *GetResult) read(r *reader, f field) bool {
	switch f {
	case fieldFound:
		a.Found = r.bool()
	case fieldSiblings:
		a.Siblings = r.siblings()
	case fieldContext:
		a.Context = r.bytes(len(r.b))
	case fieldRingVersion:
		a.RingVersion = r.uint64()
	case fieldMore:
		a.More = r.bool()
	case fieldSkip:
		a.Skip = r.bytes(len(r.b))
	default:
		return false
	}
	return true
}
