// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

func TestMergeIsCommutativeAssociativeAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawObject(t, true)
		b, c := drawRelated(t, a), drawRelated(t, a)
		checkSame(t, "ab = ba", Merge(a, b), Merge(b, a))
		checkSame(t, "(ab)c = a(bc)", Merge(Merge(a, b), c), Merge(a, Merge(b, c)))
		checkSame(t, "aa = a", Merge(a, a), a)
		checkSame(t, "a(ab) = ab", Merge(a, Merge(a, b)), Merge(a, b))
		checkSame(t, "zero is neutral", Merge(Object{}, a), a)
		checkSame(t, "zero is neutral on the right", Merge(a, Object{}), a)
		checkInvariants(t, Merge(a, b))
	})
}

// The second, dumb implementation: a version stays if whoever knows its dot still has
// it, and it has the highest fence.
func TestMergeKeepsWhatNeitherSideHasSeenOverwritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawObject(t, true)
		b := drawRelated(t, a)
		fence := max(a.Fence, b.Fence)
		var want []vclock.Dot
		for i, side := range []Object{a, b} {
			other := []Object{b, a}[i]
			for _, v := range side.Versions {
				_, twin := other.Find(v.Dot)
				unseen := !other.Context.Contains(v.Dot)
				if v.Fence == fence && (unseen || twin) && !slices.Contains(want, v.Dot) {
					want = append(want, v.Dot)
				}
			}
		}
		got := Merge(a, b)
		checkDots(t, "merge", got, want...)
		if !got.Context.Equal(a.Context.Join(b.Context)) || got.Fence != fence {
			t.Fatalf("%s with %s is %s", show(a), show(b), show(got))
		}
	})
}

func TestMergeTakesTheCopyThatHasItsValue(t *testing.T) {
	full := put(t, Object{}, value(dot(1, 1)), vclock.Context{})
	full = put(t, full, value(dot(1, 2)), vclock.Context{})
	bare := full.WithoutValues()
	half := full
	half.Versions = []Version{full.Versions[0], bare.Versions[1]}
	for _, pair := range [][2]Object{{full, bare}, {bare, full}, {half, full}, {full, half}} {
		checkSame(t, "merged", Merge(pair[0], pair[1]), full)
	}
	checkSame(t, "bare with bare", Merge(bare, bare), bare)
}

// Damage that no checksum shows: the choice is at least the same everywhere.
func TestMergeOfCopiesWithOneChecksumAndTwoValuesDoesNotDependOnTheirOrder(t *testing.T) {
	a := put(t, Object{}, text(dot(1, 1), "x"), vclock.Context{})
	b := clone(a)
	b.Versions[0].Value = []byte("y")
	checkSame(t, "either order", Merge(a, b), Merge(b, a))
	checkSame(t, "with the bare one between", Merge(Merge(a, b.WithoutValues()), b),
		Merge(b, Merge(a.WithoutValues(), a)))
}

func TestMergeLeavesItsOperandsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawObject(t, true)
		b := drawRelated(t, a)
		a0, b0 := clone(a), clone(b)
		ab := Merge(a, b)
		ab0 := clone(ab)
		d := dot(9, 99)
		v := value(d)
		v.Fence = 9
		put(t, ab, v.Sealed(), a.Context)
		put(t, a, v.Sealed(), b.Context)
		ab.Collapse()
		a.WithoutValues()
		Merge(ab, put(t, Object{}, value(d), vclock.Context{}))
		checkSame(t, "first operand", a, a0)
		checkSame(t, "second operand", b, b0)
		checkSame(t, "result", ab, ab0)
	})
}

// Values that are missing do not count: bare objects stand for the whole ones.
func TestDominatesIffMergingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawObject(t, true)
		b := drawRelated(t, a)
		ab := Merge(a, b)
		for _, pair := range [][2]Object{{a, b}, {b, a}, {a, a}, {ab, a}, {a, ab}} {
			o, old := pair[0], pair[1]
			unchanged := same(Merge(o, old).WithoutValues(), o.WithoutValues())
			if got := o.Dominates(old); got != unchanged {
				t.Fatalf("%s dominates %s: %t, but merged they are %s",
					show(o), show(old), got, show(Merge(o, old)))
			}
		}
	})
}

