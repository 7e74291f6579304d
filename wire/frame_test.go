// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vector is one line of testdata/frames*.txt.
type vector struct {
	bytes []byte
	text  string
}

func readVectors(t testing.TB, path string) []vector {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		hexes, text, ok := strings.Cut(line, "|")
		if !ok {
			t.Fatalf("%s: no comment in %q", path, line)
		}
		vs = append(vs, vector{unhex(t, hexes), strings.TrimSpace(text)})
	}
	if len(vs) < 5 {
		t.Fatalf("%s holds %d vectors", path, len(vs))
	}
	return vs
}

// describe writes a header as the vectors do.
func describe(h Header) string {
	s := h.Type.String()
	if h.HasID {
		s += fmt.Sprintf(" id=%d", h.MsgID)
	}
	if h.Type != TypeResponse {
		return s + fmt.Sprintf(" method=%s params=%x", h.Method, h.Params)
	}
	if h.Error != nil {
		s += " error=" + strings.ReplaceAll(string(h.Error), " ", "_")
	}
	return s + fmt.Sprintf(" result=%x", h.Result)
}

// encode writes a header with this package's encoders.
func encode(h Header) []byte {
	switch {
	case h.Type == TypeRequest:
		return append(AppendRequestHeader(nil, h.MsgID, string(h.Method)), h.Params...)
	case h.Type == TypeNotification:
		return append(AppendNotificationHeader(nil, string(h.Method)), h.Params...)
	case h.Error != nil:
		return AppendErrorResponse(nil, h.MsgID, string(h.Error))
	default:
		return append(AppendResponseHeader(nil, h.MsgID), h.Result...)
	}
}

func TestHeadersMatchTheGoldenVectorsBothWays(t *testing.T) {
	for _, v := range readVectors(t, "testdata/frames.txt") {
		h, err := ParseHeader(v.bytes)
		if err != nil {
			t.Errorf("%x: %v", v.bytes, err)
			continue
		}
		if diff := cmp.Diff(v.text, describe(h)); diff != "" {
			t.Errorf("%x (-want +got):\n%s", v.bytes, diff)
		}
		if got := encode(h); !bytes.Equal(got, v.bytes) {
			t.Errorf("%s: encoded as %x, want %x", v.text, got, v.bytes)
		}
	}
}

func TestHeadersOfOtherClientsAreRead(t *testing.T) {
	for _, v := range readVectors(t, "testdata/frames_foreign.txt") {
		h, err := ParseHeader(v.bytes)
		if err != nil {
			t.Errorf("%x: %v", v.bytes, err)
			continue
		}
		if diff := cmp.Diff(v.text, describe(h)); diff != "" {
			t.Errorf("%x (-want +got):\n%s", v.bytes, diff)
		}
	}
}

func TestParseHeaderSaysWhatIsWrongAndKeepsTheID(t *testing.T) {
	long := append([]byte{0x94, 0x00, 0x05, 0xd9, 65}, bytes.Repeat([]byte{'m'}, 65)...)
	cases := []struct {
		name, hex, want string
		hasID           bool
	}{
		{"empty", "", "array of three or four", false},
		{"a map", "81 00 00", "first byte", false},
		{"array 16", "dc0004 00 05 a178 90", "first byte", false},
		{"type 3", "94 03 05 a178 90", "unknown message type", false},
		{"type is a string", "94 a130 05 a178 90", "unknown message type", false},
		{"request of three", "93 00 05 a178", "number of elements", false},
		{"notification of four", "94 02 a178 90 90", "number of elements", false},
		{"negative msgid", "94 00 ff a178 90", "msgid", false},
		{"negative msgid, wide", "94 00 d3ffffffffffffffff a178 90", "msgid", false},
		{"msgid is a string", "94 00 a178 a178 90", "msgid", false},
		{"method is a number", "94 00 05 07 90", "method is not a string", true},
		{"method is empty", "94 00 05 a0 90", "method is not a string", true},
		{"method is too long", fmt.Sprintf("%x90", long), "65 bytes, 64 is", true},
		{"error is a number", "94 01 05 07 c0", "neither nil nor a string", true},
		{"error is a map", "94 01 05 80 c0", "neither nil nor a string", true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			h, err := ParseHeader(unhex(t, tc.hex))
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want one that wraps ErrMalformed and says %q", err, tc.want)
			}
			if h.HasID != tc.hasID || (h.HasID && h.MsgID != 5) {
				t.Errorf("id = %v %d, want %v 5", h.HasID, h.MsgID, tc.hasID)
			}
		})
	}
}

