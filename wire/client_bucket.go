// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// The two ways in which a bucket resolves siblings.
const (
	resolveSiblings = "siblings"
	resolveLWW      = "lww"
)

// minBucket is the least that an encoded bucket takes: a map with its id and name.
const minBucket = 1 + 3 + 1 + 5 + 1

// AppendBucket appends a bucket: the result of bucket.get.
func AppendBucket(dst []byte, b *kv.Bucket) []byte {
	w := beginMap(dst)
	w.uint(fieldID, uint64(b.ID))
	w.str(fieldName, b.Name)
	w.uint(fieldN, uint64(b.N))
	w.levels(b.R, b.W, b.PR, b.PW)
	w.bool(fieldSloppy, b.Sloppy)
	if b.LWW {
		w.str(fieldResolve, resolveLWW)
	} else {
		w.str(fieldResolve, resolveSiblings)
	}
	w.uint(fieldTTLMS, uint64(b.TTL))
	w.bool(fieldFenced, b.Fenced)
	return w.end()
}

// DecodeBucket reads a bucket: the result of bucket.get.
func DecodeBucket(result []byte, into *kv.Bucket) error {
	r := reader{b: result}
	*into = r.bucket()
	return r.finish()
}

func (r *reader) bucket() (b kv.Bucket) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldID:
			b.ID = kv.BucketID(r.uint32())
		case fieldName:
			b.Name = r.text(MaxBucketName)
		case fieldN:
			b.N = r.uint8()
		case fieldR:
			b.R = r.level(1)
		case fieldW:
			b.W = r.level(1)
		case fieldPR:
			b.PR = r.level(0)
		case fieldPW:
			b.PW = r.level(0)
		case fieldSloppy:
			b.Sloppy = r.bool()
		case fieldResolve:
			b.LWW = r.text(MaxName) == resolveLWW
		case fieldTTLMS:
			b.TTL = r.milli()
		case fieldFenced:
			b.Fenced = r.bool()
		default:
			r.skip()
		}
	}
	return b
}

func (w *mapWriter) buckets(list []kv.Bucket) {
	w.array(fieldBuckets, len(list))
	for i := range list {
		w.dst = AppendBucket(w.dst, &list[i])
	}
}

func (r *reader) buckets() []kv.Bucket {
	return elements(r, r.array(minBucket), (*reader).bucket)
}

// BucketListResult answers bucket.list.
type BucketListResult struct {
	Buckets []kv.Bucket
}

// AppendBucketListResult appends the result of bucket.list.
func AppendBucketListResult(dst []byte, a *BucketListResult) []byte {
	w := beginMap(dst)
	w.buckets(a.Buckets)
	return w.end()
}

// DecodeBucketListResult reads the result of bucket.list.
func DecodeBucketListResult(result []byte, into *BucketListResult) error {
	*into = BucketListResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if f == fieldBuckets {
			into.Buckets = r.buckets()
		} else {
			r.skip()
		}
	}
	return r.finish()
}
