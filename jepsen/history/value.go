// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// ErrValue is returned for bytes that are no value of a test's client.
var ErrValue = errors.New("history: bad value")

// Value names one write of a run, and is what it writes. The zero value is none.
type Value struct {
	// Client numbers the writers from 1 on. It is a name of its own, not the process: a
	// process that comes back as a new session stays the same client or becomes another.
	Client uint32
	// Seq counts the client's writes from 1 on.
	Seq uint64
}

// IsZero reports whether v names no write.
func (v Value) IsZero() bool { return v == Value{} }

// Compare orders values by client, then by number.
func (v Value) Compare(w Value) int {
	switch {
	case v.Client < w.Client || v.Client == w.Client && v.Seq < w.Seq:
		return -1
	case v == w:
		return 0
	default:
		return 1
	}
}

func (v Value) String() string { return string(v.append(nil)) }

func (v Value) append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(v.Client), 10)
	return strconv.AppendUint(append(dst, '.'), v.Seq, 10)
}

// MarshalText gives "client.seq".
func (v Value) MarshalText() ([]byte, error) { return v.append(nil), nil }

// UnmarshalText takes what MarshalText gives, and nothing else: no zero, no sign, no
// leading zeros. So two different texts are never one value.
func (v *Value) UnmarshalText(text []byte) error {
	client, seq, found := bytes.Cut(text, []byte{'.'})
	c, errC := strconv.ParseUint(string(client), 10, 32)
	s, errS := strconv.ParseUint(string(seq), 10, 64)
	got := Value{Client: uint32(c), Seq: s}
	if !found || errC != nil || errS != nil || c == 0 || s == 0 ||
		!bytes.Equal(got.append(nil), text) {
		return fmt.Errorf("%w: %.40q, must be client.seq", ErrValue, text)
	}
	*v = got
	return nil
}

// payloadEnd is the last byte of every payload, and occurs nowhere else in one: without it
// "3.12" cut short would be the payload of 3.1.
const payloadEnd = ';'

// Payload is what a client puts into the store for v: its text, a space and filling up to
// size bytes where that is more, and an end mark.
func (v Value) Payload(size int) []byte {
	b := v.append(make([]byte, 0, max(size, 32)))
	if len(b)+1 < size {
		b = append(b, ' ')
		for i := 0; len(b)+1 < size; i++ {
			// The filling depends on the value: bytes of another value in its place are seen.
			b = append(b, 'a'+byte((v.Seq+uint64(v.Client)+uint64(i))%26))
		}
	}
	return append(b, payloadEnd)
}

// OpenPayload reads back what Payload made, and refuses whatever differs from it by one
// byte: an empty value, a cut one, one with the filling of another.
func OpenPayload(b []byte) (Value, error) {
	body, whole := bytes.CutSuffix(b, []byte{payloadEnd})
	if !whole {
		return Value{}, fmt.Errorf("%w: payload of %d bytes is empty or cut", ErrValue, len(b))
	}
	text, _, _ := bytes.Cut(body, []byte{' '})
	var v Value
	if err := v.UnmarshalText(text); err != nil {
		return Value{}, err
	}
	if !bytes.Equal(v.Payload(len(b)), b) {
		return Value{}, fmt.Errorf("%w: payload of %s is damaged", ErrValue, v)
	}
	return v, nil
}
