// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestContextsAreExactlyTheSetsThatTheirOperationsDescribe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := drawPair(t)
		checkSame(t, "program", c, s)
		if c.IsEmpty() != (len(s) == 0) {
			t.Fatalf("%s is empty: %t", c, c.IsEmpty())
		}
		vector, dots := s.form()
		if c.Entries() != len(vector)+len(dots) {
			t.Fatalf("%s has %d entries", c, c.Entries())
		}
		for a := range Actor(universeActors + 2) {
			if c.Max(a) != s.max(a) {
				t.Fatalf("%s: max of %s is %d, want %d", c, a, c.Max(a), s.max(a))
			}
		}
	})
}

func TestAddPutsInOneDotAndFoldAllBeforeIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := drawPair(t)
		d := drawDot(t, "new")
		checkSame(t, "add", c.Add(d), s.union(setOf(d)))
		checkSame(t, "fold", c.Fold(d), s.union(upTo(d)))
	})
}

func TestJoinIsSetUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, as := drawPair(t)
		b, bs := drawPair(t)
		c, cs := drawPair(t)
		checkSame(t, "a with b", a.Join(b), as.union(bs))
		checkSame(t, "b with a", b.Join(a), as.union(bs))
		checkSame(t, "a with a", a.Join(a), as)
		checkSame(t, "(ab)c", a.Join(b).Join(c), as.union(bs, cs))
		checkSame(t, "a(bc)", a.Join(b.Join(c)), as.union(bs, cs))
		if got := a.Join(b).Covers(a); !got {
			t.Fatalf("%s with %s does not cover the first", a, b)
		}
	})
}

func TestCoversIsTheSubsetRelationAndEqualItsEquivalence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, as := drawPair(t)
		b, bs := drawPair(t)
		if rapid.Bool().Draw(t, "related") {
			b, bs = b.Join(a), bs.union(as)
		}
		if a.Covers(b) != as.holds(bs) || b.Covers(a) != bs.holds(as) {
			t.Fatalf("%s covers %s: %t, and back: %t", a, b, a.Covers(b), b.Covers(a))
		}
		equal := as.holds(bs) && bs.holds(as)
		if a.Equal(b) != equal || b.Equal(a) != equal {
			t.Fatalf("%s equals %s: %t, want %t", a, b, a.Equal(b), equal)
		}
		if same := bytes.Equal(a.Append(nil), b.Append(nil)); same != equal {
			t.Fatalf("%s and %s: same bytes %t, same sets %t", a, b, same, equal)
		}
	})
}

func TestOperationsLeaveTheirOperandsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, as := drawPair(t)
		b, bs := drawPair(t)
		d := drawDot(t, "new")
		results := []Context{a.Join(b), b.Join(a), a.Add(d), a.Fold(d), b.Add(d), b.Fold(d)}
		sets := []dotSet{as.union(bs), as.union(bs), as.union(setOf(d)), as.union(upTo(d)),
			bs.union(setOf(d)), bs.union(upTo(d))}
		// Results may share memory, so what grows out of one must not show in another.
		for _, r := range results {
			e := drawDot(t, "later")
			r.Add(e).Join(b).Fold(d)
			r.Join(a).Add(d)
		}
		checkSame(t, "first operand", a, as)
		checkSame(t, "second operand", b, bs)
		for i := range results {
			checkSame(t, "result", results[i], sets[i])
		}
	})
}

func TestConstructorsKeepTheCallersListsAsTheyWere(t *testing.T) {
	given := []Dot{{2, 3}, {1, 9}, {2, 3}, {1, 1}, {1, 0}}
	constructors := map[string]func(...Dot) Context{"ContextOf": ContextOf, "VectorOf": VectorOf}
	for name, build := range constructors {
		dots := slices.Clone(given)
		c := build(dots...)
		if !slices.Equal(dots, given) {
			t.Errorf("%s sorted the caller's list: %v", name, dots)
		}
		before := c.String()
		for i := range dots {
			dots[i] = Dot{7, 7}
		}
		if c.String() != before {
			t.Errorf("%s keeps the caller's list: %s became %s", name, before, c)
		}
	}
}

