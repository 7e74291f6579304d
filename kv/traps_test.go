// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/vclock"
)

// The traps of docs/traps.md, section 1, as far as they can be played without stores
// and a network. Where a rule is kept outside of this package, such as a new
// incarnation after a loss, the test also plays the schedule without it, and shows the
// loss that the rule prevents.

// nobody is the context of a blind write.
var nobody = vclock.Context{}

func TestC1DoomstoneDoesNotDominateANewIncarnation(t *testing.T) {
	a := put(t, Object{}, value(dot(1, 1)), nobody)
	doomstone := put(t, a, tombstone(dot(1, 2)), a.Context) // a fallback still has it

	// Everybody else has purged the key, and it is written again.
	fresh := put(t, Object{}, value(dot(101, 1)), nobody)
	for _, m := range []Object{Merge(fresh, doomstone), Merge(doomstone, fresh)} {
		checkDots(t, "a new incarnation", m, dot(1, 2), dot(101, 1))
		if live := m.Live(0); len(live) != 1 || live[0].Dot != dot(101, 1) {
			t.Fatalf("a reader is shown %v", live)
		}
	}
	going := put(t, Object{}, value(dot(1, 58)), nobody)
	checkDots(t, "one counter for all keys of a store", Merge(going, doomstone), dot(1, 58))

	restarted := put(t, Object{}, value(dot(1, 1)), nobody)
	if got := Merge(restarted, doomstone).Live(0); len(got) != 0 {
		t.Errorf("a counter that restarts is harmless after all: %v", got)
	}
}

func TestC2AWriteOverAnUnreadableRecordNeedsANewIncarnation(t *testing.T) {
	peers := put(t, Object{}, value(dot(1, 3)), nobody)
	for _, tc := range []struct {
		name string
		d    vclock.Dot
		want []vclock.Dot
	}{
		{"new incarnation", dot(101, 1), []vclock.Dot{dot(1, 3), dot(101, 1)}},
		{"the counter restarts: the write is lost", dot(1, 1), []vclock.Dot{dot(1, 3)}},
		{"the counter goes on: the peers' value is lost", dot(1, 4), []vclock.Dot{dot(1, 4)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			taken := put(t, Object{}, value(tc.d), nobody) // as if there were no record
			checkDots(t, "repaired", Merge(peers, taken), tc.want...)
		})
	}
}

func TestC3OwnDotsFromTheFutureShowThatTheStoreForgot(t *testing.T) {
	arriving := put(t, Object{}, value(dot(1, 7)), nobody)
	const highWater = 5
	if got := arriving.Context.Max(actor(1)); got <= highWater {
		t.Fatalf("the highest own dot is %d, the loss can not be seen", got)
	}
	// And where nobody looked: the next write on top of it is refused, for it might
	// repeat a dot.
	for _, next := range []uint64{highWater + 1, 7} {
		if _, err := arriving.Put(value(dot(1, next)), nobody); !errors.Is(err, ErrDotReused) {
			t.Errorf("counter %d: %v", next, err)
		}
	}
	checkDots(t, "a new incarnation", put(t, arriving, value(dot(101, 1)), nobody),
		dot(1, 7), dot(101, 1))
}

func TestC4ARestoredStoreMustNotIssueItsDotsAgain(t *testing.T) {
	backup := put(t, Object{}, value(dot(1, 57)), nobody)
	first := put(t, backup, text(dot(1, 58), "x"), backup.Context)
	again := put(t, backup, text(dot(1, 58), "y"), backup.Context)
	if !Collides(first, again) || first.Digest() == again.Digest() {
		t.Error("one dot with two contents can not be seen")
	}
	checkSame(t, "replicas at least agree on one", Merge(first, again), Merge(again, first))
	checkDots(t, "and one is lost", Merge(first, again), dot(1, 58))

	renewed := put(t, backup, text(dot(101, 1), "y"), backup.Context)
	if Collides(first, renewed) {
		t.Error("two dots collide")
	}
	checkDots(t, "a new incarnation", Merge(first, renewed), dot(1, 58), dot(101, 1))
}

