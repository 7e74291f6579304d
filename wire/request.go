// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"math"

	"github.com/dyno-kv/dyno/kv"
)

// Common are the options that every request map may carry.
type Common struct {
	// TimeoutMS is how long the node may work on the request, in milliseconds; 0 in a
	// request that is encoded means the default. A decoded request always has one.
	TimeoutMS uint32
	// Trace is echoed in the node's logs; at most MaxTrace bytes.
	Trace string
}

func (w *mapWriter) common(c Common) {
	if c.TimeoutMS != 0 && c.TimeoutMS != DefaultTimeoutMS {
		w.uint(fieldTimeoutMS, uint64(c.TimeoutMS))
	}
	w.strIfSet(fieldTrace, c.Trace)
}

// request walks over the one map of a request. Keys that begin with x- are skipped, a
// nil value stands for an absent key; an unknown key is refused, since a request
// must not run without what its author asked for, and so is a repeated one.
type request struct {
	reader
	left int // pairs
	name []byte
	seen uint64 // keys that occurred, a bit each
	set  uint64 // those with a value other than nil
}

// openRequest begins params: an array of one map. Nil, an empty array, and an array of
// nil mean "all defaults".
func openRequest(params []byte) request {
	q := request{reader: reader{b: params}}
	if len(params) == 0 || q.isNil() {
		return q
	}
	k, n := q.head()
	switch {
	case k != kindArray || n > 1:
		q.fail(invalid("", "params must be an array of exactly one map"))
	case n == 1 && !q.isNil():
		q.left = q.pairs()
	}
	return q
}

// next moves to the next key that is there and returns it; fieldNone at the end.
func (q *request) next() field {
	for q.left > 0 && q.err == nil {
		q.left--
		q.field = ""
		q.name = q.bytes(math.MaxInt32)
		if bytes.HasPrefix(q.name, []byte("x-")) {
			q.skip()
			continue
		}
		f := fieldOf(q.name)
		if f == fieldNone {
			q.unknown()
			break
		}
		q.field = f.String()
		bit := uint64(1) << f // 0, and of no interest, for keys of results only
		if q.seen&bit != 0 {
			q.fail(invalid(q.field, "occurs twice"))
		}
		q.seen |= bit
		if !q.isNil() {
			q.set |= bit
			return f
		}
	}
	return fieldNone
}

// common reads a key that is no option of the method itself.
func (q *request) common(f field, c *Common) {
	switch f {
	case fieldTimeoutMS:
		if c.TimeoutMS = q.uint32(); c.TimeoutMS == 0 && q.err == nil {
			q.fail(invalid(q.field, "must be at least 1"))
		}
	case fieldTrace:
		c.Trace = q.text(MaxTrace)
	default:
		q.unknown()
	}
}

// unknown refuses the present key, and names it as far as it can be shown.
func (q *request) unknown() {
	if q.err != nil {
		return
	}
	const shown = 64 // longer than any key of the protocol
	name := q.name[:min(len(q.name), shown)]
	q.fail(&DecodeError{Code: CodeInvalid, Why: "unknown key " + quoted(name) +
		"; this node does not know it for this method"})
}

// bucketName reads the name of a bucket.
func (q *request) bucketName() string {
	b := q.bytes(MaxBucketName)
	if string(b) == kv.DefaultBucketName {
		return kv.DefaultBucketName // spares the copy
	}
	if len(b) == 0 && q.err == nil {
		q.fail(invalid(q.field, "must not be empty; leave it out for %q", kv.DefaultBucketName))
	}
	return q.utf8(b)
}

// keyBytes reads a key. The empty key is refused: it is where scans start.
func (q *request) keyBytes() []byte {
	key := q.bytes(kv.MaxKey)
	if len(key) == 0 && q.err == nil {
		q.fail(invalid(q.field, "a key must not be empty"))
	}
	return key
}

// readLevel reads a quorum level: a number from least on, or a word. How many replicas
// the bucket has is not known here; kv.Level.Resolve checks it.
func (r *reader) level(least uint64) kv.Level {
	k, n := r.head()
	switch k {
	case kindUint:
		if n < least || n > kv.MaxLevel {
			r.fail(invalid(r.field, "%d, must be %d to the number of replicas", n, least))
			return kv.LevelUnset
		}
		if n == 0 {
			return kv.LevelZero
		}
		return kv.Level(n)
	case kindStr, kindBin:
		word := r.b[:n]
		r.b = r.b[n:]
		switch string(word) {
		case "one":
			return kv.LevelOne
		case "quorum":
			return kv.LevelQuorum
		case "all":
			return kv.LevelAll
		}
	}
	r.fail(invalid(r.field, `must be a number, "one", "quorum" or "all"`))
	return kv.LevelUnset
}

func (w *mapWriter) levelIfSet(f field, l kv.Level) {
	switch l {
	case kv.LevelUnset:
	case kv.LevelOne, kv.LevelQuorum, kv.LevelAll:
		w.str(f, l.String())
	case kv.LevelZero:
		w.uint(f, 0)
	default:
		w.uint(f, uint64(l))
	}
}

// require refuses a request without a key that has no default.
func (q *request) require(f field) {
	if q.err == nil && q.set&(1<<f) == 0 {
		q.fail(invalid(f.String(), "is missing"))
	}
}
