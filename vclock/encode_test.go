// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestContextsSurviveEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := drawPair(t)
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "prefix")
		b := c.Append(slices.Clone(prefix))
		if !bytes.Equal(b[:len(prefix)], prefix) {
			t.Fatalf("the bytes before %s changed", c)
		}
		b = b[len(prefix):]
		if want := encode(s.form()); !bytes.Equal(b, want) {
			t.Fatalf("%s is %x, want %x", c, b, want)
		}
		if c.EncodedSize() != len(b) {
			t.Fatalf("%s says %d bytes and takes %d", c, c.EncodedSize(), len(b))
		}
		back, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b) // the result must not share it
		checkSame(t, "decoded", back, s)
		if !back.Equal(c) {
			t.Fatalf("%s came back as %s", c, back)
		}
	})
}

// sizes are counters at the bounds of the lengths of a uvarint.
func sizes() []uint64 {
	out := []uint64{1, MaxCounter - 1, MaxCounter}
	for shift := 7; shift < 62; shift += 7 {
		out = append(out, 1<<shift-1, 1<<shift)
	}
	return out
}

func TestCountersOfEveryLengthSurviveEncoding(t *testing.T) {
	for _, n := range sizes() {
		for _, c := range []Context{
			VectorOf(Dot{7, n}), ContextOf(Dot{7, n}),
			VectorOf(Dot{math.MaxUint64, n}).Add(Dot{1, n}),
		} {
			b := c.Append(nil)
			back, err := Decode(b)
			if err != nil || !back.Equal(c) || len(b) != c.EncodedSize() {
				t.Errorf("%s: %d bytes of %d came back as %s, %v",
					c, len(b), c.EncodedSize(), back, err)
			}
		}
	}
}

func TestManyEntriesSurviveEncoding(t *testing.T) {
	for _, n := range []int{127, 128, 129, 1000} {
		var entries, loose []Dot
		for i := range n {
			entries = append(entries, Dot{Actor: Actor(i + 1), Counter: 5})
			loose = append(loose, Dot{Actor: Actor(i + 1), Counter: 7 + uint64(i)})
		}
		c := VectorOf(entries...).Join(ContextOf(loose...))
		b := c.Append(nil)
		back, err := Decode(b)
		if err != nil || !back.Equal(c) || len(b) != c.EncodedSize() {
			t.Errorf("%d entries: %d bytes of %d, %v", n, len(b), c.EncodedSize(), err)
		}
	}
}

// All encodings with at most two entries and two dots of a tiny universe, the wrong
// ones included: zero counters, repeats, disorder, dots inside of or behind an entry.
func TestDecodeAcceptsTheCanonicalFormOfASetAndNoOther(t *testing.T) {
	var lists [][]Dot
	lists = append(lists, nil)
	for a := range Actor(2) {
		for n := range uint64(5) {
			d := Dot{Actor: a + 1, Counter: n}
			lists = append(lists, []Dot{d})
			for b := range Actor(2) {
				for m := range uint64(5) {
					lists = append(lists, []Dot{d, {Actor: b + 1, Counter: m}})
				}
			}
		}
	}
	accepted := 0
	for _, vector := range lists {
		for _, dots := range lists {
			s := setOf(dots...)
			for _, e := range vector {
				s = s.union(upTo(e))
			}
			wantVector, wantDots := s.form()
			canonical := slices.Equal(vector, wantVector) && slices.Equal(dots, wantDots)
			c, err := Decode(encode(vector, dots))
			switch {
			case canonical && err != nil:
				t.Fatalf("entries %v, dots %v: %v", vector, dots, err)
			case !canonical && !errors.Is(err, ErrMalformed):
				t.Fatalf("entries %v, dots %v: want ErrMalformed, got %s, %v", vector, dots, c, err)
			case err != nil && !c.IsEmpty():
				t.Fatalf("entries %v, dots %v: refused, and yet returned as %s", vector, dots, c)
			case err == nil:
				accepted++
				checkSame(t, "decoded", c, s)
			}
		}
	}
	if accepted < 100 {
		t.Errorf("only %d of the encodings were right: the test is too narrow", accepted)
	}
}

func TestDecodeRefusesBytesThatAreNoContext(t *testing.T) {
	entry := encode([]Dot{{1, 300}}, nil)
	for _, tc := range []struct {
		name string
		hex  string
	}{
		{"nothing at all", ""},
		{"one count", "00"},
		{"a count that goes on", "80"},
		{"a dot count that goes on", "0080"},
		{"a count in two bytes that fits one", "800000"},
		{"a dot count in two bytes that fits one", "008000"},
		{"a count beyond 64 bits", "ffffffffffffffffff7f00"},
		{"an empty context with a byte behind", "000000"},
		{"an entry with a byte behind", hex.EncodeToString(entry) + "00"},
		{"more entries than bytes", "0200" + "000000000000000101"},
		{"more dots than bytes", "0002" + "000000000000000105"},
		{"together more than bytes", "0101" + "000000000000000101"},
		{"sums that wrap around", "01ffffffffffffffffff01" + "000000000000000101"},
		{"entries that wrap around", "ffffffffffffffffff0101" + "000000000000000101"},
		{"counts that sum up to nothing", "01ffffffffffffffffff01"},
		{"a counter of zero", "0100" + "000000000000000100"},
		{"a counter in two bytes that fits one", "0100" + "00000000000000018100"},
		{"a counter that goes on", "0100" + "000000000000000180"},
		{"a counter beyond the largest", "0100" + "0000000000000001" + "818080808080808040"},
		{"a counter beyond 64 bits", "0100" + "0000000000000001" + "ffffffffffffffffff7f"},
		{"an entry cut off by a long counter",
			"0200" + "0000000000000001" + "8080808080808001" + "00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := hex.DecodeString(tc.hex)
			if err != nil {
				t.Fatal(err)
			}
			if c, err := Decode(b); !errors.Is(err, ErrMalformed) || !c.IsEmpty() {
				t.Errorf("got %s, %v", c, err)
			}
		})
	}
}

