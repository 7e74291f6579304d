// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"math"
	"testing"

	"github.com/dyno-kv/dyno/vclock"
)

func fullVersion() Version {
	return Version{
		Dot: dot(1, 1), Kind: KindValue, Value: []byte("some value"), ExpiresAt: 1 << 40, Fence: 7,
		Stamp: StampAt(1 << 40), Request: RequestID{1, 2, 3, 15: 16},
	}.Sealed()
}

func TestASealedVersionShowsWhatWasDoneToIt(t *testing.T) {
	if v := fullVersion(); !v.Intact() || v.Size != 10 {
		t.Fatalf("as sealed: intact %t, size %d", v.Intact(), v.Size)
	}
	for name, change := range map[string]func(*Version){
		"kind":                 func(v *Version) { v.Kind = KindTombstone },
		"a bit of the value":   func(v *Version) { v.Value = []byte("some valuf") },
		"the value's order":    func(v *Version) { v.Value = []byte("value some") },
		"a cut value":          func(v *Version) { v.Value = v.Value[:9] },
		"a cut value and size": func(v *Version) { v.Value, v.Size = v.Value[:9], 9 },
		"a longer value":       func(v *Version) { v.Value = []byte("some value\x00") },
		"no value":             func(v *Version) { v.Value = nil },
		"no value and no size": func(v *Version) { v.Value, v.Size = nil, 0 },
		"size":                 func(v *Version) { v.Size++ },
		"expiry":               func(v *Version) { v.ExpiresAt++ },
		"the sign of expiry":   func(v *Version) { v.ExpiresAt = -v.ExpiresAt },
		"fence":                func(v *Version) { v.Fence++ },
		"a high bit of fence":  func(v *Version) { v.Fence |= 1 << 63 },
		"stamp":                func(v *Version) { v.Stamp++ },
		"a high bit of stamp":  func(v *Version) { v.Stamp ^= 1 << 63 },
		"the request's start":  func(v *Version) { v.Request[0]++ },
		"the request's end":    func(v *Version) { v.Request[15]++ },
		"checksum":             func(v *Version) { v.Checksum++ },
		"fence and stamp swap": func(v *Version) {
			v.Fence, v.Stamp = Fence(v.Stamp), Stamp(v.Fence)
		},
		"expiry and fence swap": func(v *Version) {
			v.ExpiresAt, v.Fence = int64(v.Fence), Fence(v.ExpiresAt)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := fullVersion()
			change(&v)
			if v.Intact() {
				t.Errorf("%+v is intact", v)
			}
			if sealed := v.Sealed(); !sealed.Intact() {
				t.Errorf("sealed again, it is not: %+v", sealed)
			}
		})
	}
}

// A dot is the version's name and not its content: a digest has both.
func TestTheChecksumIsOfTheContentAndNotOfTheDot(t *testing.T) {
	v := fullVersion()
	v.Dot = dot(2, 9)
	if !v.Intact() {
		t.Error("the checksum depends on the dot")
	}
	if sum := fullVersion().Checksum; sum != goldenChecksum {
		t.Errorf("checksum is %#x: stored versions would not be intact any more", sum)
	}
}

const goldenChecksum = 0xcdad484222511264

func TestAVersionHasItsValueUnlessSomethingIsMissing(t *testing.T) {
	for _, tc := range []struct {
		name string
		v    Version
		want bool
	}{
		{"value", text(dot(1, 1), "x"), true},
		{"value taken out", text(dot(1, 1), "x").withoutValue(), false},
		{"empty value", text(dot(1, 1), ""), true},
		{"empty value taken out", text(dot(1, 1), "").withoutValue(), true},
		{"tombstone", tombstone(dot(1, 1)), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.v.HasValue() != tc.want || tc.v.Intact() != tc.want {
				t.Errorf("has its value: %t, intact: %t", tc.v.HasValue(), tc.v.Intact())
			}
		})
	}
}

func TestAVersionIsShownUntilTheMillisecondItExpires(t *testing.T) {
	for _, tc := range []struct {
		expires, now  int64
		kind          Kind
		expired, live bool
	}{
		{0, math.MaxInt64, KindValue, false, true},
		{0, 0, KindValue, false, true},
		{0, -5, KindValue, false, true},
		{100, 99, KindValue, false, true},
		{100, 100, KindValue, true, false},
		{100, 101, KindValue, true, false},
		{-1, 0, KindValue, true, false},
		{0, 5, KindTombstone, false, false},
		{100, 99, KindTombstone, false, false},
		{0, 5, 0, false, false},
		{0, 5, 3, false, false},
	} {
		v := Version{Kind: tc.kind, ExpiresAt: tc.expires}
		if v.Expired(tc.now) != tc.expired || v.Live(tc.now) != tc.live {
			t.Errorf("%+v: expired %t, live %t", tc, v.Expired(tc.now), v.Live(tc.now))
		}
	}
}

func TestOnlyTheZeroRequestIsNone(t *testing.T) {
	if !(RequestID{}).IsZero() || (RequestID{15: 1}).IsZero() || (RequestID{1}).IsZero() {
		t.Error("the zero request, and no other, is none")
	}
}

func ExampleObject_Live() {
	store, _ := vclock.NewActor(1, 0xa)
	d := vclock.Dot{Actor: store, Counter: 1}
	var o Object
	o, _ = o.Put(Version{
		Dot: d, Kind: KindValue, Value: []byte("for a second"), ExpiresAt: 1_000,
	}.Sealed(), vclock.Context{})
	fmt.Println(len(o.Live(999)), len(o.Live(1_000)), len(o.Versions), o.Versions[0].Kind)
	// Output: 1 0 1 value
}
