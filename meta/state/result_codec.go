// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

// resultVersion is that of the encoding of results, its first byte.
const resultVersion = 1

// The parts that a result may have, as bits.
const (
	partLock byte = 1 << iota
	partMember
	partBucket

	allParts = partLock | partMember | partBucket
)

// AppendResult appends a result as one member tells it another.
func AppendResult(dst []byte, r *Result) []byte {
	dst = append(dst, resultVersion, byte(r.Code))
	dst = appendBytes(dst, r.Detail)
	dst = append(dst, byte(r.Verdict))
	dst = appendUint(dst, r.Plan)
	dst = appendUint(dst, r.Epoch)
	dst = appendUint(dst, r.Generation)
	at := len(dst)
	dst = append(dst, 0)
	if r.Lock != (locks.Result{}) {
		dst[at] |= partLock
		dst = appendLockResult(dst, &r.Lock)
	}
	if r.Member != nil {
		dst[at] |= partMember
		dst = appendMember(dst, r.Member)
	}
	if r.Bucket != nil {
		dst[at] |= partBucket
		dst = appendBucket(dst, *r.Bucket)
	}
	return dst
}

// DecodeResult reads a result. The error wraps ErrUnknown or ErrDamaged.
func DecodeResult(b []byte) (Result, error) {
	r := reader{b: b}
	if version := r.byte(); r.err == nil && version != resultVersion {
		return Result{}, fmt.Errorf("%w: a result of version %d", ErrUnknown, version)
	}
	result := Result{
		Code: Code(r.byte()), Detail: r.text(), Verdict: kv.Verdict(r.byte()), Plan: r.uint(),
		Epoch: kv.PurgeEpoch(r.uint()), Generation: r.generation(),
	}
	parts := r.byte()
	if parts&^allParts != 0 {
		r.fail("%#x are no parts of a result", parts)
	}
	if parts&partLock != 0 {
		if result.Lock = r.lockResult(); result.Lock == (locks.Result{}) {
			r.fail("the answer about a lock is empty")
		}
	}
	if parts&partMember != 0 {
		result.Member = r.member()
	}
	if parts&partBucket != 0 {
		b := r.bucket()
		result.Bucket = &b
	}
	if err := r.finish("result"); err != nil {
		return Result{}, err
	}
	return result, nil
}

func appendLockResult(dst []byte, l *locks.Result) []byte {
	dst = append(dst, byte(l.Code))
	dst = appendBytes(dst, l.Detail)
	dst = appendUint(dst, l.Fence)
	dst = appendUint(dst, l.Index)
	dst = appendInt(dst, int64(l.Position))
	dst = appendBool(dst, l.Released)
	return appendInt(dst, int64(l.TTL))
}

func (r *reader) lockResult() locks.Result {
	return locks.Result{
		Code: locks.Code(r.byte()), Detail: r.text(), Fence: r.fence(), Index: r.uint(),
		Position: int(r.int()), Released: r.bool(), TTL: r.duration(),
	}
}
