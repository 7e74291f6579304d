// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

// stamped is a version of an actor with a stamp.
func stamped(actor, counter uint64, stamp Stamp, kind Kind, expires int64) Version {
	v := Version{
		Dot: vclock.Dot{Actor: vclock.Actor(actor), Counter: counter}, Kind: kind, Stamp: stamp,
		ExpiresAt: expires,
	}
	if kind == KindValue {
		v.Value = []byte{byte(actor), byte(counter)}
	}
	return v.Sealed()
}

// besides is an object that holds the versions side by side.
func besides(versions ...Version) Object {
	var o Object
	for _, v := range versions {
		o = Merge(o, Object{Context: vclock.ContextOf(v.Dot), Versions: []Version{v}})
	}
	return o
}

func TestAnLWWBucketShowsOneWinnerAndAnotherShowsAll(t *testing.T) {
	const now = 1000
	lww, siblings := Bucket{LWW: true}, Bucket{}
	low := stamped(1, 1, 5, KindValue, 0)
	high := stamped(2, 1, 9, KindValue, 0)
	twin := stamped(3, 1, 9, KindValue, 0)
	for _, tc := range []struct {
		name string
		o    Object
		lww  []vclock.Dot
		all  int
	}{
		{"nothing", Object{}, nil, 0},
		{"one value", besides(low), []vclock.Dot{low.Dot}, 1},
		{"the higher stamp", besides(low, high), []vclock.Dot{high.Dot}, 2},
		{"of equal stamps the higher dot", besides(twin, low, high), []vclock.Dot{twin.Dot}, 3},
		{"a tombstone wins", besides(low, stamped(2, 1, 9, KindTombstone, 0)), nil, 1},
		{"a tombstone loses", besides(high, stamped(1, 1, 5, KindTombstone, 0)),
			[]vclock.Dot{high.Dot}, 1},
		{"an expired value wins and is gone", besides(low, stamped(2, 1, 9, KindValue, now)), nil, 1},
		{"an expired value loses", besides(high, stamped(1, 1, 5, KindValue, now)),
			[]vclock.Dot{high.Dot}, 1},
		{"one that has not expired yet", besides(low, stamped(2, 1, 9, KindValue, now+1)),
			[]vclock.Dot{{Actor: 2, Counter: 1}}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []vclock.Dot
			for _, v := range lww.Shown(tc.o, now) {
				got = append(got, v.Dot)
			}
			if !slices.Equal(got, tc.lww) {
				t.Errorf("lww shows %v, want %v", got, tc.lww)
			}
			if n := len(siblings.Shown(tc.o, now)); n != tc.all {
				t.Errorf("siblings shows %d, want %d", n, tc.all)
			}
		})
	}
}

// Whoever merged the same names the same winner, in whatever order it came, and what a
// merge adds never lets a lower version win (TRAPS C12).
func TestTheWinnerDependsOnNoOrderAndOnlyRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "versions")
		var versions []Version
		for i := range n {
			kind := Kind(rapid.IntRange(int(KindValue), int(KindTombstone)).Draw(t, "kind"))
			stamp := Stamp(rapid.IntRange(0, 3).Draw(t, "stamp"))
			versions = append(versions, stamped(uint64(i+1), 1, stamp, kind, 0))
		}
		order := rapid.Permutation(versions).Draw(t, "order")
		var o Object
		var last Version
		for i := range order {
			o = Merge(o, besides(order[i]))
			w, found := o.Winner()
			if !found || i > 0 && rank(w, last) < 0 {
				t.Fatalf("the winner fell from %v to %v", last.Dot, w.Dot)
			}
			last = w
		}
		want := slices.MaxFunc(versions, rank)
		if last.Dot != want.Dot {
			t.Fatalf("winner %v, want %v", last.Dot, want.Dot)
		}
	})
}

func rank(v, w Version) int {
	switch {
	case v.Stamp != w.Stamp && v.Stamp < w.Stamp:
		return -1
	case v.Stamp != w.Stamp:
		return 1
	}
	return v.Dot.Compare(w.Dot)
}

func TestResolvingChangesNothingThatIsKept(t *testing.T) {
	o := besides(stamped(1, 1, 5, KindValue, 0), stamped(2, 1, 9, KindTombstone, 0))
	before := o.Digest()
	_ = Bucket{LWW: true}.Shown(o, 0)
	if len(o.Versions) != 2 || o.Digest() != before {
		t.Errorf("the object became %v", o)
	}
}
