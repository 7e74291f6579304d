// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
)

// Faults that a scan finds. A decoder must never see a message that has one:
// decoders allocate what a count announces and recurse where a message nests.
var (
	// ErrMalformed: bytes that are no MessagePack, or no message of this protocol.
	ErrMalformed = errors.New("wire: malformed message")
	// ErrDepth: arrays and maps nest deeper than the limit.
	ErrDepth = errors.New("wire: message nests too deeply")
	// ErrTooLong: the message is, or says it will be, longer than the limit.
	ErrTooLong = errors.New("wire: message is too long")
	// ErrCount: an array or map announces more elements than bytes may follow.
	ErrCount = errors.New("wire: element count is larger than the bytes allowed")
)

const (
	// DefaultScanBytes is the longest message that a client may send: 4 MiB.
	DefaultScanBytes = 4 << 20
	// DefaultScanDepth is how deep arrays and maps may nest; the array that is the
	// message itself is level 1. The deepest message of the protocol has 7 levels.
	DefaultScanDepth = 16
	// MaxScanDepth is the size of the scanner's stack, and so the bound of
	// [ScanLimits.Depth].
	MaxScanDepth = 32
)

// ScanLimits bounds one message. Zero fields mean the defaults.
type ScanLimits struct {
	// Bytes is the longest message that passes. Default [DefaultScanBytes].
	Bytes int
	// Depth is the deepest nesting that passes, an empty array or map included.
	// Default [DefaultScanDepth]; larger values than [MaxScanDepth] mean that.
	Depth int
}

// Scanner finds the end of a message without decoding it, in one pass over bytes
// that may arrive in pieces. It looks at each element's head once and jumps over
// payloads, so that a message costs O(elements), however it is cut. It allocates
// nothing. The zero value scans with the default limits.
//
// What passes is a complete MessagePack value: no deeper than Limits.Depth, no
// longer than Limits.Bytes, every count covered by bytes that are really there.
// Ext values pass as opaque payloads under the same bounds; 0xc1 never passes.
type Scanner struct {
	// Limits may be changed between messages, and raised within one.
	Limits ScanLimits

	// next is the offset of the next head within the message. It may lie beyond
	// the bytes at hand while a payload is still arriving.
	next int
	// open counts the elements that must still begin. 0 with next == 0 means that
	// no message has begun.
	open int
	// depth is the number of arrays and maps that are not complete, left how many
	// elements each of them still lacks. Invariant: sum(left[:depth]) == open,
	// once the first head has been read.
	depth int
	left  [MaxScanDepth]int
}

// Reset forgets a message that has begun.
func (s *Scanner) Reset() { s.next, s.open, s.depth = 0, 0, 0 }

// Scan looks at buf, which holds the message from its first byte as far as it has
// arrived, and possibly more. Where the message is complete, done is true, n is
// its length, and the scanner is ready for the next message. Where it is not, n is
// the least length that the message can have (larger than len(buf), within the
// limit); the caller comes again with the same bytes and more. After an error the
// scanner must be Reset before it is used again; the stream can not be followed.
func (s *Scanner) Scan(buf []byte) (n int, done bool, err error) {
	maxBytes, maxDepth := s.bounds()
	if s.next == 0 && s.open == 0 {
		s.open = 1
	}
	for s.open > 0 {
		if s.next+s.open > maxBytes {
			return 0, false, ErrTooLong
		}
		if s.next >= len(buf) {
			return s.next + s.open, false, nil
		}
		h := readHead(buf[s.next:])
		// The same for a head that is there and for one that is cut, so that the reason
		// does not depend on how the bytes arrived.
		n = s.next + h.size + s.open - 1
		if n > maxBytes {
			return 0, false, ErrTooLong
		}
		if h.kind == headShort {
			return n, false, nil
		}
		if err := s.step(h, maxBytes, maxDepth); err != nil {
			return 0, false, err
		}
	}
	if s.next > len(buf) {
		return s.next, false, nil
	}
	n = s.next
	s.Reset()
	return n, true, nil
}

func (s *Scanner) bounds() (maxBytes, maxDepth int) {
	maxBytes, maxDepth = s.Limits.Bytes, s.Limits.Depth
	if maxBytes <= 0 {
		maxBytes = DefaultScanBytes
	}
	if maxDepth <= 0 {
		maxDepth = DefaultScanDepth
	}
	return maxBytes, min(maxDepth, MaxScanDepth)
}

