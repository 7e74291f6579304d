// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

const lastMilli = 1<<48 - 1 // of a stamp, in the year 10889

func TestStampsFollowTheClockAndNeverFallBehindThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Stamp(rapid.Uint64Max(math.MaxUint64-1).Draw(t, "stamp"))
		now := rapid.Int64().Draw(t, "now")
		next := s.Next(now)
		if next <= s {
			t.Fatalf("%d at %d is followed by %d", s, now, next)
		}
		ahead := now > s.UnixMilli()
		if ahead && now <= lastMilli && next != StampAt(now) {
			t.Fatalf("%d at %d is followed by %d, not by the clock's", s, now, next)
		}
		if !ahead && next != s+1 {
			t.Fatalf("%d at %d is followed by %d, not by the one after it", s, now, next)
		}
	})
}

func TestStampsAreMillisecondsThenACounter(t *testing.T) {
	for _, tc := range []struct {
		name string
		got  Stamp
		want Stamp
	}{
		{"of a millisecond", StampAt(3), 3 << 16},
		{"the clock is ahead", StampAt(3).Next(4), 4 << 16},
		{"the same millisecond", StampAt(3).Next(3), 3<<16 + 1},
		{"the clock fell back", StampAt(3).Next(1), 3<<16 + 1},
		{"the counter runs over", Stamp(3<<16 | 0xffff).Next(3), 4 << 16},
		{"before 1970", StampAt(-1), 0},
		{"the first of all", Stamp(0).Next(-1), 1},
		{"the last millisecond", StampAt(lastMilli), lastMilli << 16},
		{"a clock beyond it", StampAt(lastMilli + 1), lastMilli << 16},
		{"a clock far beyond it", StampAt(math.MaxInt64), lastMilli << 16},
		{"a stamp follows where the clock is beyond", Stamp(5 << 16).Next(lastMilli + 9),
			lastMilli << 16},
		{"the last of all stays", Stamp(math.MaxUint64).Next(5), math.MaxUint64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.got != tc.want {
				t.Errorf("got %#x, want %#x", tc.got, tc.want)
			}
		})
	}
	if got := Stamp(7<<16 | 0xffff).UnixMilli(); got != 7 {
		t.Errorf("wall clock part is %d, want 7", got)
	}
	if got := Stamp(math.MaxUint64).UnixMilli(); got != lastMilli {
		t.Errorf("wall clock part is %d, want %d", got, int64(lastMilli))
	}
}
