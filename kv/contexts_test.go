// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/dyno-kv/dyno/vclock"
)

// The schedules of ARCHITECTURE 5, and of TRAPS S4, K2 and K3, by name.

// x and y are blind writes at one owner. The writer of x has read neither, so its
// context must not cover y, or its next write would drop it.
func TestTheWriterOfABlindWriteDoesNotOverwriteTheBlindWriteBeforeIt(t *testing.T) {
	o := put(t, Object{}, text(dot(1, 4), "y"), nobody)
	o = put(t, o, text(dot(1, 7), "x"), nobody)
	c := o.WriterContext(nobody, dot(1, 7))
	if !c.Equal(vclock.ContextOf(dot(1, 7))) {
		t.Fatalf("the writer of x is handed %s", c)
	}
	next := put(t, o, text(dot(1, 9), "x again"), c)
	checkDots(t, "its next write", next, dot(1, 4), dot(1, 9))
	// Also through another owner, which has heard of neither.
	elsewhere := put(t, Object{}, text(dot(2, 1), "x again"), c)
	checkDots(t, "at another owner", Merge(elsewhere, o), dot(1, 4), dot(2, 1))

	overclaiming := put(t, o, text(dot(1, 9), "x again"), o.Context)
	checkDots(t, "with the object's context y would be gone", overclaiming, dot(1, 9))
}

func TestAWriterThatIsAloneIsHandedAllThatTheObjectHasSeen(t *testing.T) {
	o := put(t, Object{}, value(dot(1, 1)), nobody)
	o = put(t, o, value(dot(2, 1)), o.Context)
	seen := o.Context
	o = put(t, o, value(dot(1, 6)), seen)
	c := o.WriterContext(seen, dot(1, 6))
	if !c.Equal(o.Context) || c.Entries() != 2 {
		t.Errorf("got %s, want %s", c, o.Context)
	}
	for n := range uint64(50) { // a writer that goes on has a context that does not grow
		d := dot(1, 10+2*n)
		o = put(t, o, value(d), c)
		if c = o.WriterContext(c, d); c.Entries() != 2 {
			t.Fatalf("after %d writes: %s", n, c)
		}
	}
}

func TestAnOwnerFoldsOnlyInItsOwnObject(t *testing.T) {
	one := put(t, Object{}, value(dot(1, 3)), nobody)
	if !one.Context.Equal(vclock.VectorOf(dot(1, 3))) {
		t.Fatalf("the owner's own entry is not folded: %s", one.Context)
	}
	// Another owner puts with a context of a detached dot of the first.
	seen := vclock.ContextOf(dot(1, 9))
	other := put(t, Object{}, value(dot(2, 2)), seen)
	if want := vclock.VectorOf(dot(2, 2)).Join(seen); !other.Context.Equal(want) {
		t.Fatalf("it folded a foreign dot: %s, want %s", other.Context, want)
	}
	checkDots(t, "what the first wrote in between stays", Merge(other, one), dot(1, 3), dot(2, 2))
	for _, d := range []vclock.Dot{dot(1, 1), dot(1, 8)} {
		if other.Context.Contains(d) {
			t.Errorf("%s claims %s", other.Context, d)
		}
	}
}

func TestADotOfAnotherKeyMakesNoDifferenceToThisOne(t *testing.T) {
	// The store's counter runs on over its other keys.
	o := put(t, Object{}, value(dot(1, 3)), nobody)
	first := o.Context
	o = put(t, o, value(dot(1, 1_000_000)), nobody)
	checkDots(t, "a gap overwrites nothing", o, dot(1, 3), dot(1, 1_000_000))
	o = put(t, o, value(dot(1, 2_000_000)), first)
	checkDots(t, "a context covers what was read", o, dot(1, 1_000_000), dot(1, 2_000_000))
	if n := o.Context.Entries(); n != 1 {
		t.Errorf("gaps cost entries: %s", o.Context)
	}
}

// The write is on one replica only, and its writer was told that its outcome is
// unknown. It may surface at any time, and its retry is the same write.
func TestS4AWriteOfUnknownOutcomeMaySurfaceAndItsRetryIsTheSameWrite(t *testing.T) {
	base := put(t, Object{}, value(dot(1, 1)), nobody)
	partial := put(t, base, asked(dot(1, 2), 5), base.Context)
	retried := put(t, base, asked(dot(2, 1), 5), base.Context)
	next := put(t, retried, value(dot(2, 3)), retried.Context)

	checkDots(t, "surfaces before the next write", Merge(retried, partial).Collapse(), dot(1, 2))
	// After it, the twin is one write of unknown outcome more: a sibling, never a loss.
	checkDots(t, "surfaces after it", Merge(next, partial).Collapse(), dot(1, 2), dot(2, 3))
}

func expiring(d vclock.Dot, at int64) Version {
	v := value(d)
	v.ExpiresAt = at
	return v.Sealed()
}

func TestK2ExpiryIsAbsoluteAndPartOfTheContent(t *testing.T) {
	o := put(t, Object{}, expiring(dot(1, 1), 1000), nobody)
	other := put(t, Object{}, expiring(dot(1, 1), 1001), nobody)
	if o.Digest() == other.Digest() || !Collides(o, other) {
		t.Error("two expiries of one write look the same")
	}
	// Copies move at any time, and nothing of it moves the end.
	m := Merge(Merge(Object{}, o), o.WithoutValues())
	if m.Versions[0].ExpiresAt != 1000 {
		t.Errorf("expires at %d", m.Versions[0].ExpiresAt)
	}
	if len(m.Live(999)) != 1 || len(m.Live(1000)) != 0 {
		t.Error("the reader's clock does not decide")
	}
}

func TestK2MergesKeepWhatHasExpiredUntilATombstoneComes(t *testing.T) {
	o := put(t, Object{}, expiring(dot(1, 1), 10), nobody)
	checkDots(t, "expired and kept", Merge(o, o), dot(1, 1))
	swept := put(t, o, tombstone(dot(1, 2)), vclock.ContextOf(dot(1, 1)))
	checkDots(t, "swept", Merge(o, swept), dot(1, 2))
}

// The context of what has expired does not go with it: an old copy would come back.
func TestTrapK3AnExpiredSiblingStillCountsInTheContext(t *testing.T) {
	o := put(t, Object{}, expiring(dot(1, 1), 10), nobody)
	stale := o
	o = put(t, o, value(dot(1, 2)), nobody)
	if len(o.Live(50)) != 1 {
		t.Fatal("the expired sibling is shown")
	}
	after := put(t, o, value(dot(1, 3)), o.Context)
	checkDots(t, "a stale copy does not come back", Merge(after, stale), dot(1, 3))

	shrunk := Object{Context: vclock.ContextOf(dot(1, 2)), Versions: o.Live(50)}
	checkDots(t, "with a smaller context it would", Merge(shrunk, stale), dot(1, 1), dot(1, 2))
}

func TestTombstonesAndValuesAreOrdinaryVersionsOfOneOrder(t *testing.T) {
	o := put(t, Object{}, tombstone(dot(3, 1)), nobody)
	o = put(t, o, value(dot(2, 1)), nobody)
	o = put(t, o, value(dot(1, 9)), nobody)
	checkDots(t, "in order of dots", o, dot(1, 9), dot(2, 1), dot(3, 1))
	if live := o.Live(0); len(live) != 2 || live[0].Dot != dot(1, 9) || live[1].Dot != dot(2, 1) {
		t.Errorf("shown are %v", live)
	}
}