func TestC5ACounterThatWasKeptWithoutItsDataOverclaims(t *testing.T) {
	peers := put(t, Object{}, value(dot(1, 57)), nobody)
	renewed := put(t, Object{}, value(dot(101, 1)), nobody)
	checkDots(t, "a new incarnation", Merge(peers, renewed), dot(1, 57), dot(101, 1))

	kept := put(t, Object{}, value(dot(1, 10_001)), nobody)
	checkDots(t, "the old actor drops what nobody overwrote", Merge(peers, kept), dot(1, 10_001))
}

func TestC6DotsLostOutOfTheMiddleAreAmnesiaToo(t *testing.T) {
	first := put(t, Object{}, value(dot(1, 58)), nobody)
	peers := put(t, first, value(dot(1, 59)), nobody)
	peers = put(t, peers, value(dot(1, 60)), nobody)
	// Power fails: of three siblings the store has the first and the last.
	torn := Object{Context: vclock.ContextOf(dot(1, 58), dot(1, 60))}
	torn.Versions = []Version{peers.Versions[0], peers.Versions[2]}
	checkInvariants(t, torn)

	renewed := put(t, torn, value(dot(101, 1)), nobody)
	checkDots(t, "a new incarnation", Merge(peers, renewed),
		dot(1, 58), dot(1, 59), dot(1, 60), dot(101, 1))
	kept := put(t, torn, value(dot(1, 61)), nobody)
	checkDots(t, "the old actor drops the lost one everywhere", Merge(peers, kept),
		dot(1, 58), dot(1, 60), dot(1, 61))
}

func TestC7AMiddleSiblingCanGoWithoutShiftingTheOthers(t *testing.T) {
	full := put(t, Object{}, value(dot(1, 1)), nobody)
	full = put(t, full, value(dot(1, 2)), nobody)
	full = put(t, full, value(dot(1, 3)), nobody)
	without := full
	without.Versions = []Version{full.Versions[0], full.Versions[2]}
	for _, m := range []Object{Merge(full, without), Merge(without, full)} {
		checkDots(t, "merged", m, dot(1, 1), dot(1, 3))
		for _, v := range m.Versions {
			if diff := cmp.Diff(value(v.Dot), v); diff != "" {
				t.Errorf("%s has another's content:\n%s", v.Dot, diff)
			}
		}
	}
}

func TestC8AMadeUpContextCanNotClaimTheFutureOfItsOwner(t *testing.T) {
	o := put(t, Object{}, value(dot(1, 3)), nobody)
	for name, made := range map[string]vclock.Context{
		"an entry":      vclock.VectorOf(dot(1, 999)),
		"a dot":         vclock.ContextOf(dot(1, 999)),
		"all there are": vclock.VectorOf(dot(1, math.MaxUint64)),
		"the next":      vclock.ContextOf(dot(1, 4)),
	} {
		if got, err := o.Put(value(dot(1, 4)), made); !errors.Is(err, ErrDotReused) {
			t.Errorf("%s: %s, %v", name, show(got), err)
		}
	}
	// Foreign and ended actors are not judged, and cost nobody a version it did not read.
	foreign := vclock.VectorOf(dot(7, 999), dot(101, 5))
	checkDots(t, "foreign claims", put(t, o, value(dot(1, 4)), foreign), dot(1, 3), dot(1, 4))
}

func TestC8ContextsOfSeveralReadsMayBeMerged(t *testing.T) {
	left := put(t, Object{}, value(dot(1, 1)), nobody)
	right := put(t, Object{}, value(dot(2, 1)), nobody)
	unread := put(t, right, value(dot(2, 2)), nobody)
	o := put(t, Merge(left, unread), value(dot(3, 1)), left.Context.Join(right.Context))
	checkDots(t, "both reads are overwritten", o, dot(2, 2), dot(3, 1))
}

