// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxCounter bounds the counter of a dot that is decoded: beyond what any store can
// issue (a million writes a second for 140,000 years), and far from overflow.
const MaxCounter = 1 << 62

// minEntrySize is the least that an encoded entry or dot takes: 8 bytes of actor, 1
// of counter. Decoding checks counts against it before it allocates.
const minEntrySize = 9

// ErrMalformed is returned for bytes that are no context in canonical form.
var ErrMalformed = errors.New("vclock: malformed context")

// Append appends the encoding of c to dst:
//
//	uvarint entries, uvarint dots, then each entry, then each dot:
//	actor (8 bytes, big-endian), uvarint counter
//
// Equal contexts have equal encodings (I1).
func (c Context) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.vector)))
	dst = binary.AppendUvarint(dst, uint64(len(c.dots)))
	dst = appendDots(dst, c.vector)
	return appendDots(dst, c.dots)
}

// EncodedSize is the number of bytes that Append appends.
func (c Context) EncodedSize() int {
	size := uvarintSize(uint64(len(c.vector))) + uvarintSize(uint64(len(c.dots)))
	for _, d := range c.vector {
		size += 8 + uvarintSize(d.Counter)
	}
	for _, d := range c.dots {
		size += 8 + uvarintSize(d.Counter)
	}
	return size
}

// Decode reads a context that fills b entirely. It returns ErrMalformed for
// anything but the canonical encoding of a context. The result shares no memory
// with b.
func Decode(b []byte) (Context, error) {
	entries, b, err := decodeCount(b)
	if err != nil {
		return Context{}, err
	}
	loose, b, err := decodeCount(b)
	if err != nil {
		return Context{}, err
	}
	if room := uint64(len(b) / minEntrySize); entries > room || loose > room-entries {
		return Context{}, fmt.Errorf("%w: %d entries and %d dots in %d bytes",
			ErrMalformed, entries, loose, len(b))
	}
	if entries+loose == 0 && len(b) == 0 {
		return Context{}, nil
	}
	all := make([]Dot, entries+loose)
	if b, err = decodeDots(all, b); err != nil {
		return Context{}, err
	}
	if len(b) > 0 {
		return Context{}, fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(b))
	}
	c := Context{vector: all[:entries:entries], dots: all[entries:]}
	if len(c.vector) == 0 {
		c.vector = nil
	}
	if len(c.dots) == 0 {
		c.dots = nil
	}
	if err := c.check(); err != nil {
		return Context{}, err
	}
	return c, nil
}

// check reports a context that is not in canonical form (I1).
func (c Context) check() error {
	for i, e := range c.vector {
		if i > 0 && c.vector[i-1].Actor >= e.Actor {
			return fmt.Errorf("%w: entries out of order", ErrMalformed)
		}
	}
	for i, d := range c.dots {
		if i > 0 && c.dots[i-1].Compare(d) >= 0 {
			return fmt.Errorf("%w: dots out of order", ErrMalformed)
		}
		if belongs(d.Counter, c.upTo(d.Actor)) {
			return fmt.Errorf("%w: dot %s belongs to its actor's entry", ErrMalformed, d)
		}
	}
	return nil
}

func appendDots(dst []byte, dots []Dot) []byte {
	for _, d := range dots {
		dst = binary.BigEndian.AppendUint64(dst, uint64(d.Actor))
		dst = binary.AppendUvarint(dst, d.Counter)
	}
	return dst
}

func decodeCount(b []byte) (uint64, []byte, error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || used != uvarintSize(n) {
		return 0, nil, fmt.Errorf("%w: bad count", ErrMalformed)
	}
	return n, b[used:], nil
}

func decodeDots(into []Dot, b []byte) ([]byte, error) {
	for i := range into {
		if len(b) < minEntrySize {
			return nil, fmt.Errorf("%w: cut off", ErrMalformed)
		}
		actor := Actor(binary.BigEndian.Uint64(b))
		counter, used := binary.Uvarint(b[8:])
		if used <= 0 || used != uvarintSize(counter) || counter == 0 || counter > MaxCounter {
			return nil, fmt.Errorf("%w: bad counter", ErrMalformed)
		}
		into[i] = Dot{Actor: actor, Counter: counter}
		b = b[8+used:]
	}
	return b, nil
}

func uvarintSize(n uint64) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
