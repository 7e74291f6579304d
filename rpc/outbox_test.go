// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dyno-kv/dyno/wire"
	"pgregory.net/rapid"
)

// notice is a notification of n bytes in all that is told apart by fill.
func notice(n int, fill byte) []byte {
	msg := append(wire.AppendNotificationHeader(nil, "n"), 0xc6, 0, 0, 0, 0)
	size := max(0, n-len(msg))
	copy(msg[len(msg)-4:], []byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)})
	return append(msg, bytes.Repeat([]byte{fill}, size)...)
}

func (o *outbox) addBytes(msg []byte) (place, error) {
	return o.add(func(dst []byte) []byte { return append(dst, msg...) })
}

func TestAShortMessageWaitsForOneChunkAtMost(t *testing.T) {
	o := outbox{maxMessage: 1 << 20, chunk: 1 << 10}
	for range 3 {
		if _, err := o.addBytes(notice(100<<10, 'l')); err != nil {
			t.Fatal(err)
		}
	}
	o.written(o.take())
	short := notice(50, 's')
	p, err := o.addBytes(short)
	if err != nil || o.mayBeSent(p) {
		t.Fatalf("%v", err)
	}
	b := o.take()
	if !bytes.HasPrefix(b.bytes, short) || !o.mayBeSent(p) {
		t.Error("the short message is not at the front of the next batch")
	}
	if len(b.bytes) > len(short)+1<<10+100 {
		t.Errorf("the batch has %d bytes, want one chunk and the short message", len(b.bytes))
	}
}

func TestAMessageOverTheLimitLeavesNoTrace(t *testing.T) {
	o := outbox{maxMessage: 1 << 20}
	if _, err := o.addBytes(notice(100, 'a')); err != nil {
		t.Fatal(err)
	}
	before := o.unsent
	if _, err := o.addBytes(notice(2<<20, 'b')); !errors.Is(err, ErrTooLong) {
		t.Fatalf("%v", err)
	}
	if o.unsent != before || len(o.batch) != 100 || cap(o.batch) > retainBuffer {
		t.Errorf("%d bytes unsent, batch of %d in %d", o.unsent, len(o.batch), cap(o.batch))
	}
}

// Goal: whatever is added in whatever order comes out whole, short messages in
// their order, and the count of what is unsent returns to zero. Method: random
// interleavings of add and take, read back with the scan and the assembler.
func TestOutboxAndAssemblerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunk := rapid.SampledFrom([]int{0, 1 << 10, 4 << 10}).Draw(t, "chunk")
		o := outbox{maxMessage: 64 << 10, chunk: chunk}
		a := assembler{limits: wire.ScanLimits{Bytes: 64 << 10}}
		var wantShort, wantLong, gotShort, gotLong [][]byte
		takeOne := func() {
			b := o.take()
			gotS, gotL := readBatch(t, &a, bytes.Clone(b.bytes))
			gotShort, gotLong = append(gotShort, gotS...), append(gotLong, gotL...)
			o.written(b)
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "take") {
				takeOne()
				continue
			}
			msg := notice(rapid.IntRange(10, 20<<10).Draw(t, "size"), byte(i))
			p, err := o.addBytes(msg)
			if err != nil {
				t.Fatal(err)
			}
			if o.mayBeSent(p) {
				t.Fatal("sent before it was taken")
			}
			if chunk > 0 && len(msg) > chunk {
				wantLong = append(wantLong, msg)
			} else {
				wantShort = append(wantShort, msg)
			}
		}
		for !o.empty() {
			takeOne()
		}
		if o.unsent != 0 || a.held != 0 || len(a.streams) != 0 {
			t.Fatalf("left over: %d unsent, %d held", o.unsent, a.held)
		}
		if !equalAll(gotShort, wantShort) || !equalAll(gotLong, wantLong) {
			t.Fatalf("%d of %d short and %d of %d long messages came as they were",
				len(gotShort), len(wantShort), len(gotLong), len(wantLong))
		}
	})
}

func equalAll(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// readBatch tells what messages a batch holds or completes.
func readBatch(t *rapid.T, a *assembler, b []byte) (short, long [][]byte) {
	var s wire.Scanner
	for len(b) > 0 {
		n, done, err := s.Scan(b)
		if !done {
			t.Fatalf("the batch does not end with a message: %v", err)
		}
		msg := b[:n]
		b = b[n:]
		h, err := wire.ParseHeader(msg)
		if err != nil {
			t.Fatal(err)
		}
		if string(h.Method) != wire.MethodChunk {
			short = append(short, msg)
			continue
		}
		c, err := wire.ParseChunk(h.Params)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := a.add(c)
		if err != nil {
			t.Fatal(err)
		}
		if whole != nil {
			long = append(long, whole)
		}
	}
	return short, long
}

func TestAssemblerRefusesWhatWouldNotEnd(t *testing.T) {
	full := make([]byte, 600)
	type step = wire.Chunk
	cases := []struct {
		name  string
		steps []step
		want  error
	}{
		{"begins in the middle", []step{{Seq: 1, Bytes: full}}, ErrProtocol},
		{"leaves one out", []step{{Seq: 0, Bytes: full}, {Seq: 2, Bytes: full}}, ErrProtocol},
		{"empty", []step{{Seq: 0}}, ErrProtocol},
		{"one message too long", []step{{Seq: 0, Bytes: full}, {Seq: 1, Bytes: full}}, wire.ErrTooLong},
		{"all together too long", []step{
			{Stream: 1, Bytes: full}, {Stream: 2, Bytes: full},
			{Stream: 3, Bytes: full}, {Stream: 4, Bytes: full},
		}, wire.ErrTooLong},
		{"too many at once", []step{
			{Stream: 1, Bytes: full[:1]}, {Stream: 2, Bytes: full[:1]}, {Stream: 3, Bytes: full[:1]},
			{Stream: 4, Bytes: full[:1]}, {Stream: 5, Bytes: full[:1]}, {Stream: 6, Bytes: full[:1]},
			{Stream: 7, Bytes: full[:1]}, {Stream: 8, Bytes: full[:1]}, {Stream: 9, Bytes: full[:1]},
		}, ErrProtocol},
		{"not one message", []step{{Seq: 0, Last: true, Bytes: full}}, wire.ErrMalformed},
		{"a bomb", []step{
			{Seq: 0, Last: true, Bytes: []byte{0xdd, 0xff, 0xff, 0xff, 0xff, 1}},
		}, wire.ErrCount},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a := assembler{limits: wire.ScanLimits{Bytes: 1000}}
			for i, c := range tc.steps {
				_, err := a.add(c)
				if last := i == len(tc.steps)-1; !last && err != nil || last && !errors.Is(err, tc.want) {
					t.Fatalf("step %d: %v, want %v at the last", i, err, tc.want)
				}
			}
		})
	}
}