func TestC9TwoClientsThatAlternateLeaveTwoSiblingsAtMost(t *testing.T) {
	var o Object
	var contexts [2]vclock.Context
	for i := range 10_000 {
		client := i % 2
		d := dot(1+i%3, uint64(i+1)) // any of three owners coordinates
		o = put(t, o, value(d), contexts[client])
		contexts[client] = o.WriterContext(contexts[client], d)
		if len(o.Versions) > 2 {
			t.Fatalf("write %d leaves %s", i, show(o))
		}
		if i%7 == 0 {
			contexts[client] = o.Context // reads now and then
		}
		if n := o.Context.Entries() + contexts[client].Entries(); n > 20 && i%7 == 0 {
			t.Fatalf("write %d: contexts grow to %d entries", i, n)
		}
	}
}

func TestC9ABlindWriterMeetsTheLimitAndMergesDoNot(t *testing.T) {
	var o Object
	var err error
	for n := uint64(1); err == nil; n++ {
		var next Object
		if next, err = o.Put(value(dot(1, n)), nobody); err == nil {
			o = next
		}
	}
	if !errors.Is(err, ErrTooManySiblings) || len(o.Versions) != MaxVersions {
		t.Fatalf("%d versions, then %v", len(o.Versions), err)
	}
	elsewhere := put(t, Object{}, value(dot(2, 1)), nobody)
	if got := len(Merge(o, elsewhere).Versions); got != MaxVersions+1 {
		t.Errorf("a merge left %d versions", got)
	}
	checkDots(t, "who has read the key gets it back",
		put(t, o, value(dot(1, 500)), o.Context), dot(1, 500))
}

func TestC10ARetryThroughAnotherCoordinatorLeavesOneVersion(t *testing.T) {
	base := put(t, Object{}, value(dot(1, 1)), nobody)
	first := put(t, base, asked(dot(2, 5), 9), base.Context)
	again := put(t, base, asked(dot(1, 6), 9), base.Context)
	for _, m := range []Object{Merge(first, again), Merge(again, first)} {
		m = m.Collapse()
		checkDots(t, "both arrived", m, dot(1, 6))
		if !m.Context.Contains(dot(2, 5)) {
			t.Fatalf("the context lost the twin: %s", show(m))
		}
		checkSame(t, "the twin comes late", Merge(m, first).Collapse(), m)
		checkDots(t, "the client goes on", put(t, m, value(dot(3, 1)), m.Context), dot(3, 1))
	}
	other := put(t, base, asked(dot(3, 1), 8), base.Context)
	checkDots(t, "another request is another write", Merge(first, other).Collapse(),
		dot(2, 5), dot(3, 1))
}

func TestC10AResultThatIsForwardedTwiceIsTheSameWrite(t *testing.T) {
	base := put(t, Object{}, value(dot(1, 1)), nobody)
	result := put(t, base, value(dot(1, 2)), base.Context)
	m := Merge(Merge(Merge(base, result), base), result)
	checkSame(t, "late, again and with what was before", m, result)
}

func TestC11ContextsAreNeverPruned(t *testing.T) {
	var o Object
	var copies []Object
	for life := range 200 {
		o = put(t, o, value(dot(100*(life+1)+1, 3)), o.Context)
		copies = append(copies, o)
	}
	if n := o.Context.Entries(); n != 200 {
		t.Fatalf("the context of 200 incarnations has %d entries", n)
	}
	for life, stale := range copies {
		if m := Merge(stale, o); !same(m, o) {
			t.Fatalf("what incarnation %d wrote came back: %s", life, show(m))
		}
	}
}

func TestC12TheWinnerByStampDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	var arrivals []Object
	for i, s := range []Stamp{StampAt(5), StampAt(9), StampAt(9), StampAt(7)} {
		v := value(dot(i+1, 1))
		v.Stamp = s
		arrivals = append(arrivals, put(t, Object{}, v.Sealed(), nobody))
	}
	winner := func(o Object) Version {
		var last Version
		for _, v := range o.Versions { // in order of dots, so the higher dot wins a tie
			if v.Stamp >= last.Stamp {
				last = v
			}
		}
		return last
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}} {
		var o Object
		for _, i := range order {
			o = Merge(o, arrivals[i])
		}
		if got := winner(o); got.Dot != dot(3, 1) {
			t.Errorf("in order %v the winner is %s", order, got.Dot)
		}
		// A write without context, minted over what is here, goes above all of it.
		if next := o.LatestStamp().Next(1); next <= StampAt(9) {
			t.Errorf("the next write has stamp %d", next)
		}
	}
}

