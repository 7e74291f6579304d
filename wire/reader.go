// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// reader walks over MessagePack bytes. The first error sticks: from then on every
// method returns zero values, so that a decoder checks once, at its end.
//
// It is written by hand and not on the library's Decoder, because it hands out slices
// of its input instead of copies, needs no pool, and lives on the stack: a put request
// is decoded without an allocation. The tests compare it with the library's generic
// decoding and encoding in both directions.
type reader struct {
	b     []byte // what is left
	field string // what is being read, for the error
	err   *DecodeError
}

// kind is what the next element is.
type kind uint8

const (
	kindBad kind = iota
	kindNil
	kindBool  // argument 0 or 1
	kindUint  // argument is the number
	kindMinus // a negative integer; argument is its two's complement
	kindFloat
	kindStr   // argument is the length; the bytes follow
	kindBin   // argument is the length; the bytes follow
	kindExt   // argument is the length with the type byte; the bytes follow
	kindArray // argument is the number of elements that follow
	kindMap   // argument is the number of pairs that follow
)

func (k kind) String() string {
	names := [...]string{
		"malformed", "nil", "a boolean", "an integer", "a negative integer", "a float",
		"a string", "bytes", "an extension", "an array", "a map",
	}
	return names[k]
}

func (r *reader) fail(err *DecodeError) {
	if r.err == nil {
		r.err = err
		r.b = nil
	}
}

func (r *reader) cutOff() { r.fail(invalid(r.field, "the message is cut off")) }

// result returns the reader's error as an error, without the trap of a typed nil.
func (r *reader) result() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// finish is result, for a reader that must have read everything.
func (r *reader) finish() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail(invalid("", "%d bytes too many at the end", len(r.b)))
	}
	return r.result()
}

