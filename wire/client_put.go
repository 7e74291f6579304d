// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// WriteOptions are what kv.put and kv.delete have in common.
type WriteOptions struct {
	// Context is what the writer has read, as a result gave it; empty for a blind put.
	Context   []byte
	W, PW     kv.Level     // unset: the bucket's
	RequestID kv.RequestID // kept over retries; zero means none
	Fence     kv.Fence     // of the writer's lock; zero means not fenced
}

func (o *WriteOptions) read(q *request, f field) bool {
	switch f {
	case fieldContext:
		o.Context = q.bytes(MaxToken)
	case fieldW:
		o.W = q.level(1)
	case fieldPW:
		o.PW = q.level(0)
	case fieldRequestID:
		q.fixed(o.RequestID[:])
	case fieldFence:
		o.Fence = kv.Fence(q.uint64())
	default:
		return false
	}
	return true
}

func (w *mapWriter) writeOptions(o WriteOptions) {
	w.binIfSet(fieldContext, o.Context)
	w.levelIfSet(fieldW, o.W)
	w.levelIfSet(fieldPW, o.PW)
	if !o.RequestID.IsZero() {
		w.bin(fieldRequestID, o.RequestID[:])
	}
	w.uintIfSet(fieldFence, uint64(o.Fence))
}

// PutRequest is kv.put. Decoded slices alias the params: whoever keeps a value copies
// it into a slice of its own.
type PutRequest struct {
	Common
	WriteOptions
	Bucket         string // "default" where the request names none
	Key            []byte
	Value          []byte
	TTLMS          int64 // time to live, milliseconds; 0 means the bucket's
	ReturnSiblings bool
}

// AppendPutRequest appends the params of kv.put.
func AppendPutRequest(dst []byte, q *PutRequest) []byte {
	w := beginParams(dst)
	w.bucketIfSet(q.Bucket)
	w.bin(fieldKey, q.Key)
	w.bin(fieldValue, q.Value)
	w.writeOptions(q.WriteOptions)
	w.uintIfSet(fieldTTLMS, uint64(q.TTLMS))
	w.boolIfSet(fieldReturnSiblings, q.ReturnSiblings)
	w.common(q.Common)
	return w.end()
}

// DecodePutRequest reads the params of kv.put.
func DecodePutRequest(params []byte, into *PutRequest) error {
	*into = PutRequest{Common: defaults(), Bucket: kv.DefaultBucketName}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldBucket:
			into.Bucket = q.bucketName()
		case fieldKey:
			into.Key = q.keyBytes()
		case fieldValue:
			into.Value = q.bytes(kv.MaxValue)
		case fieldTTLMS:
			into.TTLMS = q.ttl()
		case fieldReturnSiblings:
			into.ReturnSiblings = q.bool()
		default:
			if !into.WriteOptions.read(&q, f) {
				q.common(f, &into.Common)
			}
		}
	}
	q.require(fieldKey)
	if into.Value == nil {
		q.fail(invalid(fieldValue.String(), "is missing; an empty value is given as such"))
	}
	return q.finish()
}

// ttl reads a time to live. Zero is refused: it would mean "expired" to some and
// "forever" to others.
func (q *request) ttl() int64 {
	ms := q.uint(MaxTTLMS)
	if ms == 0 {
		q.fail(invalid(q.field, "must be at least 1; leave it out for the bucket's"))
	}
	return int64(ms)
}

// PutResult answers kv.put. Decoded slices alias the result.
type PutResult struct {
	// Context is the request's plus the new dot; the whole object's where only this
	// version is left, or with ReturnSiblings.
	Context      []byte
	SiblingCount int
	Siblings     []Sibling // where asked for
}

// AppendPutResult appends the result of kv.put.
func AppendPutResult(dst []byte, a *PutResult) []byte {
	w := beginMap(dst)
	w.bin(fieldContext, a.Context)
	w.uint(fieldSiblingCount, uint64(a.SiblingCount))
	if len(a.Siblings) > 0 {
		w.siblings(a.Siblings)
	}
	return w.end()
}

// DecodePutResult reads the result of kv.put.
func DecodePutResult(result []byte, into *PutResult) error {
	*into = PutResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldContext:
			into.Context = r.bytes(len(r.b))
		case fieldSiblingCount:
			into.SiblingCount = int(r.uint32())
		case fieldSiblings:
			into.Siblings = r.siblings()
		default:
			r.skip()
		}
	}
	return r.finish()
}

// DeleteRequest is kv.delete. Decoded slices alias the params.
type DeleteRequest struct {
	Common
	WriteOptions
	Bucket string // "default" where the request names none
	Key    []byte
}

// AppendDeleteRequest appends the params of kv.delete.
func AppendDeleteRequest(dst []byte, q *DeleteRequest) []byte {
	w := beginParams(dst)
	w.bucketIfSet(q.Bucket)
	w.bin(fieldKey, q.Key)
	w.writeOptions(q.WriteOptions)
	w.common(q.Common)
	return w.end()
}

// DecodeDeleteRequest reads the params of kv.delete.
func DecodeDeleteRequest(params []byte, into *DeleteRequest) error {
	*into = DeleteRequest{Common: defaults(), Bucket: kv.DefaultBucketName}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldBucket:
			into.Bucket = q.bucketName()
		case fieldKey:
			into.Key = q.keyBytes()
		default:
			if !into.WriteOptions.read(&q, f) {
				q.common(f, &into.Common)
			}
		}
	}
	q.require(fieldKey)
	return q.finish()
}

// DeleteResult answers kv.delete.
type DeleteResult struct {
	Context []byte // aliases the result where decoded
}

// AppendDeleteResult appends the result of kv.delete.
func AppendDeleteResult(dst []byte, a *DeleteResult) []byte {
	w := beginMap(dst)
	w.bin(fieldContext, a.Context)
	return w.end()
}

// DecodeDeleteResult reads the result of kv.delete.
func DecodeDeleteResult(result []byte, into *DeleteResult) error {
	*into = DeleteResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if f == fieldContext {
			into.Context = r.bytes(len(r.b))
		} else {
			r.skip()
		}
	}
	return r.finish()
}