func TestParseHeaderAllocatesNothing(t *testing.T) {
	msg := []byte("\x94\x00\xcd\x01\x00\xa6kv.get\x91\x80")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseHeader(msg); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPeekIDFindsTheIDOfARequestThatFailsItsScan(t *testing.T) {
	cases := []struct {
		name, hex string
		id        uint64
		ok        bool
	}{
		{"bomb after the id", "94 00 cd0102 ddffffffff", 0x102, true},
		{"cut within the id", "94 00 cd01", 0, false},
		{"response", "94 01 05 c0", 0, false},
		{"notification", "93 02 a178", 0, false},
		{"nothing", "", 0, false},
	}
	for _, tc := range cases {
		id, ok := PeekID(unhex(t, tc.hex))
		if id != tc.id || ok != tc.ok {
			t.Errorf("%s: %d, %v; want %d, %v", tc.name, id, ok, tc.id, tc.ok)
		}
	}
}

func TestClassifyFirstByteTellsForeignProtocols(t *testing.T) {
	for b, want := range map[byte]FirstByte{
		0x93: FirstMessage, 0x94: FirstMessage, 0x16: FirstTLS,
		'G': FirstHTTP, 'P': FirstHTTP, 0x95: FirstForeign, 0x00: FirstForeign, 'g': FirstForeign,
	} {
		if got := ClassifyFirstByte(b); got != want {
			t.Errorf("%#02x: %v, want %v", b, got, want)
		}
	}
}

func TestChunksRoundTrip(t *testing.T) {
	for _, want := range []Chunk{
		{Stream: 0, Seq: 0, Last: true, Bytes: []byte{}},
		{Stream: 1 << 40, Seq: 300, Last: false, Bytes: []byte("some bytes")},
	} {
		msg := AppendChunkParams(nil, want.Stream, want.Seq, want.Last, len(want.Bytes))
		msg = append(msg, want.Bytes...)
		if err := ScanOne(msg, ScanLimits{}); err != nil {
			t.Fatal(err)
		}
		got, err := ParseChunk(msg)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestParseChunkRefusesOtherShapes(t *testing.T) {
	for name, hexes := range map[string]string{
		"nothing":           "",
		"array of three":    "93 00 00 c3",
		"negative stream":   "94 ff 00 c3 c400",
		"number is a map":   "94 00 80 c3 c400",
		"last is a number":  "94 00 00 01 c400",
		"bytes are a list":  "94 00 00 c3 90",
		"more than it says": "94 00 00 c3 c400 00",
		"cut":               "94 00 00 c3 c402 00",
	} {
		if _, err := ParseChunk(unhex(t, hexes)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// FuzzParseHeader: what passes the scan and the header code, encoded again, is read
// as the same header; nothing panics, scanned or not.
func FuzzParseHeader(f *testing.F) {
	for _, path := range []string{"testdata/frames.txt", "testdata/frames_foreign.txt"} {
		for _, v := range readVectors(f, path) {
			f.Add(v.bytes)
		}
	}
	f.Add([]byte{0x94, 0x00, 0xcd, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseHeader(data)
		_, _ = ParseChunk(data)
		if id, ok := PeekID(data); ok && h.HasID && h.Type == TypeRequest && id != h.MsgID {
			t.Fatalf("PeekID %d, ParseHeader %d", id, h.MsgID)
		}
		if ScanOne(data, ScanLimits{}) != nil || err != nil {
			return
		}
		if h.Type == TypeResponse && h.Error != nil {
			h.Result = []byte{0xc0} // what the encoder sends beside an error
		}
		again, err := ParseHeader(encode(h))
		if err != nil {
			t.Fatalf("%+v encodes to what is refused: %v", h, err)
		}
		if diff := cmp.Diff(h, again); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
