// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("test data %q: %v", s, err)
	}
	return b
}

func TestScanFindsTheEndOfAMessage(t *testing.T) {
	cases := []struct {
		name, hex string
	}{
		{"fixint", "00"},
		{"negative fixint", "ff"},
		{"nil", "c0"},
		{"bools in an array", "92 c2 c3"},
		{"int 8 to 64", "98 cc01 cd0102 ce01020304 cf0102030405060708" +
			"d001 d10102 d201020304 d30102030405060708"},
		{"floats", "92 ca00000000 cb0000000000000000"},
		{"empty containers", "92 90 80"},
		{"fixstr", "a3616263"},
		{"str 8, 16, 32", "93 d90161 da000161 db0000000161"},
		{"bin 8, 16, 32", "93 c40161 c5000161 c60000000161"},
		{"fixext", "95 d40100 d5010000 d60100000000 d7010000000000000000" +
			"d80100000000000000000000000000000000"},
		{"ext 8, 16, 32", "93 c70101ff c8000101ff c90000000101ff"},
		{"array 16 and 32", "92 dc000101 dd0000000101"},
		{"map 16 and 32", "92 de00010102 df000000010102"},
		{"containers that end together", "91 91 81 01 92 01 90"},
		{"ping", "94 00 01 a4 70696e67 90"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			msg := unhex(t, tc.hex)
			followed := append(bytes.Clone(msg), 0xc1, 0xc1)
			var s Scanner
			n, done, err := s.Scan(followed)
			if err != nil || !done || n != len(msg) {
				t.Fatalf("Scan = %d, %v, %v; want %d, true, nil", n, done, err, len(msg))
			}
			if err := ScanOne(msg, ScanLimits{}); err != nil {
				t.Fatalf("ScanOne: %v", err)
			}
			for cut := range msg {
				n, done, err := s.Scan(msg[:cut])
				if err != nil || done {
					t.Fatalf("%d of %d bytes: %d, %v, %v", cut, len(msg), n, done, err)
				}
				if n <= cut || n > len(msg) {
					t.Fatalf("%d of %d bytes: the hint is %d", cut, len(msg), n)
				}
			}
			if n, done, err := s.Scan(msg); err != nil || !done || n != len(msg) {
				t.Fatalf("byte by byte: %d, %v, %v", n, done, err)
			}
		})
	}
}

