// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"math"
)

// The functions below append MessagePack in its shortest form. The library's Encoder
// writes the same bytes, but through an io.Writer: these append to a slice, which a
// connection's write buffer is.

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n <= 0x7f:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
	}
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

func appendNil(dst []byte) []byte { return append(dst, 0xc0) }

func appendBinHead(dst []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
}

func appendBin(dst, b []byte) []byte { return append(appendBinHead(dst, len(b)), b...) }

func appendStr(dst []byte, s string) []byte {
	switch n := len(s); {
	case n <= 0x1f:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, s...)
}

func appendArray(dst []byte, n int) []byte {
	switch {
	case n <= 0x0f:
		return append(dst, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xdc), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
	}
}

// mapWriter appends a map whose size is known only at its end: at most 15 pairs, as
// all of the protocol's maps have. Methods leave out what is unset, so that a key
// crosses the network only where it says something.
type mapWriter struct {
	dst []byte
	at  int // of the map's head
}

func beginMap(dst []byte) mapWriter {
	return mapWriter{dst: append(dst, 0x80), at: len(dst)}
}

// beginParams begins the one map of a request.
func beginParams(dst []byte) mapWriter { return beginMap(append(dst, 0x91)) }

func (w *mapWriter) end() []byte { return w.dst }

// key appends a key; its value must follow.
func (w *mapWriter) key(f field) {
	w.dst[w.at]++
	w.dst = appendStr(w.dst, f.String())
}

func (w *mapWriter) uint(f field, n uint64) {
	w.key(f)
	w.dst = appendUint(w.dst, n)
}

func (w *mapWriter) uintIfSet(f field, n uint64) {
	if n != 0 {
		w.uint(f, n)
	}
}

func (w *mapWriter) bool(f field, v bool) {
	w.key(f)
	w.dst = appendBool(w.dst, v)
}

func (w *mapWriter) boolIfSet(f field, v bool) {
	if v {
		w.bool(f, true)
	}
}

func (w *mapWriter) bin(f field, b []byte) {
	w.key(f)
	w.dst = appendBin(w.dst, b)
}

func (w *mapWriter) binIfSet(f field, b []byte) {
	if len(b) > 0 {
		w.bin(f, b)
	}
}

func (w *mapWriter) str(f field, s string) {
	w.key(f)
	w.dst = appendStr(w.dst, s)
}

func (w *mapWriter) strIfSet(f field, s string) {
	if s != "" {
		w.str(f, s)
	}
}

// array appends a key and the head of an array; n elements must follow.
func (w *mapWriter) array(f field, n int) {
	w.key(f)
	w.dst = appendArray(w.dst, n)
}

func (w *mapWriter) strs(f field, list []string) {
	w.array(f, len(list))
	for _, s := range list {
		w.dst = appendStr(w.dst, s)
	}
}
