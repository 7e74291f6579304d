// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

func TestFindReturnsTheVersionOfADotAndNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject(t, false)
		d := drawDot(t, "sought")
		want := false
		for _, v := range o.Versions {
			want = want || v.Dot == d
		}
		got, found := o.Find(d)
		if found != want || found && got.Dot != d || !found && !got.Dot.IsZero() {
			t.Fatalf("%s in %s: %s, %t", d, show(o), got.Dot, found)
		}
	})
}

func TestAnObjectIsZeroWhereItsKeyWasNeverWritten(t *testing.T) {
	written := put(t, Object{}, value(dot(1, 1)), vclock.Context{})
	for _, tc := range []struct {
		name string
		o    Object
		want bool
	}{
		{"zero value", Object{}, true},
		{"a fence alone", Object{Fence: 7}, true},
		{"written", written, false},
		{"all expired or fenced off", Object{Context: written.Context}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.o.IsZero(); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestDigestTellsApartWhateverReadersSee(t *testing.T) {
	base := text(dot(1, 1), "x")
	of := func(v Version) Object {
		return Object{Context: vclock.ContextOf(v.Dot), Versions: []Version{v}}
	}
	with := func(change func(*Version)) Object {
		v := base
		change(&v)
		return of(v.Sealed())
	}
	fenced := with(func(v *Version) { v.Fence = 1 })
	fenced.Fence = 1
	wider := of(base)
	wider.Context = wider.Context.Add(dot(2, 1))
	gone := of(base)
	gone.Versions = nil
	two := put(t, wider, text(dot(3, 1), "x"), vclock.Context{})
	swapped := put(t, wider, text(dot(3, 1), "y"), vclock.Context{})
	objects := map[string]Object{
		"nothing":                 {},
		"a fence alone":           {Fence: 1},
		"base":                    of(base),
		"other value":             of(text(dot(1, 1), "y")),
		"other dot":               of(text(dot(1, 2), "x")),
		"other actor":             of(text(dot(2, 1), "x")),
		"tombstone":               of(tombstone(dot(1, 1))),
		"expiry":                  with(func(v *Version) { v.ExpiresAt = 1 }),
		"stamp":                   with(func(v *Version) { v.Stamp = 1 }),
		"request":                 with(func(v *Version) { v.Request[3] = 1 }),
		"fence":                   fenced,
		"wider context":           wider,
		"no version":              gone,
		"two versions":            two,
		"two versions, other one": swapped,
	}
	seen := map[uint64]string{}
	for name, o := range objects {
		d := o.Digest()
		if other, taken := seen[d]; taken {
			t.Errorf("%s and %s have equal digests", name, other)
		}
		seen[d] = name
		if bare := o.WithoutValues().Digest(); bare != d {
			t.Errorf("%s: the digest depends on whether values are there", name)
		}
	}
	if got := of(base).Digest(); got != goldenDigest {
		t.Errorf("digest of the base is %#x: peers of two releases would not agree", got)
	}
}

const goldenDigest = 0x216ac28a6fd50212

func TestObjectsWithoutValuesKeepAllElse(t *testing.T) {
	o := put(t, Object{}, text(dot(1, 1), "x"), vclock.Context{})
	o = put(t, o, text(dot(1, 2), ""), vclock.Context{})
	o = put(t, o, tombstone(dot(1, 3)), vclock.Context{})
	before := clone(o)
	bare := o.WithoutValues()
	checkSame(t, "operand", o, before)
	if !o.HasValues() || bare.HasValues() || o.Size() != bare.Size() {
		t.Errorf("has values: %t, bare: %t; sizes %d and %d",
			o.HasValues(), bare.HasValues(), o.Size(), bare.Size())
	}
	for i, v := range bare.Versions {
		if v.HasValue() != (i > 0) { // the empty value and the tombstone miss nothing
			t.Errorf("version %d has its value: %t", i, v.HasValue())
		}
		v.Value = o.Versions[i].Value
		if diff := cmp.Diff(o.Versions[i], v); diff != "" {
			t.Errorf("version %d changed:\n%s", i, diff)
		}
	}
	if (Object{}).WithoutValues().Size() != (Object{}).Size() || !(Object{}).HasValues() {
		t.Error("an object without versions misses no value")
	}
}

func TestSizeCountsContextVersionsAndValues(t *testing.T) {
	o := put(t, Object{}, text(dot(1, 1), "12345"), vclock.Context{})
	want := o.Context.EncodedSize() + 64 + 5
	if o.Size() != want {
		t.Errorf("got %d, want %d", o.Size(), want)
	}
	o = put(t, o, text(dot(1, 2), "123"), vclock.Context{})
	want = o.Context.EncodedSize() + 2*64 + 5 + 3
	if o.Size() != want {
		t.Errorf("got %d, want %d", o.Size(), want)
	}
}

func TestTheLatestStampIsTheHighestWhereverItStands(t *testing.T) {
	var o Object
	if o.LatestStamp() != 0 {
		t.Errorf("without versions: %d", o.LatestStamp())
	}
	for i, s := range []Stamp{5, 9, 7} {
		v := value(dot(1, uint64(i+1)))
		v.Stamp = s
		o = put(t, o, v.Sealed(), vclock.Context{})
	}
	if o.LatestStamp() != 9 {
		t.Errorf("got %d, want 9", o.LatestStamp())
	}
}

// What is deleted may be purged: an object with a value in any place must not be.
func TestOnlyAnObjectOfNothingButTombstonesIsDeleted(t *testing.T) {
	base := put(t, Object{}, value(dot(2, 1)), nobody)
	first := put(t, base, tombstone(dot(1, 1)), nobody)  // before the value
	second := put(t, base, tombstone(dot(3, 1)), nobody) // behind it
	gone := put(t, base, tombstone(dot(2, 2)), base.Context)
	for _, c := range []struct {
		name string
		o    Object
		want bool
	}{
		{"nothing", Object{}, false},
		{"a context alone", Object{Context: base.Context}, false},
		{"a value", base, false},
		{"a tombstone and a value", first, false},
		{"a value and a tombstone", second, false},
		{"a value between tombstones", put(t, first, tombstone(dot(3, 1)), nobody), false},
		{"a tombstone", gone, true},
		{"tombstones", put(t, gone, tombstone(dot(3, 1)), nobody), true},
	} {
		if got := c.o.Deleted(); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
