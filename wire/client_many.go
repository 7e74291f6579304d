// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// GetManyRequest is kv.get_many. Decoded slices alias the params.
type GetManyRequest struct {
	Common
	ReadOptions
	Bucket string   // "default" where the request names none
	Keys   [][]byte // at most MaxList
}

// AppendGetManyRequest appends the params of kv.get_many.
func AppendGetManyRequest(dst []byte, q *GetManyRequest) []byte {
	w := beginParams(dst)
	w.bucketIfSet(q.Bucket)
	w.array(fieldKeys, len(q.Keys))
	for _, key := range q.Keys {
		w.dst = appendBin(w.dst, key)
	}
	w.readOptions(q.ReadOptions)
	w.common(q.Common)
	return w.end()
}

// DecodeGetManyRequest reads the params of kv.get_many.
func DecodeGetManyRequest(params []byte, into *GetManyRequest) error {
	*into = GetManyRequest{Common: defaults(), Bucket: kv.DefaultBucketName}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldBucket:
			into.Bucket = q.bucketName()
		case fieldKeys:
			into.Keys = q.keyList()
		default:
			if !into.ReadOptions.read(&q, f) {
				q.common(f, &into.Common)
			}
		}
	}
	q.require(fieldKeys)
	return q.finish()
}

// keyList reads an array of keys. A key takes at least two bytes, being not empty.
func (q *request) keyList() [][]byte {
	n := q.list(2)
	keys := make([][]byte, 0, n)
	for ; n > 0 && q.err == nil; n-- {
		keys = append(keys, q.keyBytes())
	}
	return keys
}

// GetManyEntry is what kv.get_many says of one key.
type GetManyEntry struct {
	// Error is a response's error string; empty where the rest holds.
	Error string
	GetResult
}

// minGetManyEntry is the least that an encoded entry takes: a map with an error.
const minGetManyEntry = 1 + 6 + 1

// GetManyResult answers kv.get_many: an entry for each key, in their order.
type GetManyResult struct {
	Results []GetManyEntry
}

// AppendGetManyResult appends the result of kv.get_many.
func AppendGetManyResult(dst []byte, a *GetManyResult) []byte {
	dst = AppendGetManyHead(dst, len(a.Results))
	for i := range a.Results {
		dst = AppendGetManyEntry(dst, &a.Results[i])
	}
	return dst
}

// AppendGetManyHead appends all of a result but its n entries, which must follow: for a
// node that stops before the message grows too long.
func AppendGetManyHead(dst []byte, n int) []byte {
	w := beginMap(dst)
	w.array(fieldResults, n)
	return w.end()
}

// AppendGetManyEntry appends one entry of a result.
func AppendGetManyEntry(dst []byte, a *GetManyEntry) []byte {
	w := beginMap(dst)
	if a.Error != "" {
		w.str(fieldError, a.Error)
		return w.end()
	}
	w.getResult(&a.GetResult)
	return w.end()
}

// DecodeGetManyResult reads the result of kv.get_many.
func DecodeGetManyResult(result []byte, into *GetManyResult) error {
	*into = GetManyResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		if f != fieldResults {
			r.skip()
			continue
		}
		into.Results = elements(&r, r.array(minGetManyEntry), (*reader).getManyEntry)
	}
	return r.finish()
}

func (r *reader) getManyEntry() (a GetManyEntry) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch {
		case f == fieldError:
			a.Error = r.text(len(r.b))
		case !a.GetResult.read(r, f):
			r.skip()
		}
	}
	return a
}
