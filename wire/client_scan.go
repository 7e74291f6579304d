// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// KeyScanRequest is kv.scan. Decoded slices alias the params.
type KeyScanRequest struct {
	Common
	Bucket   string // "default" where the request names none
	Prefix   []byte
	Cursor   []byte // from the page before; empty at the start
	Limit    uint32 // entries, 1 to MaxList; 0 in a request that is encoded: the default
	KeysOnly bool
}

// AppendKeyScanRequest appends the params of kv.scan.
func AppendKeyScanRequest(dst []byte, q *KeyScanRequest) []byte {
	w := beginParams(dst)
	w.bucketIfSet(q.Bucket)
	w.binIfSet(fieldPrefix, q.Prefix)
	w.binIfSet(fieldCursor, q.Cursor)
	if q.Limit != DefaultScanLimit {
		w.uintIfSet(fieldLimit, uint64(q.Limit))
	}
	w.boolIfSet(fieldKeysOnly, q.KeysOnly)
	w.common(q.Common)
	return w.end()
}

// DecodeKeyScanRequest reads the params of kv.scan.
func DecodeKeyScanRequest(params []byte, into *KeyScanRequest) error {
	*into = KeyScanRequest{
		Common: defaults(), Bucket: kv.DefaultBucketName, Limit: DefaultScanLimit,
	}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldBucket:
			into.Bucket = q.bucketName()
		case fieldPrefix:
			into.Prefix = q.bytes(kv.MaxKey)
		case fieldCursor:
			into.Cursor = q.bytes(MaxCursor)
		case fieldLimit:
			if into.Limit = uint32(q.uint(MaxList)); into.Limit == 0 {
				q.fail(invalid(q.field, "must be 1 to %d", MaxList))
			}
		case fieldKeysOnly:
			into.KeysOnly = q.bool()
		default:
			q.common(f, &into.Common)
		}
	}
	return q.finish()
}

// KeyScanEntry is one key of a page. With KeysOnly it is the key alone.
type KeyScanEntry struct {
	Key      []byte
	Siblings []Sibling
	Context  []byte
}

// minKeyScanEntry is the least that an encoded entry takes: a map with a key of a byte.
const minKeyScanEntry = 1 + 4 + 2

// KeyScanResult answers kv.scan. Decoded slices alias the result.
type KeyScanResult struct {
	Entries []KeyScanEntry // in order of partition, then key; may be empty before the end
	Cursor  []byte         // of the next page; empty at the end
	// Complete is false where some partition could not be read with a quorum.
	Complete bool
}

// AppendKeyScanResult appends the result of kv.scan.
func AppendKeyScanResult(dst []byte, a *KeyScanResult) []byte {
	w := beginMap(dst)
	w.array(fieldEntries, len(a.Entries))
	for i := range a.Entries {
		w.dst = appendKeyScanEntry(w.dst, &a.Entries[i])
	}
	w.key(fieldCursor)
	if len(a.Cursor) == 0 {
		w.dst = appendNil(w.dst)
	} else {
		w.dst = appendBin(w.dst, a.Cursor)
	}
	w.bool(fieldComplete, a.Complete)
	return w.end()
}

func appendKeyScanEntry(dst []byte, e *KeyScanEntry) []byte {
	w := beginMap(dst)
	w.bin(fieldKey, e.Key)
	if len(e.Siblings) > 0 {
		w.siblings(e.Siblings)
	}
	w.binIfSet(fieldContext, e.Context)
	return w.end()
}

// DecodeKeyScanResult reads the result of kv.scan.
func DecodeKeyScanResult(result []byte, into *KeyScanResult) error {
	*into = KeyScanResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldEntries:
			into.Entries = elements(&r, r.array(minKeyScanEntry), (*reader).keyScanEntry)
		case fieldCursor:
			into.Cursor = r.bytes(len(r.b))
		case fieldComplete:
			into.Complete = r.bool()
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) keyScanEntry() (e KeyScanEntry) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldKey:
			e.Key = r.bytes(len(r.b))
		case fieldSiblings:
			e.Siblings = r.siblings()
		case fieldContext:
			e.Context = r.bytes(len(r.b))
		default:
			r.skip()
		}
	}
	return e
}
