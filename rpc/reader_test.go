// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/wire"
	"pgregory.net/rapid"
)

// pieces is a connection that delivers bytes in pieces of given sizes.
type pieces struct {
	net.Conn
	data  []byte
	sizes func() int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.sizes(), len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

func TestReaderReturnsMessagesHoweverTheyAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := ClientPortLimits()
		limits.Message = 256 << 10
		var want [][]byte
		var all []byte
		for i := range rapid.IntRange(1, 30).Draw(t, "messages") {
			size := rapid.OneOf(rapid.IntRange(10, 300), rapid.IntRange(10, 200<<10)).Draw(t, "size")
			want = append(want, notice(size, byte(i)))
			all = append(all, want[i]...)
		}
		r := newReader(&pieces{data: all, sizes: func() int {
			return rapid.OneOf(rapid.IntRange(1, 50), rapid.IntRange(1, 100<<10)).Draw(t, "piece")
		}}, limits, nil)
		for i, msg := range want {
			got, err := r.next()
			if err != nil || !bytes.Equal(got, msg) {
				t.Fatalf("message %d of %d bytes: got %d, %v", i, len(msg), len(got), err)
			}
			if len(r.buf) > max(readBuffer, 2*limits.Message) {
				t.Fatalf("the buffer has %d bytes", len(r.buf))
			}
		}
		if _, err := r.next(); err != io.EOF {
			t.Fatalf("after the last: %v", err)
		}
	})
}

func TestALengthThatIsAnnouncedCostsNothingUntilTheBytesCome(t *testing.T) {
	head := append(wire.AppendRequestHeader(nil, 1, "put"), 0xc6, 0x00, 0x3f, 0x00, 0x00)
	for _, have := range []int{0, 1000, 10_000, 100_000, 1_000_000} {
		data := append(bytes.Clone(head), make([]byte, have)...)
		r := newReader(&pieces{data: data, sizes: func() int { return 1 << 20 }}, ClientPortLimits(), nil)
		if _, err := r.next(); err != io.EOF {
			t.Fatal(err)
		}
		if most := max(smallBuffer, 4*(have+len(head))); len(r.buf) > most {
			t.Errorf("for %d bytes of 4 MiB the buffer has %d", have, len(r.buf))
		}
	}
}

func TestALongMessageDoesNotKeepItsBuffer(t *testing.T) {
	data := notice(3<<20, 'l')
	for range 1000 {
		data = append(data, notice(100, 's')...)
	}
	r := newReader(&pieces{data: data, sizes: func() int { return 1500 }}, ClientPortLimits(), nil)
	for range 1001 {
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.buf) > readBuffer {
		t.Errorf("the buffer has %d bytes", len(r.buf))
	}
}