// samples are encodings of every shape, for exhaustive damage.
func samples() []Context {
	return []Context{
		{},
		VectorOf(Dot{1, 1}),
		ContextOf(Dot{1, 2}),
		VectorOf(Dot{1, 127}, Dot{2, 128}, Dot{math.MaxUint64, MaxCounter}),
		VectorOf(Dot{1, 300}, Dot{9, 1}).Join(ContextOf(Dot{1, 302}, Dot{1, 304}, Dot{8, 2})),
		ContextOf(Dot{1 << 60, 1 << 50}, Dot{1<<60 + 1, 1 << 40}, Dot{1<<60 + 1, 1<<40 + 2}),
	}
}

func TestDecodeRefusesEveryTruncation(t *testing.T) {
	for _, c := range samples() {
		b := c.Append(nil)
		for n := range b {
			if got, err := Decode(b[:n:n]); !errors.Is(err, ErrMalformed) || !got.IsEmpty() {
				t.Errorf("%d bytes of %s: %s, %v", n, c, got, err)
			}
			if got, err := Decode(append(slices.Clone(b), b[:n+1]...)); err == nil {
				t.Errorf("%s and %d bytes more: %s", c, n+1, got)
			}
		}
	}
}

func TestAFlippedBitGivesAnErrorOrAnotherContextInItsCanonicalForm(t *testing.T) {
	for _, c := range samples() {
		b := c.Append(nil)
		for bit := range 8 * len(b) {
			damaged := slices.Clone(b)
			damaged[bit/8] ^= 1 << (bit % 8)
			checkDecode(t, damaged)
			if got, err := Decode(damaged); err == nil && got.Equal(c) {
				t.Errorf("%s has two encodings, %x and %x", c, b, damaged)
			}
		}
	}
}

// checkDecode holds for any bytes: an error, or a context whose encoding they are.
func checkDecode(t testing.TB, b []byte) {
	t.Helper()
	given := slices.Clone(b)
	c, err := Decode(b)
	switch {
	case !bytes.Equal(b, given):
		t.Fatalf("decoding %x wrote to it", given)
	case err != nil && (!errors.Is(err, ErrMalformed) || !c.IsEmpty()):
		t.Fatalf("%x: %s, %v", given, c, err)
	case err == nil && !bytes.Equal(c.Append(nil), given):
		t.Fatalf("%x is accepted as %s, which has the encoding %x", given, c, c.Append(nil))
	}
}

func TestDecodeTakesMemoryInProportionToTheBytesGiven(t *testing.T) {
	huge := [][]byte{
		binary.AppendUvarint(binary.AppendUvarint(nil, 1<<40), 0),
		binary.AppendUvarint(binary.AppendUvarint(nil, 0), 1<<40),
		binary.AppendUvarint(binary.AppendUvarint(nil, 0), 1<<16),
		binary.AppendUvarint(binary.AppendUvarint(nil, 1<<16), 0),
		binary.AppendUvarint(binary.AppendUvarint(nil, math.MaxUint64), math.MaxUint64),
		append(binary.AppendUvarint(binary.AppendUvarint(nil, 1<<63), 1<<63), make([]byte, 64)...),
		append(binary.AppendUvarint(binary.AppendUvarint(nil, 1<<20), 0), make([]byte, 900)...),
		append(binary.AppendUvarint(binary.AppendUvarint(nil, 100), 0), make([]byte, 900)...),
	}
	for _, b := range huge {
		const runs, perByte, fixed = 50, 4, 512
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if c, err := Decode(b); err == nil {
				t.Fatalf("%x: accepted as %s", b, c)
			}
		}
		runtime.ReadMemStats(&after)
		spent := (after.TotalAlloc - before.TotalAlloc) / runs
		if spent > uint64(perByte*len(b)+fixed) {
			t.Errorf("%d bytes cost %d bytes of memory", len(b), spent)
		}
	}
}

func TestEncodingIntoRoomAllocatesNothing(t *testing.T) {
	c := VectorOf(Dot{1, 5}, Dot{2, 9}).Join(ContextOf(Dot{1, 8}))
	buf := make([]byte, 0, c.EncodedSize())
	if n := testing.AllocsPerRun(100, func() { buf = c.Append(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = c.Join(c).Contains(Dot{2, 2}) }); n != 0 {
		t.Errorf("%v allocations to join what is covered", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range samples() {
		f.Add(c.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkDecode(t, b) })
}