// step consumes one head. Its counts are compared with what the limit leaves after
// every element that is open already, so that nested counts can not add up to more
// than the limit either.
func (s *Scanner) step(h head, maxBytes, maxDepth int) error {
	spare := int64(maxBytes - s.next - h.size - (s.open - 1))
	switch h.kind {
	case headScalar:
		if h.count > spare {
			return ErrTooLong
		}
		s.next += h.size + int(h.count)
		s.finish()
		return nil
	case headContainer:
		if s.depth == maxDepth {
			return ErrDepth
		}
		if h.count > spare {
			return ErrCount
		}
		s.next += h.size
		if h.count == 0 {
			s.finish()
			return nil
		}
		s.begin()
		s.open += int(h.count)
		s.left[s.depth] = int(h.count)
		s.depth++
		return nil
	default:
		return ErrMalformed
	}
}

// begin takes one element off the innermost container, without closing it.
func (s *Scanner) begin() {
	s.open--
	if s.depth > 0 {
		s.left[s.depth-1]--
	}
}

// finish takes one complete element off and closes the containers that it ends.
func (s *Scanner) finish() {
	s.begin()
	for s.depth > 0 && s.left[s.depth-1] == 0 {
		s.depth--
	}
}

// ScanOne scans a buffer that must hold exactly one message, as a record or a
// reassembled frame does.
func ScanOne(buf []byte, limits ScanLimits) error {
	s := Scanner{Limits: limits}
	n, done, err := s.Scan(buf)
	if err != nil {
		return err
	}
	if !done || n != len(buf) {
		return ErrMalformed
	}
	return nil
}

// head is the first bytes of a MessagePack value, told apart.
type head struct {
	kind headKind
	// size is the length of the head itself, in bytes.
	size int
	// count is the length of a scalar's payload in bytes, or the number of
	// elements of a container (two for each pair of a map). At most 2^33.
	count int64
}

type headKind uint8

const (
	headScalar headKind = 1 + iota
	headContainer
	// headShort: the head is longer than the bytes at hand; size is what it needs.
	headShort
	headInvalid
)

// readHead reads the head at the beginning of b, which is not empty.
func readHead(b []byte) head {
	c := b[0]
	switch {
	case c <= 0x7f || c >= 0xe0: // fixint
		return head{headScalar, 1, 0}
	case c <= 0x8f: // fixmap
		return head{headContainer, 1, 2 * int64(c&0x0f)}
	case c <= 0x9f: // fixarray
		return head{headContainer, 1, int64(c & 0x0f)}
	case c <= 0xbf: // fixstr
		return head{headScalar, 1, int64(c & 0x1f)}
	}
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return head{headScalar, 1, 0}
	case 0xcc, 0xd0: // int 8
		return head{headScalar, 1, 1}
	case 0xcd, 0xd1: // int 16
		return head{headScalar, 1, 2}
	case 0xca, 0xce, 0xd2: // float 32, int 32
		return head{headScalar, 1, 4}
	case 0xcb, 0xcf, 0xd3: // float 64, int 64
		return head{headScalar, 1, 8}
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext 1, 2, 4, 8, 16, and the type byte
		return head{headScalar, 1, 1 + 1<<(c-0xd4)}
	case 0xc4, 0xd9: // bin 8, str 8
		return sized(b, headScalar, 1, 1, 0)
	case 0xc5, 0xda: // bin 16, str 16
		return sized(b, headScalar, 2, 1, 0)
	case 0xc6, 0xdb: // bin 32, str 32
		return sized(b, headScalar, 4, 1, 0)
	case 0xc7: // ext 8, and the type byte
		return sized(b, headScalar, 1, 1, 1)
	case 0xc8: // ext 16
		return sized(b, headScalar, 2, 1, 1)
	case 0xc9: // ext 32
		return sized(b, headScalar, 4, 1, 1)
	case 0xdc: // array 16
		return sized(b, headContainer, 2, 1, 0)
	case 0xdd: // array 32
		return sized(b, headContainer, 4, 1, 0)
	case 0xde: // map 16
		return sized(b, headContainer, 2, 2, 0)
	case 0xdf: // map 32
		return sized(b, headContainer, 4, 2, 0)
	default: // 0xc1, the reserved byte
		return head{headInvalid, 1, 0}
	}
}

// sized reads a head whose count stands in the next `width` bytes, big-endian; the
// result is times*count + plus.
func sized(b []byte, kind headKind, width int, times, plus int64) head {
	if len(b) < 1+width {
		return head{headShort, 1 + width, 0}
	}
	var count int64
	switch width {
	case 1:
		count = int64(b[1])
	case 2:
		count = int64(binary.BigEndian.Uint16(b[1:]))
	default:
		count = int64(binary.BigEndian.Uint32(b[1:]))
	}
	return head{kind, 1 + width, times*count + plus}
}
