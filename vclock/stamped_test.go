// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestStampedTokensGiveBackContextAndStamp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := drawPair(t)
		b, stamp := Binding(rapid.Uint64().Draw(t, "binding")), rapid.Uint64().Draw(t, "stamp")
		token := AppendStampedToken([]byte("before"), b, c, stamp)[len("before"):]
		if StampedTokenSize(c) != len(token) {
			t.Fatalf("%s says %d bytes and takes %d", c, StampedTokenSize(c), len(token))
		}
		back, got, err := OpenStampedToken(token, b)
		if err != nil || got != stamp {
			t.Fatalf("stamp %d, %v; want %d", got, err, stamp)
		}
		checkSame(t, "opened", back, s)
	})
}

func TestTokensOfBeforeThereWereStampsStayReadable(t *testing.T) {
	for _, c := range samples() {
		got, stamp, err := OpenStampedToken(AppendToken(nil, 77, c), 77)
		if err != nil || stamp != 0 || !got.Equal(c) {
			t.Errorf("%s: %s, stamp %d, %v", c, got, stamp, err)
		}
	}
	if got, stamp, err := OpenStampedToken(nil, 77); err != nil || stamp != 0 || !got.IsEmpty() {
		t.Errorf("no token: %s, stamp %d, %v", got, stamp, err)
	}
}

func TestAPlainTokenIsNotOpenedByStamps(t *testing.T) {
	if _, err := OpenToken(AppendStampedToken(nil, 77, Context{}, 1), 77); !errors.Is(err, ErrToken) {
		t.Errorf("a stamped token where none is handed out: %v", err)
	}
}

func TestDamagedStampedTokensAreRefused(t *testing.T) {
	for _, c := range samples() {
		token := AppendStampedToken(nil, 77, c, 1<<56+5)
		for n := 1; n < len(token); n++ {
			for _, part := range [][]byte{token[:n], token[n:]} {
				if got, s, err := OpenStampedToken(part, 77); !errors.Is(err, ErrToken) || s != 0 {
					t.Errorf("%d bytes of %s: %s, %d, %v", len(part), c, got, s, err)
				}
			}
		}
		for bit := range 8 * len(token) {
			damaged := slices.Clone(token)
			damaged[bit/8] ^= 1 << (bit % 8)
			got, s, err := OpenStampedToken(damaged, 77)
			if !errors.Is(err, ErrToken) || s != 0 || !got.IsEmpty() {
				t.Errorf("bit %d of %s flipped: %s, %d, %v", bit, c, got, s, err)
			}
		}
		if _, _, err := OpenStampedToken(token, 78); !errors.Is(err, ErrToken) {
			t.Errorf("opened with another binding: %v", err)
		}
	}
}

func TestStampedTokensWithARightChecksumAreStillChecked(t *testing.T) {
	stamp := make([]byte, tokenStamp)
	body := append([]byte{tokenStamped}, stamp...)
	for name, b := range map[string][]byte{
		"a version alone":     body[:1],
		"half a stamp":        body[:5],
		"no context":          body,
		"dots out of order":   append(slices.Clone(body), encode(nil, []Dot{{1, 9}, {1, 7}})...),
		"a byte too many":     append(VectorOf(Dot{1, 7}).Append(slices.Clone(body)), 0),
		"a version to come":   VectorOf(Dot{1, 7}).Append(append([]byte{tokenStamped + 1}, stamp...)),
		"a stamp as contexts": VectorOf(Dot{1, 7}).Append([]byte{tokenStamped}),
	} {
		if got, s, err := OpenStampedToken(resealed(77, b), 77); !errors.Is(err, ErrToken) || s != 0 {
			t.Errorf("%s: %s, %d, %v", name, got, s, err)
		}
	}
}

func FuzzOpenStampedToken(f *testing.F) {
	for _, c := range samples() {
		token := AppendStampedToken(nil, 77, c, 9)
		f.Add(token, uint64(77), false)
		f.Add(token[:len(token)-tokenChecksum], uint64(77), true)
		f.Add(AppendToken(nil, 77, c), uint64(77), false)
	}
	f.Fuzz(func(t *testing.T, token []byte, binding uint64, seal bool) {
		b := Binding(binding)
		if seal { // so that the bytes behind the checksum are reached too
			token = resealed(b, token)
		}
		c, stamp, err := OpenStampedToken(token, b)
		if err != nil {
			if !errors.Is(err, ErrToken) || !c.IsEmpty() || stamp != 0 {
				t.Fatalf("%x: %s, %d, %v", token, c, stamp, err)
			}
			return
		}
		again := AppendStampedToken(nil, b, c, stamp)
		if len(token) > 0 && !bytes.Equal(again, token) && !bytes.Equal(AppendToken(nil, b, c), token) {
			t.Fatalf("%x opens as %s, which has another token", token, c)
		}
	})
}