func TestConstructorsBringAnyListIntoCanonicalForm(t *testing.T) {
	for _, tc := range []struct {
		name string
		got  Context
		want string
	}{
		{"nothing", ContextOf(), "{}"},
		{"no entries", VectorOf(), "{}"},
		{"counters of zero are no dots", ContextOf(Dot{1, 0}, Dot{}), "{}"},
		{"entries of zero cover nothing", VectorOf(Dot{1, 0}, Dot{2, 1}), "{0.000000000002:1..1}"},
		{"first dots become entries", ContextOf(Dot{1, 2}, Dot{1, 1}), "{0.000000000001:1..2}"},
		{"gaps stay", ContextOf(Dot{1, 1}, Dot{1, 3}, Dot{1, 4}),
			"{0.000000000001:1..1 +0.000000000001:3 +0.000000000001:4}"},
		{"repeats vanish", ContextOf(Dot{1, 3}, Dot{1, 3}), "{+0.000000000001:3}"},
		{"the highest entry counts", VectorOf(Dot{1, 2}, Dot{1, 9}, Dot{1, 4}),
			"{0.000000000001:1..9}"},
		{"a filled gap joins both sides", ContextOf(Dot{1, 1}, Dot{1, 3}, Dot{2, 2}).Add(Dot{1, 2}),
			"{0.000000000001:1..3 +0.000000000002:2}"},
		{"several actors", VectorOf(Dot{1, 2}, Dot{3, 1}).Add(Dot{2, 5}),
			"{0.000000000001:1..2 0.000000000003:1..1 +0.000000000002:5}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.got.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestNothingIsNoMemberOfAnySet(t *testing.T) {
	for _, c := range []Context{{}, VectorOf(Dot{1, 4}), ContextOf(Dot{1, 4})} {
		for _, d := range []Dot{{}, {1, 0}, {2, 0}} {
			if c.Contains(d) {
				t.Errorf("%s contains %s, which names no write", c, d)
			}
			if !c.Add(d).Equal(c) || !c.Fold(d).Equal(c) {
				t.Errorf("%s grew by %s, which names no write", c, d)
			}
		}
	}
}

func TestTheHighestCounterThereIsDoesNotWrapAround(t *testing.T) {
	top := Dot{1, math.MaxUint64}
	full := VectorOf(top)
	for _, tc := range []struct {
		name string
		got  Context
		want Context
	}{
		{"covered dots vanish", full.Join(ContextOf(Dot{1, 5}, Dot{2, 2})),
			full.Add(Dot{2, 2})},
		{"the top dot is covered", full.Join(ContextOf(top, Dot{2, 2})),
			full.Add(Dot{2, 2})},
		{"the top dot extends its entry", VectorOf(Dot{1, math.MaxUint64 - 1}).Add(top), full},
		{"the top dot alone", ContextOf(top).Join(ContextOf(top)), ContextOf(top)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !tc.got.Equal(tc.want) {
				t.Errorf("got %s, want %s", tc.got, tc.want)
			}
		})
	}
	if ContextOf(top).Contains(Dot{1, 1}) || !full.Contains(Dot{1, 1}) {
		t.Error("a detached dot stands for itself, an entry for all below")
	}
}

func TestLargeVectorsAreSearchedAsSmallOnesAre(t *testing.T) {
	for _, entries := range []int{1, 7, 8, 9, 10, 64} {
		var all []Dot
		for i := range entries {
			all = append(all, Dot{Actor: Actor(10 * (i + 1)), Counter: uint64(i + 1)})
		}
		c := VectorOf(all...)
		for _, e := range all {
			below, above := Dot{e.Actor - 1, 1}, Dot{e.Actor + 1, 1}
			beyond := Dot{e.Actor, e.Counter + 1}
			if !c.Contains(e) || c.Contains(beyond) || c.Contains(below) || c.Contains(above) {
				t.Errorf("%d entries: wrong around %s", entries, e)
			}
			if c.Max(e.Actor) != e.Counter || c.Max(e.Actor+1) != 0 {
				t.Errorf("%d entries: wrong max at %s", entries, e)
			}
		}
	}
}

func TestIteratorsStopWhereTheCallerStops(t *testing.T) {
	c := VectorOf(Dot{1, 1}, Dot{2, 1}).Join(ContextOf(Dot{1, 5}, Dot{2, 5}))
	for name, each := range map[string]func(func(Dot) bool){"Vector": c.Vector, "Dots": c.Dots} {
		calls := 0
		each(func(Dot) bool { calls++; return false })
		if calls != 1 {
			t.Errorf("%s went on after false: %d calls", name, calls)
		}
	}
}
