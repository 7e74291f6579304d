// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/dyno-kv/dyno/kv"
)

// The encoding of commands, entries, snapshots, views and results: numbers as uvarints,
// random ones at their fixed size, text and bytes with their length before them, lists
// with their count. It is one for one: equal values have equal bytes, and the reader takes
// no others, so that the bytes can be compared in place of the values.

func appendBytes[T ~[]byte | ~string](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendUint[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int](dst []byte, v T) []byte {
	return binary.AppendUvarint(dst, uint64(v))
}

// appendInt is for numbers that may be negative where somebody made a mistake.
func appendInt(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendOpen(dst []byte, o kv.Open) []byte {
	dst = binary.AppendUvarint(dst, o.Seq)
	return binary.BigEndian.AppendUint64(dst, o.Nonce)
}

func appendOpens(dst []byte, opens []kv.Open) []byte {
	dst = appendUint(dst, len(opens))
	for _, o := range opens {
		dst = appendOpen(dst, o)
	}
	return dst
}

const (
	minOpen = 1 + 8
	sizeID  = 16 // of a request and of a session
)

// reader walks over encoded bytes. The first error sticks: from then on every method
// returns zero values, so that a decoder checks once, at its end.
type reader struct {
	b   []byte // what is left
	err error
}

func (r *reader) fail(why string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(why, args...)
	}
	r.b = nil
}

// finish returns the first error, which is also that something is left.
func (r *reader) finish(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, what, r.err)
}

// take returns the next n bytes of the input itself.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("%d bytes are missing", n-uint64(len(r.b)))
		return nil
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool {
	b := r.byte()
	if b > 1 {
		r.fail("%d is no boolean", b)
	}
	return b == 1
}

// uint reads a number in its shortest form.
func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.fail("no number where one should be")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) upTo(most uint64) uint64 {
	v := r.uint()
	if v > most {
		r.fail("%d is more than %d", v, most)
		return 0
	}
	return v
}

func (r *reader) int() int64 {
	v := r.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) uint32() uint32 { return uint32(r.upTo(math.MaxUint32)) }
func (r *reader) uint16() uint16 { return uint16(r.upTo(math.MaxUint16)) }

// size reads a number that is used as an int.
func (r *reader) size() int { return int(r.upTo(math.MaxInt32)) }

func (r *reader) node() kv.NodeID { return kv.NodeID(r.uint16()) }

func (r *reader) generation() kv.Generation {
	return kv.Generation(r.upTo(uint64(kv.MaxGeneration)))
}

func (r *reader) level() kv.Level { return kv.Level(r.byte()) }

// bytes returns the next byte string of the input itself.
func (r *reader) bytes() []byte { return r.take(r.uint()) }

// owned returns a copy of the next byte string, nil for an empty one.
func (r *reader) owned() []byte { return append([]byte(nil), r.bytes()...) }

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) id() (id [sizeID]byte) {
	copy(id[:], r.take(sizeID))
	return id
}

func (r *reader) open() kv.Open {
	o := kv.Open{Seq: r.uint()}
	if b := r.take(8); b != nil {
		o.Nonce = binary.BigEndian.Uint64(b)
	}
	return o
}

func (r *reader) opens() []kv.Open {
	n := r.count(minOpen)
	if n == 0 {
		return nil
	}
	opens := make([]kv.Open, n)
	for i := range opens {
		opens[i] = r.open()
	}
	return opens
}

// count reads the count of a list whose elements take at least so many bytes. What is
// left must have room for them, so that a list is never made larger than its encoding
// allows (I7).
func (r *reader) count(least int) int {
	n := r.uint()
	if n > uint64(len(r.b)/least) {
		r.fail("a list of %d elements has %d bytes", n, len(r.b))
		return 0
	}
	return int(n)
}