// arg reads a big-endian number of 1, 2, 4 or 8 bytes.
func (r *reader) arg(size int) uint64 {
	if len(r.b) < size {
		r.cutOff()
		return 0
	}
	var n uint64
	switch size {
	case 1:
		n = uint64(r.b[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(r.b))
	case 4:
		n = uint64(binary.BigEndian.Uint32(r.b))
	default:
		n = binary.BigEndian.Uint64(r.b)
	}
	r.b = r.b[size:]
	return n
}

// head reads the head of the next element: what it is, and its argument. What follows
// is certain to have room in what is left: every element takes at least a byte.
func (r *reader) head() (kind, uint64) {
	if len(r.b) == 0 {
		r.cutOff()
		return kindBad, 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	k, n := kindBad, uint64(0)
	switch {
	case c <= 0x7f:
		return kindUint, uint64(c)
	case c <= 0x8f:
		k, n = kindMap, uint64(c&0x0f)
	case c <= 0x9f:
		k, n = kindArray, uint64(c&0x0f)
	case c <= 0xbf:
		k, n = kindStr, uint64(c&0x1f)
	case c >= 0xe0:
		return kindMinus, uint64(int64(int8(c)))
	default:
		k, n = r.longHead(c)
	}
	room := uint64(len(r.b))
	switch k {
	case kindStr, kindBin, kindExt, kindArray:
		if n > room {
			r.cutOff()
			return kindBad, 0
		}
	case kindMap:
		if n > room/2 {
			r.cutOff()
			return kindBad, 0
		}
	}
	return k, n
}

// longHead reads the rest of a head whose first byte c is 0xc0 to 0xdf.
func (r *reader) longHead(c byte) (kind, uint64) {
	switch c {
	case 0xc0:
		return kindNil, 0
	case 0xc2, 0xc3:
		return kindBool, uint64(c & 1)
	case 0xc4, 0xc5, 0xc6:
		return kindBin, r.arg(1 << (c - 0xc4))
	case 0xc7, 0xc8, 0xc9:
		return kindExt, r.arg(1<<(c-0xc7)) + 1
	case 0xca, 0xcb:
		return kindFloat, r.arg(4 << (c - 0xca))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return kindUint, r.arg(1 << (c - 0xcc))
	case 0xd0:
		return signed(int64(int8(r.arg(1))))
	case 0xd1:
		return signed(int64(int16(r.arg(2))))
	case 0xd2:
		return signed(int64(int32(r.arg(4))))
	case 0xd3:
		return signed(int64(r.arg(8)))
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return kindExt, 1<<(c-0xd4) + 1
	case 0xd9, 0xda, 0xdb:
		return kindStr, r.arg(1 << (c - 0xd9))
	case 0xdc, 0xdd:
		return kindArray, r.arg(2 << (c - 0xdc))
	case 0xde, 0xdf:
		return kindMap, r.arg(2 << (c - 0xde))
	}
	r.fail(invalid(r.field, "byte 0x%02x begins no element", c))
	return kindBad, 0
}

func signed(n int64) (kind, uint64) {
	if n < 0 {
		return kindMinus, uint64(n)
	}
	return kindUint, uint64(n)
}

// skip reads one element of any kind, with all that is in it. It is iterative: depth
// costs nothing.
func (r *reader) skip() {
	for open := uint64(1); open > 0 && r.err == nil; open-- {
		k, n := r.head()
		switch k {
		case kindStr, kindBin, kindExt:
			r.b = r.b[n:]
		case kindArray:
			open += n
		case kindMap:
			open += 2 * n
		}
		if open-1 > uint64(len(r.b)) {
			r.cutOff()
		}
	}
}

// raw is skip, and returns the bytes of the element; they alias the input.
func (r *reader) raw() []byte {
	start := r.b
	r.skip()
	if r.err != nil {
		return nil
	}
	n := len(start) - len(r.b)
	return start[:n:n]
}

// isNil reads a nil, if one is next, and reports whether it was.
func (r *reader) isNil() bool {
	if len(r.b) == 0 || r.b[0] != 0xc0 {
		return false
	}
	r.b = r.b[1:]
	return true
}

func (r *reader) wrong(want string, got kind) {
	r.fail(invalid(r.field, "must be %s, not %s", want, got))
}

// uint reads an integer from 0 to limit, in any encoding.
func (r *reader) uint(limit uint64) uint64 {
	k, n := r.head()
	if k != kindUint {
		r.wrong("an integer from 0", k)
		return 0
	}
	if n > limit {
		r.fail(invalid(r.field, "%d, at most %d", n, limit))
		return 0
	}
	return n
}

func (r *reader) uint8() uint8   { return uint8(r.uint(math.MaxUint8)) }
func (r *reader) uint16() uint16 { return uint16(r.uint(math.MaxUint16)) }
func (r *reader) uint32() uint32 { return uint32(r.uint(math.MaxUint32)) }
func (r *reader) uint64() uint64 { return r.uint(math.MaxUint64) }

// milli reads Unix milliseconds: an integer from 0 that fits an int64.
func (r *reader) milli() int64 { return int64(r.uint(math.MaxInt64)) }

func (r *reader) bool() bool {
	k, n := r.head()
	if k != kindBool {
		r.wrong("true or false", k)
		return false
	}
	return n == 1
}

// bytes reads a str or bin of at most limit bytes; the result aliases the input.
func (r *reader) bytes(limit int) []byte {
	k, n := r.head()
	if k != kindStr && k != kindBin {
		r.wrong("bytes", k)
		return nil
	}
	if n > uint64(limit) {
		r.fail(tooLarge(r.field, int(n), limit))
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// text reads a str (or bin) of valid UTF-8.
func (r *reader) text(limit int) string { return r.utf8(r.bytes(limit)) }

func (r *reader) utf8(b []byte) string {
	if !utf8.Valid(b) {
		r.fail(invalid(r.field, "is not valid UTF-8"))
		return ""
	}
	return string(b)
}

// fixed reads a bin of exactly len(into) bytes.
func (r *reader) fixed(into []byte) {
	b := r.bytes(math.MaxInt32)
	if r.err == nil && len(b) != len(into) {
		r.fail(invalid(r.field, "must be %d bytes, not %d", len(into), len(b)))
		return
	}
	copy(into, b)
}

// array reads the head of an array whose elements take at least least bytes each,
// and returns their number. An array that can not fit what is left is refused, so that
// its length may be used to allocate.
func (r *reader) array(least int) int {
	k, n := r.head()
	if k != kindArray {
		r.wrong("an array", k)
		return 0
	}
	if n > uint64(len(r.b)/least) {
		r.cutOff()
		return 0
	}
	return int(n)
}

// list is array, for lists of requests: of at most MaxList elements.
func (r *reader) list(least int) int {
	n := r.array(least)
	if n > MaxList {
		why := fmt.Sprintf("%d elements, at most %d", n, MaxList)
		r.fail(&DecodeError{Code: CodeTooLarge, Field: r.field, Why: why})
		return 0
	}
	return n
}

// tuple reads the head of an array that stands for a struct of fields fields, and returns
// by how many fields of later releases it is longer; extras skips those.
func (r *reader) tuple(fields int) int {
	n := r.array(1)
	if n < fields {
		r.fail(invalid(r.field, "%d fields, must be at least %d", n, fields))
		return 0
	}
	return n - fields
}

func (r *reader) extras(n int) {
	for ; n > 0 && r.err == nil; n-- {
		r.skip()
	}
}

// elements reads the n elements of an array whose head was read. The compiler copies it to
// where it is called, so that the reader stays on the stack.
func elements[T any](r *reader, n int, read func(*reader) T) []T {
	list := make([]T, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		list = append(list, read(r))
	}
	return list
}

// texts reads an array of at most MaxList strings of at most MaxName bytes.
func (r *reader) texts() []string {
	return elements(r, r.list(1), func(r *reader) string { return r.text(MaxName) })
}

// pairs reads the head of a map and returns the number of its pairs.
func (r *reader) pairs() int {
	k, n := r.head()
	if k != kindMap {
		r.wrong("a map", k)
		return 0
	}
	return int(n)
}

// next moves to the next key of a map of left pairs, where unknown keys and nil values
// are skipped: results, to which later releases add keys.
func (r *reader) next(left *int) field {
	for *left > 0 && r.err == nil {
		*left--
		f := fieldOf(r.bytes(math.MaxInt32))
		r.field = f.String()
		if f == fieldNone {
			r.skip()
			continue
		}
		if !r.isNil() {
			return f
		}
	}
	return fieldNone
}
