// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

// actor is incarnation n of node n's store, or, from 100 on, of a later life of it.
func actor(n int) vclock.Actor {
	a, err := vclock.NewActor(uint16(n%100), uint64(n+1))
	if err != nil {
		panic(err)
	}
	return a
}

func dot(n int, counter uint64) vclock.Dot { return vclock.Dot{Actor: actor(n), Counter: counter} }

// value is a sealed version whose value tells its dot.
func value(d vclock.Dot) Version {
	return Version{Dot: d, Kind: KindValue, Value: []byte("value of " + d.String())}.Sealed()
}

func text(d vclock.Dot, s string) Version {
	return Version{Dot: d, Kind: KindValue, Value: []byte(s)}.Sealed()
}

func tombstone(d vclock.Dot) Version { return Version{Dot: d, Kind: KindTombstone}.Sealed() }

// put is Object.Put where nothing speaks against it.
func put(t rapid.TB, o Object, v Version, seen vclock.Context) Object {
	t.Helper()
	out, err := o.Put(v, seen)
	if err != nil {
		t.Fatalf("put of %s with %s into %s: %v", v.Dot, seen, show(o), err)
	}
	checkInvariants(t, out)
	return out
}

// mergeAll merges in the order given.
func mergeAll(objects ...Object) Object {
	var out Object
	for _, o := range objects {
		out = Merge(out, o)
	}
	return out
}

func dotsOf(o Object) []vclock.Dot {
	var dots []vclock.Dot
	for _, v := range o.Versions {
		dots = append(dots, v.Dot)
	}
	return dots
}

func show(o Object) string {
	return fmt.Sprintf("{context %s, versions %v, fence %d}", o.Context, dotsOf(o), o.Fence)
}

// checkDots expects exactly these versions, in order of their dots.
func checkDots(t rapid.TB, what string, o Object, want ...vclock.Dot) {
	t.Helper()
	slices.SortFunc(want, vclock.Dot.Compare)
	if got := dotsOf(o); !slices.Equal(got, want) {
		t.Fatalf("%s: versions are %v, want %v; object is %s", what, got, want, show(o))
	}
}

// checkSame expects two objects to be the same, values included.
func checkSame(t rapid.TB, what string, got, want Object) {
	t.Helper()
	if !same(got, want) {
		t.Fatalf("%s (-want +got):\n%s", what, cmp.Diff(want, got, cmpopts.EquateEmpty()))
	}
}

// same compares all that objects hold. It is what cmp.Equal says, and many times faster.
func same(a, b Object) bool {
	return a.Fence == b.Fence && a.Context.Equal(b.Context) &&
		slices.EqualFunc(a.Versions, b.Versions, sameVersion)
}

func sameVersion(v, w Version) bool {
	return v.Dot == w.Dot && v.Kind == w.Kind && bytes.Equal(v.Value, w.Value) &&
		v.HasValue() == w.HasValue() && v.Size == w.Size && v.ExpiresAt == w.ExpiresAt &&
		v.Fence == w.Fence && v.Stamp == w.Stamp && v.Request == w.Request &&
		v.Checksum == w.Checksum
}

// checkInvariants checks I1 to I3.
func checkInvariants(t rapid.TB, o Object) {
	t.Helper()
	for i, v := range o.Versions {
		switch {
		case !o.Context.Contains(v.Dot):
			t.Fatalf("I1: the context does not hold %s: %s", v.Dot, show(o))
		case i > 0 && o.Versions[i-1].Dot.Compare(v.Dot) >= 0:
			t.Fatalf("I2: %s is out of order: %s", v.Dot, show(o))
		case v.Fence != o.Fence:
			t.Fatalf("I3: %s has fence %d: %s", v.Dot, v.Fence, show(o))
		}
	}
}

// clone copies all that an object holds, for comparing it later.
func clone(o Object) Object {
	o.Versions = slices.Clone(o.Versions)
	for i := range o.Versions {
		o.Versions[i].Value = slices.Clone(o.Versions[i].Value)
	}
	return o
}

// The universe of drawn objects: dots of few actors, so that draws meet.
const (
	drawnActors   = 3
	drawnCounters = 5
)

func drawDot(t *rapid.T, label string) vclock.Dot {
	n := rapid.IntRange(0, drawnActors*drawnCounters-1).Draw(t, label)
	return dot(1+n/drawnCounters, uint64(1+n%drawnCounters))
}

// fenceOf is the fence that the write of a dot had. It is part of the write: one dot,
// one fence.
func fenceOf(d vclock.Dot) Fence { return Fence(max(d.Counter, 3) - 3) }

// drawVersion is the version that the drawn dot names, wherever it is drawn: its
// content follows from the dot, but for two things that may differ between copies.
// The value may be missing, and, where forks are drawn, the dot may have been issued
// twice.
func drawVersion(t *rapid.T, d vclock.Dot, forks bool) Version {
	v := Version{
		Dot: d, Kind: KindValue, Value: []byte(d.String()), Fence: fenceOf(d),
		Stamp: Stamp(d.Counter), ExpiresAt: int64(d.Counter % 2),
	}
	if d.Counter != 3 { // two actors and three counters share two requests
		v.Request[0] = byte(1 + d.Counter%2)
	}
	if d.Counter == 2 {
		v.Kind, v.Value = KindTombstone, nil
	}
	if forks && rapid.IntRange(0, 3).Draw(t, "fork") == 0 {
		v.Stamp += 100
	}
	v = v.Sealed()
	if rapid.Bool().Draw(t, "bare") {
		v = v.withoutValue()
	}
	return v
}

// drawObject is any object that keeps I1 to I3: its context also holds dots whose
// versions it does not have, because they were overwritten, fenced off, or expired.
func drawObject(t *rapid.T, forks bool) Object {
	var o Object
	if rapid.IntRange(0, 2).Draw(t, "fenced") == 0 {
		o.Fence = Fence(rapid.IntRange(1, 2).Draw(t, "fence"))
	}
	for range rapid.IntRange(0, 7).Draw(t, "dots") {
		d := drawDot(t, "dot")
		if rapid.IntRange(0, 3).Draw(t, "fold") == 0 {
			o.Context = o.Context.Fold(d)
		}
		o.Context = o.Context.Add(d)
		if _, there := o.Find(d); there || fenceOf(d) != o.Fence ||
			rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
			continue
		}
		o.Versions = append(o.Versions, drawVersion(t, d, forks))
		slices.SortFunc(o.Versions, func(v, w Version) int { return v.Dot.Compare(w.Dot) })
	}
	return o
}

// drawRelated is an object, and often one that came out of it, or shares copies.
func drawRelated(t *rapid.T, a Object) Object {
	b := drawObject(t, true)
	if rapid.Bool().Draw(t, "related") {
		b = Merge(a, b)
	}
	if len(b.Versions) > 0 && rapid.IntRange(0, 2).Draw(t, "drop") == 0 {
		i := rapid.IntRange(0, len(b.Versions)-1).Draw(t, "dropped")
		b.Versions = slices.Delete(slices.Clone(b.Versions), i, i+1)
	}
	return b
}
