// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// BucketCreateRequest is bucket.create. It answers the bucket.
type BucketCreateRequest struct {
	Common
	// RequestID is kept over retries, so that a retry finds the bucket that it made;
	// zero: none, and a retry may be told EXISTS.
	RequestID    kv.RequestID
	Name         string
	N            uint8    // 0: the cluster's replicas, the one number that this version knows
	R, W, PR, PW kv.Level // unset: those of the bucket "default"
	Strict       bool     // not sloppy: no fallback stands in for an owner
	LWW          bool     // resolve is "lww"
	TTLMS        int64    // of new values, milliseconds; 0: they stay
	Fenced       bool
}

// AppendBucketCreateRequest appends the params of bucket.create.
func AppendBucketCreateRequest(dst []byte, q *BucketCreateRequest) []byte {
	w := beginParams(dst)
	w.str(fieldName, q.Name)
	w.uintIfSet(fieldN, uint64(q.N))
	w.levels(q.R, q.W, q.PR, q.PW)
	if q.Strict {
		w.bool(fieldSloppy, false)
	}
	if q.LWW {
		w.str(fieldResolve, resolveLWW)
	}
	w.uintIfSet(fieldTTLMS, uint64(q.TTLMS))
	w.boolIfSet(fieldFenced, q.Fenced)
	w.requestIDIfSet(q.RequestID)
	w.common(q.Common)
	return w.end()
}

func (w *mapWriter) requestIDIfSet(id kv.RequestID) {
	if !id.IsZero() {
		w.bin(fieldRequestID, id[:])
	}
}

func (w *mapWriter) levels(r, write, pr, pw kv.Level) {
	w.levelIfSet(fieldR, r)
	w.levelIfSet(fieldW, write)
	w.levelIfSet(fieldPR, pr)
	w.levelIfSet(fieldPW, pw)
}

// DecodeBucketCreateRequest reads the params of bucket.create.
func DecodeBucketCreateRequest(params []byte, into *BucketCreateRequest) error {
	*into = BucketCreateRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldName:
			into.Name = q.newName()
		case fieldN:
			into.N = uint8(q.uint(kv.MaxLevel))
		case fieldR:
			into.R = q.level(1)
		case fieldW:
			into.W = q.level(1)
		case fieldPR:
			into.PR = q.level(0)
		case fieldPW:
			into.PW = q.level(0)
		case fieldSloppy:
			into.Strict = !q.bool()
		case fieldResolve:
			into.LWW = q.lww()
		case fieldTTLMS:
			into.TTLMS = int64(q.uint(MaxTTLMS))
		case fieldFenced:
			into.Fenced = q.bool()
		case fieldRequestID:
			q.fixed(into.RequestID[:])
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	return q.finish()
}

// newName reads the name of a bucket, which no default stands for.
func (q *request) newName() string {
	name := q.text(MaxBucketName)
	if name == "" {
		q.fail(invalid(q.field, "must not be empty"))
	}
	return name
}

// lww reads how a bucket resolves siblings.
func (q *request) lww() bool {
	word := q.bytes(MaxName)
	switch string(word) {
	case resolveSiblings:
	case resolveLWW:
		return true
	default:
		q.fail(invalid(q.field, `%.64s, must be "siblings" or "lww"`, quoted(word)))
	}
	return false
}

// BucketUpdateRequest is bucket.update. What is unset stays as it is. It answers the
// bucket.
type BucketUpdateRequest struct {
	Common
	RequestID    kv.RequestID // as that of bucket.create
	Name         string
	R, W, PR, PW kv.Level
	Sloppy       *bool
	TTLMS        *int64 // 0: new values stay
}

// AppendBucketUpdateRequest appends the params of bucket.update.
func AppendBucketUpdateRequest(dst []byte, q *BucketUpdateRequest) []byte {
	w := beginParams(dst)
	w.str(fieldName, q.Name)
	w.levels(q.R, q.W, q.PR, q.PW)
	if q.Sloppy != nil {
		w.bool(fieldSloppy, *q.Sloppy)
	}
	if q.TTLMS != nil {
		w.uint(fieldTTLMS, uint64(*q.TTLMS))
	}
	w.requestIDIfSet(q.RequestID)
	w.common(q.Common)
	return w.end()
}

// DecodeBucketUpdateRequest reads the params of bucket.update.
func DecodeBucketUpdateRequest(params []byte, into *BucketUpdateRequest) error {
	*into = BucketUpdateRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldName:
			into.Name = q.newName()
		case fieldR:
			into.R = q.level(1)
		case fieldW:
			into.W = q.level(1)
		case fieldPR:
			into.PR = q.level(0)
		case fieldPW:
			into.PW = q.level(0)
		case fieldSloppy:
			into.Sloppy = new(q.bool())
		case fieldTTLMS:
			into.TTLMS = new(int64(q.uint(MaxTTLMS)))
		case fieldRequestID:
			q.fixed(into.RequestID[:])
		case fieldN, fieldResolve, fieldFenced:
			q.fail(invalid(q.field, "never changes; create another bucket"))
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	return q.finish()
}

// BucketDeleteRequest is bucket.delete. It answers an empty map.
type BucketDeleteRequest struct {
	Common
	RequestID kv.RequestID // as that of bucket.create
	Name      string
}

// AppendBucketDeleteRequest appends the params of bucket.delete.
func AppendBucketDeleteRequest(dst []byte, q *BucketDeleteRequest) []byte {
	w := beginParams(dst)
	w.str(fieldName, q.Name)
	w.requestIDIfSet(q.RequestID)
	w.common(q.Common)
	return w.end()
}

// DecodeBucketDeleteRequest reads the params of bucket.delete.
func DecodeBucketDeleteRequest(params []byte, into *BucketDeleteRequest) error {
	*into = BucketDeleteRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldName:
			into.Name = q.newName()
		case fieldRequestID:
			q.fixed(into.RequestID[:])
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldName)
	return q.finish()
}
