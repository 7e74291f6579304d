// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var testCluster = [16]byte{0xd0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func TestTokensOpenWithTheBindingThatSealedThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := drawPair(t)
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		b := Bind(testCluster, rapid.Uint32().Draw(t, "bucket"), key)
		token := AppendToken([]byte("before"), b, c)[len("before"):]
		if TokenSize(c) != len(token) {
			t.Fatalf("%s says %d bytes and takes %d", c, TokenSize(c), len(token))
		}
		back, err := OpenToken(token, b)
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, "opened", back, s)
	})
}

func TestNoTokenIsTheEmptyContext(t *testing.T) {
	for _, none := range [][]byte{nil, {}} {
		if c, err := OpenToken(none, 1); err != nil || !c.IsEmpty() {
			t.Errorf("%v: %s, %v", none, c, err)
		}
	}
	if c, err := OpenToken(AppendToken(nil, 1, Context{}), 1); err != nil || !c.IsEmpty() {
		t.Errorf("a sealed empty context: %s, %v", c, err)
	}
}

func TestTokensOfAnotherKeyBucketOrClusterAreRefused(t *testing.T) {
	c := VectorOf(Dot{1, 7}).Add(Dot{1, 9})
	token := AppendToken(nil, Bind(testCluster, 3, []byte("key")), c)
	other := testCluster
	other[15] ^= 1
	for _, tc := range []struct {
		name string
		b    Binding
	}{
		{"another key", Bind(testCluster, 3, []byte("kez"))},
		{"a longer key", Bind(testCluster, 3, []byte("key\x00"))},
		{"no key", Bind(testCluster, 3, nil)},
		{"another bucket", Bind(testCluster, 4, []byte("key"))},
		{"another byte of the bucket", Bind(testCluster, 3<<24, []byte("key"))},
		{"another cluster", Bind(other, 3, []byte("key"))},
		{"no binding", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := OpenToken(token, tc.b); !errors.Is(err, ErrToken) || !got.IsEmpty() {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func TestBucketAndKeyDoNotRunIntoEachOther(t *testing.T) {
	seen := map[Binding]string{}
	for _, key := range []string{"", "a", "b", "aa", "ab", "\x00a", "a\x00", "\x00\x00\x00\x03a"} {
		for _, bucket := range []uint32{0, 1, 3, 'a', 'a' << 24} {
			b := Bind(testCluster, bucket, []byte(key))
			if other, taken := seen[b]; taken {
				t.Errorf("bucket %d, key %q is bound as %q", bucket, key, other)
			}
			seen[b] = key
		}
	}
}

func TestDamagedTokensAreRefused(t *testing.T) {
	for _, c := range samples() {
		token := AppendToken(nil, 77, c)
		for n := 1; n < len(token); n++ {
			for _, part := range [][]byte{token[:n], token[n:]} {
				if got, err := OpenToken(part, 77); !errors.Is(err, ErrToken) || !got.IsEmpty() {
					t.Errorf("%d bytes of %s: %s, %v", len(part), c, got, err)
				}
			}
		}
		for bit := range 8 * len(token) {
			damaged := slices.Clone(token)
			damaged[bit/8] ^= 1 << (bit % 8)
			if got, err := OpenToken(damaged, 77); !errors.Is(err, ErrToken) || !got.IsEmpty() {
				t.Errorf("bit %d of %s flipped: %s, %v", bit, c, got, err)
			}
		}
		if got, err := OpenToken(append(slices.Clone(token), 0), 77); !errors.Is(err, ErrToken) {
			t.Errorf("a byte behind %s: %s, %v", c, got, err)
		}
	}
}

// resealed is body under a right checksum: what only somebody who knows how can make.
func resealed(b Binding, body []byte) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(body), tokenSum(b, body))
}

func TestTokensWithARightChecksumAreStillChecked(t *testing.T) {
	good := VectorOf(Dot{1, 7}).Append([]byte{tokenVersion})
	if _, err := OpenToken(resealed(77, good), 77); err != nil {
		t.Fatalf("a token as it should be: %v", err)
	}
	for _, tc := range []struct {
		name string
		body []byte
		also error
	}{
		{"version 0", VectorOf(Dot{1, 7}).Append([]byte{0}), nil},
		{"a later version", VectorOf(Dot{1, 7}).Append([]byte{tokenVersion + 1}), nil},
		{"a checksum alone", nil, nil},
		{"no context", []byte{tokenVersion}, nil},
		{"a version alone", []byte{9}, nil},
		{"dots out of order",
			append([]byte{tokenVersion}, encode(nil, []Dot{{1, 9}, {1, 7}})...), ErrMalformed},
		{"a byte too many", append(slices.Clone(good), 0), ErrMalformed},
		{"a huge count",
			append([]byte{tokenVersion}, bytes.Repeat([]byte{0xff}, 7)...), ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := OpenToken(resealed(77, tc.body), 77)
			if !errors.Is(err, ErrToken) || !got.IsEmpty() {
				t.Errorf("got %s, %v", got, err)
			}
			if tc.also != nil && !errors.Is(err, tc.also) {
				t.Errorf("the reason is lost: %v", err)
			}
		})
	}
}

func FuzzOpenToken(f *testing.F) {
	for _, c := range samples() {
		token := AppendToken(nil, 77, c)
		f.Add(token, uint64(77), false)
		f.Add(token, uint64(78), false)
		f.Add(token[:len(token)-tokenChecksum], uint64(77), true)
	}
	f.Fuzz(func(t *testing.T, token []byte, binding uint64, seal bool) {
		b := Binding(binding)
		if seal { // so that the bytes behind the checksum are reached too
			token = resealed(b, token)
		}
		c, err := OpenToken(token, b)
		switch {
		case err != nil && (!errors.Is(err, ErrToken) || !c.IsEmpty()):
			t.Fatalf("%x: %s, %v", token, c, err)
		case err == nil && len(token) > 0 && !bytes.Equal(AppendToken(nil, b, c), token):
			t.Fatalf("%x opens as %s, which has another token", token, c)
		}
	})
}