func TestC13AKeyThatIsCreatedAgainIsNoSiblingOfItsTombstone(t *testing.T) {
	o := put(t, Object{}, value(dot(1, 1)), nobody)
	o = put(t, o, tombstone(dot(1, 2)), o.Context)
	if len(o.Live(0)) != 0 {
		t.Fatal("a deleted key is shown")
	}
	checkDots(t, "with the context of not-found", put(t, o, value(dot(2, 1)), o.Context), dot(2, 1))
}

func TestC13AValueBesideATombstoneIsShownAndBothStay(t *testing.T) {
	base := put(t, Object{}, value(dot(1, 1)), nobody)
	deleted := put(t, base, tombstone(dot(1, 2)), base.Context)
	changed := put(t, base, value(dot(2, 1)), base.Context)
	m := Merge(deleted, changed)
	checkDots(t, "both", m, dot(1, 2), dot(2, 1))
	if live := m.Live(0); len(live) != 1 || live[0].Dot != dot(2, 1) {
		t.Errorf("a reader is shown %v", live)
	}
	gone := put(t, m, tombstone(dot(1, 3)), m.Context)
	checkSame(t, "nothing comes back", mergeAll(gone, changed, deleted, base), gone)
}

func TestC13ADeleteWithoutContextCarriesTheOneOfTheRead(t *testing.T) {
	owner := put(t, Object{}, value(dot(1, 1)), nobody)
	stale := put(t, Object{}, value(dot(2, 1)), nobody)
	read := Merge(owner, stale) // a quorum read before the tombstone
	deleted := put(t, owner, tombstone(dot(1, 2)), read.Context)
	checkDots(t, "what the read found stays gone", Merge(deleted, stale), dot(1, 2))

	blind := put(t, owner, tombstone(dot(1, 2)), nobody)
	if len(blind.Live(0)) != 1 {
		t.Error("a tombstone that nobody read for deletes after all")
	}
}

func TestC13ADeleteLeavesTheSiblingsThatItsClientDidNotRead(t *testing.T) {
	o := put(t, Object{}, value(dot(1, 1)), nobody)
	seen := o.Context
	o = put(t, o, value(dot(1, 2)), nobody)
	o = put(t, o, tombstone(dot(1, 3)), seen)
	checkDots(t, "the sibling stays", o, dot(1, 2), dot(1, 3))
	if live := o.Live(0); len(live) != 1 || live[0].Dot != dot(1, 2) {
		t.Errorf("a reader is shown %v", live)
	}
	if c := o.WriterContext(seen, dot(1, 3)); c.Contains(dot(1, 2)) {
		t.Errorf("the deleter's context %s covers what it did not read", c)
	}
}

func TestC14AFallbackMustNotGoOnAfterItsHintsAreGone(t *testing.T) {
	const fallback, nextLife = 4, 104
	hint := put(t, Object{}, value(dot(fallback, 1)), nobody)
	delivered := Merge(Object{}, hint) // and the hint is deleted
	renewed := put(t, Object{}, value(dot(nextLife, 1)), nobody)
	checkDots(t, "a new incarnation", Merge(delivered, renewed),
		dot(fallback, 1), dot(nextLife, 1))

	resumed := put(t, Object{}, value(dot(fallback, 2)), nobody)
	checkDots(t, "the old one drops what it delivered", Merge(delivered, resumed), dot(fallback, 2))

	// While the hints are there it mints over the merge of all of them.
	both := put(t, hint, value(dot(fallback, 2)), nobody)
	checkDots(t, "over its hints", Merge(delivered, both), dot(fallback, 1), dot(fallback, 2))
}
