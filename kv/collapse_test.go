// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

// asked is a write that a client marked with a request id.
func asked(d vclock.Dot, request byte) Version {
	v := value(d)
	v.Request[15] = request
	return v.Sealed()
}

func TestCollapseKeepsTheLowestDotOfEachRequestAndAllThatHasNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject(t, true)
		before := clone(o)
		got := o.Collapse()
		checkSame(t, "operand", o, before)
		var want []vclock.Dot
		for _, v := range o.Versions {
			lowest := !slices.ContainsFunc(o.Versions, func(w Version) bool {
				return w.Request == v.Request && w.Dot.Compare(v.Dot) < 0
			})
			if v.Request.IsZero() || lowest {
				want = append(want, v.Dot)
			}
		}
		checkDots(t, "collapsed", got, want...)
		if !got.Context.Equal(o.Context) || got.Fence != o.Fence {
			t.Fatalf("%s collapses to %s", show(o), show(got))
		}
		checkInvariants(t, got)
	})
}

func TestCollapseIsAStepUpwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject(t, true)
		up := o.Collapse()
		checkSame(t, "what it came from brings nothing new", Merge(o, up), up)
		checkSame(t, "nor from the other side", Merge(up, o), up)
		checkSame(t, "collapsed again", up.Collapse(), up)
		if !up.Dominates(o) {
			t.Fatalf("%s does not dominate %s", show(up), show(o))
		}
	})
}

// Replicas collapse when they like. They still agree once they have met.
func TestReplicasThatCollapseAtDifferentTimesConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := make([]Object, 3)
		for i := range states {
			states[i] = drawObject(t, false)
		}
		for range rapid.IntRange(0, 10).Draw(t, "steps") {
			i := rapid.IntRange(0, len(states)-1).Draw(t, "to")
			j := rapid.IntRange(0, len(states)-1).Draw(t, "from")
			states[i] = Merge(states[i], states[j])
			if rapid.Bool().Draw(t, "collapse") {
				states[i] = states[i].Collapse()
			}
		}
		one := mergeAll(states...).Collapse()
		slices.Reverse(states)
		checkSame(t, "met in either order", mergeAll(states...).Collapse(), one)
		for _, s := range states {
			checkSame(t, "what a replica knew comes late", Merge(one, s).Collapse(), one)
		}
	})
}

// Why Collapse is no part of Merge. P, Q hold twins; R has overwritten the lower one.
// Where the twins meet first, the higher goes with the lower and R's write stays alone;
// where R's write meets the lower first, the higher comes later and stays beside it.
func TestMergeWithCollapseInItWouldNotBeAssociative(t *testing.T) {
	collapsing := func(a, b Object) Object { return Merge(a, b).Collapse() }
	p := put(t, Object{}, asked(dot(1, 1), 7), vclock.Context{})
	q := put(t, Object{}, asked(dot(2, 1), 7), vclock.Context{})
	r := put(t, p, value(dot(3, 1)), p.Context)

	twinsFirst := collapsing(collapsing(p, q), r)
	writeFirst := collapsing(q, collapsing(p, r))
	checkDots(t, "twins first", twinsFirst, dot(3, 1))
	checkDots(t, "write first", writeFirst, dot(2, 1), dot(3, 1))

	// As a step of its own it does no harm: the two meet, and one of them was ahead.
	checkSame(t, "they meet", Merge(twinsFirst, writeFirst), twinsFirst)
	checkSame(t, "plain merges agree", Merge(Merge(p, q), r), Merge(q, Merge(p, r)))
}

func TestCollapseFindsEachTwinAmongThousandsOfVersions(t *testing.T) {
	o := blindObject(t, 20_000)
	if got := o.Collapse(); len(got.Versions) != len(o.Versions) {
		t.Fatalf("%d of %d versions stayed", len(got.Versions), len(o.Versions))
	}
	half := o
	half.Versions = slices.Clone(o.Versions)
	for i := range half.Versions {
		half.Versions[i].Request[0], half.Versions[i].Request[1] = byte(i/2), byte(i/2>>8)
	}
	if got := half.Collapse(); len(got.Versions) != len(o.Versions)/2 {
		t.Fatalf("%d of %d versions stayed", len(got.Versions), len(o.Versions))
	}
}

// blindObject has n versions, each with a request of its own: what merges, which know
// no limit, may leave.
func blindObject(t rapid.TB, n int) Object {
	t.Helper()
	var o Object
	for i := range n {
		v := Version{Dot: dot(1, uint64(i+1)), Kind: KindTombstone}
		v.Request[0], v.Request[1], v.Request[15] = byte(i), byte(i>>8), 1
		o.Versions = append(o.Versions, v)
	}
	o.Context = vclock.VectorOf(dot(1, uint64(n)))
	return o
}