// bombs are messages that kill, or cost far more than they weigh, in a decoder
// that trusts what they announce.
func bombs() map[string]struct {
	msg  []byte
	want error
} {
	type bomb = struct {
		msg  []byte
		want error
	}
	deep := bytes.Repeat([]byte{0x91}, 1<<20)
	wide := []byte{0x91}
	for range 8 { // each array announces a quarter of the limit, within the other
		wide = append(wide, 0xdd, 0x00, 0x10, 0x00, 0x00)
	}
	return map[string]bomb{
		"six bytes":               {[]byte{0xdd, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrCount},
		"map 32":                  {[]byte{0xdf, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrCount},
		"map 32 that wraps":       {[]byte{0xdf, 0x80, 0x00, 0x00, 0x01, 0x01}, ErrCount},
		"str 32":                  {[]byte{0xdb, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrTooLong},
		"bin 32":                  {[]byte{0xc6, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrTooLong},
		"ext 32":                  {[]byte{0xc9, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrTooLong},
		"bin in a request":        {[]byte{0x94, 0, 1, 0xc6, 0x7f, 0xff, 0xff, 0xff}, ErrTooLong},
		"a million nested arrays": {deep, ErrDepth},
		"a million nested maps":   {bytes.Repeat([]byte{0x81}, 1<<20), ErrDepth},
		"counts that add up":      {wide, ErrCount},
		"reserved byte":           {[]byte{0x92, 0x01, 0xc1}, ErrMalformed},
	}
}

func TestScanRefusesBombsWithoutAllocating(t *testing.T) {
	for name, b := range bombs() {
		t.Run(name, func(t *testing.T) {
			var err error
			allocs := testing.AllocsPerRun(10, func() {
				var s Scanner
				_, _, err = s.Scan(b.msg)
			})
			if !errors.Is(err, b.want) {
				t.Errorf("Scan: %v, want %v", err, b.want)
			}
			if allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
		})
	}
}

func TestScanHoldsItsLimitsToTheByte(t *testing.T) {
	msg := append([]byte{0x92, 0xc4, 0x08}, make([]byte, 9)...) // 12 bytes
	siblings := append([]byte{0x9f}, bytes.Repeat([]byte{0x91, 0x91, 0x91, 0x00}, 15)...)
	nested := append(bytes.Repeat([]byte{0x91}, 16), 0x00)
	cases := []struct {
		name   string
		limits ScanLimits
		msg    []byte
		want   error
	}{
		{"as long as allowed", ScanLimits{Bytes: 12}, msg, nil},
		{"one byte too long", ScanLimits{Bytes: 11}, msg, ErrTooLong},
		{"count of one too many", ScanLimits{Bytes: 4}, unhex(t, "dc 0002"), ErrCount},
		{"head that can not fit", ScanLimits{Bytes: 4}, unhex(t, "dd 00"), ErrTooLong},
		{"head that does not fit", ScanLimits{Bytes: 4}, unhex(t, "dd 7fffffff"), ErrTooLong},
		{"as deep as allowed", ScanLimits{}, nested, nil},
		{"one level too deep", ScanLimits{Depth: 15}, nested, ErrDepth},
		{"levels that ended", ScanLimits{Depth: 4}, siblings, nil},
		{"an empty array is a level", ScanLimits{Depth: 1}, unhex(t, "91 90"), ErrDepth},
		{"depth above the stack", ScanLimits{Depth: 99}, bytes.Repeat([]byte{0x91}, 99), ErrDepth},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if err := ScanOne(tc.msg, tc.limits); !errors.Is(err, tc.want) {
				t.Errorf("ScanOne: %v, want %v", err, tc.want)
			}
		})
	}
}

func TestScanOneWantsExactlyOneMessage(t *testing.T) {
	for name, msg := range map[string][]byte{
		"nothing": {}, "half a message": {0x92, 0x01}, "two messages": {0x01, 0x02},
	} {
		if err := ScanOne(msg, ScanLimits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, ErrMalformed)
		}
	}
}

// Goal: a message of 4 MiB in pieces is looked at once. Method: the scanner must
// still be right when all that it has seen is overwritten before the next piece.
func TestScanNeverLooksBack(t *testing.T) {
	const elements = 1 << 20
	msg := append([]byte{0xdd, 0x00, 0x10, 0x00, 0x00}, make([]byte, elements)...)
	var s Scanner
	for have := 1000; have < len(msg); have += 1000 {
		if _, done, err := s.Scan(msg[:have]); done || err != nil {
			t.Fatalf("at %d: %v, %v", have, done, err)
		}
		for i := max(0, have-1000); i < have-4; i++ {
			msg[i] = 0xc1
		}
	}
	n, done, err := s.Scan(msg)
	if n != len(msg) || !done || err != nil {
		t.Fatalf("Scan = %d, %v, %v", n, done, err)
	}
}

// FuzzScan: whatever the scan accepts, a full decoder finds to be one value of the
// same length; and the verdict does not depend on how the bytes are cut.
func FuzzScan(f *testing.F) {
	for _, b := range bombs() {
		f.Add(b.msg[:min(len(b.msg), 64)], uint16(3))
	}
	f.Add([]byte("\x94\x00\x01\xa4ping\x90"), uint16(1))
	f.Add([]byte("\x94\x00\xcd\x01\x00\xa6kv.get\x91\x81\xa3key\xc4\x01k"), uint16(5))
	f.Add([]byte("\x92\xd4\x01\x00\xc9\x00\x00\x00\x01\x01\xff"), uint16(2))
	f.Add([]byte("\xdc\xff\xfc\xdd0000"), uint16(3)) // a head beyond the limit, cut and whole
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		limits := ScanLimits{Bytes: 1 << 16}
		whole := Scanner{Limits: limits}
		n, done, err := whole.Scan(data)
		pieces := Scanner{Limits: limits}
		var pn int
		var pdone bool
		var perr error
		for have := 0; !pdone && perr == nil; {
			have = min(len(data), have+1+int(cut))
			pn, pdone, perr = pieces.Scan(data[:have])
			if have == len(data) {
				break
			}
		}
		if pdone != done || !errors.Is(perr, err) || (done && pn != n) {
			t.Fatalf("whole: %d, %v, %v; in pieces: %d, %v, %v", n, done, err, pn, pdone, perr)
		}
		if !done {
			return
		}
		r := bytes.NewReader(data)
		raw, rerr := msgpack.NewDecoder(r).DecodeRaw()
		if rerr != nil {
			t.Fatalf("accepted %x, but the decoder says: %v", data[:n], rerr)
		}
		if len(raw) != n || !bytes.Equal(raw, data[:n]) {
			t.Fatalf("scan found %d bytes, the decoder %d", n, len(raw))
		}
	})
}

func BenchmarkScan(b *testing.B) {
	msg := AppendRequestHeader(nil, 7, "kv.put")
	msg = append(msg, 0x91, 0x85)
	for _, key := range []string{"bucket", "key", "context", "w", "value"} {
		msg = appendFrameText(msg, key)
		msg = append(append(msg, 0xc5, 0x00, 0xc8), make([]byte, 200)...)
	}
	var s Scanner
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if _, done, err := s.Scan(msg); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