func TestOfTwoContentsOfOneDotOneDominates(t *testing.T) {
	a := put(t, Object{}, text(dot(1, 1), "x"), vclock.Context{})
	b := put(t, Object{}, text(dot(1, 1), "y"), vclock.Context{})
	m := Merge(a, b)
	if a.Dominates(b) == b.Dominates(a) || !m.Dominates(a) || !m.Dominates(b) {
		t.Errorf("dominate each other: %t, %t; merged: %t, %t",
			a.Dominates(b), b.Dominates(a), m.Dominates(a), m.Dominates(b))
	}
	gone := a
	gone.Versions = nil
	if a.Dominates(gone) || !gone.Dominates(a) {
		t.Error("what one side has seen overwritten does not dominate")
	}
	low := Object{Context: b.Context, Fence: 0}
	if low.Dominates(Object{Fence: 1}) || !(Object{Fence: 1}).Dominates(Object{}) {
		t.Error("a lower fence does not dominate")
	}
}

func TestTwoObjectsDominateEachOtherOnlyWhereTheyAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawObject(t, true)
		b := drawRelated(t, a)
		equal := same(a.WithoutValues(), b.WithoutValues())
		if both := a.Dominates(b) && b.Dominates(a); both != equal {
			t.Fatalf("%s and %s dominate each other: %t", show(a), show(b), both)
		}
		if digests := a.Digest() == b.Digest(); digests != equal {
			t.Fatalf("%s and %s have equal digests: %t", show(a), show(b), digests)
		}
	})
}

func TestAHigherFenceWinsAndItsContextRemembersTheLower(t *testing.T) {
	low := put(t, Object{}, value(dot(1, 1)), vclock.Context{})
	v := value(dot(2, 1))
	v.Fence = 3
	high := put(t, Object{}, v.Sealed(), vclock.Context{})
	for _, m := range []Object{Merge(low, high), Merge(high, low)} {
		checkDots(t, "merged", m, dot(2, 1))
		if m.Fence != 3 || !m.Context.Contains(dot(1, 1)) {
			t.Fatalf("got %s", show(m))
		}
		checkSame(t, "the lower comes again", Merge(m, low), m)
	}
	floor := Object{Fence: 3}
	for _, m := range []Object{Merge(low, floor), Merge(floor, low)} {
		checkDots(t, "a fence without a write", m)
		if m.Fence != 3 || !m.Context.Contains(dot(1, 1)) {
			t.Fatalf("got %s", show(m))
		}
	}
	checkSame(t, "a lower fence without a write", Merge(high, Object{Fence: 2}), high)
	checkSame(t, "a lower fence without a write, left", Merge(Object{Fence: 2}, high), high)
	checkSame(t, "an equal one", Merge(Object{Fence: 3}, high), high)
}

// A dot that was issued twice, under two fences: the copy that may stay must not lose
// its place to one that may not.
func TestACopyOfALowerFenceDoesNotTakeItsTwinAway(t *testing.T) {
	for stamp := range Stamp(16) { // so that either checksum is the higher one
		low := value(dot(1, 1))
		low.Stamp = stamp
		high := low
		high.Fence = 2
		a := put(t, Object{}, low.Sealed(), vclock.Context{})
		b := put(t, Object{}, high.Sealed(), vclock.Context{})
		checkSame(t, "low with high", Merge(a, b), b)
		checkSame(t, "high with low", Merge(b, a), b)
		if !b.Dominates(a) || a.Dominates(b) {
			t.Fatalf("stamp %d: fence 2 dominates fence 0: %t, the other way: %t",
				stamp, b.Dominates(a), a.Dominates(b))
		}
	}
}

func TestCollidesOnlyWhereOneDotHasTwoContents(t *testing.T) {
	a := put(t, Object{}, text(dot(1, 1), "x"), vclock.Context{})
	forked := put(t, Object{}, text(dot(1, 1), "y"), vclock.Context{})
	forked = put(t, forked, value(dot(2, 1)), vclock.Context{})
	other := put(t, Object{}, text(dot(1, 2), "y"), vclock.Context{})
	for _, tc := range []struct {
		name string
		b    Object
		want bool
	}{
		{"itself", a, false},
		{"itself without values", a.WithoutValues(), false},
		{"nothing", Object{}, false},
		{"another dot", other, false},
		{"the same dot with other content", forked, true},
		{"the same dot with other content, without values", forked.WithoutValues(), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if Collides(a, tc.b) != tc.want || Collides(tc.b, a) != tc.want {
				t.Errorf("got %t and %t", Collides(a, tc.b), Collides(tc.b, a))
			}
		})
	}
}
