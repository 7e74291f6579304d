// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// The tests of this file are named for the entry of TRAPS whose schedule they play.

func TestS1StrictQuorumsTakeNoFallbacks(t *testing.T) {
	// The coordinator is cut off from the owners 1 and 2; its fallbacks accept.
	for _, c := range []struct {
		name      string
		sloppy    bool
		confirmed int
		want      Decision
	}{
		{"sloppy", true, 0, Reached},
		{"strict", false, 0, Unreachable},
		{"sloppy with pw", true, 1, Unreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := spec(2, c.confirmed, stable(1, 2, 3)...)
			s.Sloppy, s.Fallbacks = c.sloppy, []kv.NodeID{5, 6, 7}
			w := startWrite(t, s)
			for node := kv.NodeID(1); node <= 3; node++ {
				w.Add(owner(node, ResultFailed))
			}
			for _, target := range askAll(w) {
				w.Add(fallback(target.Node, target.Slot, ResultStored))
			}
			want(t, w.Decision(), c.want, w)
		})
	}
}

func TestS2ThePlanCountsForNothing(t *testing.T) {
	// Three owners are planned and asked; what the third says of itself decides.
	for _, c := range []struct {
		name  string
		reply func(*Reply)
		want  Decision
	}{
		{"it is the owner", func(*Reply) {}, Reached},
		{"it answers as a fallback", func(r *Reply) { r.Role = kv.RoleFallback }, Unreachable},
		{"it is not ready", func(r *Reply) { r.Role = kv.RoleNotReady }, Unreachable},
		{"it says it is no owner", func(r *Reply) { r.Role = kv.RoleNotOwner }, Unreachable},
		{"it says nothing of itself", func(r *Reply) { r.Role = 0 }, Unreachable},
		{"it is not confirmed", func(r *Reply) { r.Confirmed = false }, Unreachable},
		{"it lives another life", func(r *Reply) { r.Instance++ }, Unreachable},
		{"its layout is older", func(r *Reply) { r.Version-- }, Unreachable},
		{"its layout is newer", func(r *Reply) { r.Version++ }, Reached},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWrite(t, spec(3, 3, stable(1, 2, 3)...))
			r := startRead(t, spec(3, 3, stable(1, 2, 3)...))
			for node := kv.NodeID(1); node <= 3; node++ {
				wrote, found := owner(node, ResultStored), owner(node, ResultFound)
				if node == 3 {
					c.reply(&wrote)
					c.reply(&found)
				}
				w.Add(wrote)
				r.Add(found)
			}
			want(t, w.Decision(), c.want, w)
			want(t, r.Decision(), c.want, r)
		})
	}
}

func TestS3AFallbacksNotFoundNeverCounts(t *testing.T) {
	s := spec(1, 0, stable(1, 2)...)
	s.Sloppy, s.Fallbacks = true, []kv.NodeID{5}
	r := startRead(t, s)
	want(t, r.Add(owner(1, ResultFailed)), Pending, r)
	askAll(r)
	r.Late(Target{Node: 2})
	askAll(r)
	want(t, r.Add(fallback(5, 0, ResultNotFound)), Pending, r)
	want(t, r.Add(owner(2, ResultNotFound)), Reached, r)
}

func TestS4AFailedWriteIsUnknownUnlessAllRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		results [3]Result // 0: no answer
		want    Outcome
	}{
		{"one stored, by the coordinator itself",
			[3]Result{ResultStored, ResultRefused, ResultRefused}, OutcomeUnknown},
		{"one not heard of", [3]Result{ResultRefused, ResultRefused}, OutcomeUnknown},
		{"one failed", [3]Result{ResultRefused, ResultRefused, ResultFailed}, OutcomeUnknown},
		{"one makes no sense", [3]Result{ResultRefused, ResultRefused, ResultFound},
			OutcomeUnknown},
		{"one says nothing known", [3]Result{ResultRefused, ResultRefused, Result(99)},
			OutcomeUnknown},
		{"all refused", [3]Result{ResultRefused, ResultFenced, ResultNotSent}, OutcomeNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWrite(t, spec(3, 0, stable(1, 2, 3)...))
			for i, result := range c.results {
				if result != 0 {
					w.Add(owner(kv.NodeID(1+i), result))
				}
			}
			if w.Outcome() != c.want {
				t.Fatalf("outcome %v, want %v: %v", w.Outcome(), c.want, w)
			}
		})
	}
}

func TestS4AWriteThatNobodyWasAskedForLeavesNothing(t *testing.T) {
	w, err := NewWrite(spec(2, 0, stable(1, 2, 3)...))
	if err != nil || w.Outcome() != OutcomeNone {
		t.Fatal(err, w.Outcome())
	}
	w.Next()
	want(t, w.Add(owner(1, ResultNotSent)), Pending, w)
	w.Next()
	want(t, w.Add(owner(2, ResultNotSent)), Unreachable, w)
	if target, ok := w.Next(); ok {
		t.Fatalf("asks %v, though nothing can come of it", target)
	}
	if got := w.Tally(); got.Asked != 0 || w.Outcome() != OutcomeNone {
		t.Fatalf("%+v, outcome %v", got, w.Outcome())
	}
}

func TestS5AnAtomicReadIsWrittenBackToConfirmedOwners(t *testing.T) {
	s := spec(2, 0, stable(1, 2, 3)...)
	s.Sloppy, s.Fallbacks, s.Atomic = true, []kv.NodeID{5, 6, 7}, true
	r := startRead(t, s)
	r.Add(owner(1, ResultFound))
	unsure := owner(2, ResultFound)
	unsure.Confirmed = false
	want(t, r.Add(unsure), Pending, r)
	w, err := NewWriteBack(s)
	if err != nil {
		t.Fatal(err)
	}
	askAll(w)
	w.Add(owner(1, ResultStored))
	w.Add(owner(2, ResultFailed))
	if targets := askAll(w); len(targets) > 0 {
		t.Fatalf("a write-back asks fallbacks: %v", targets)
	}
	unsure = owner(3, ResultStored)
	unsure.Confirmed = false
	want(t, w.Add(unsure), Unreachable, w)
}

func TestS12OneNodeInTwoSlotsIsOneCopy(t *testing.T) {
	w := startWrite(t, spec(2, 0, stable(1, 1, 2)...))
	want(t, w.Add(owner(1, ResultStored)), Pending, w)
	want(t, w.Add(owner(1, ResultStored)), Pending, w)
	want(t, w.Add(owner(2, ResultStored)), Reached, w)

	r := startRead(t, spec(2, 0, stable(1, 1, 2)...))
	want(t, r.Add(owner(1, ResultFound)), Pending, r)
	want(t, r.Add(owner(1, ResultFound)), Pending, r)
	want(t, r.Add(owner(2, ResultFound)), Reached, r)

	w = startWrite(t, spec(3, 0, stable(1, 1, 2)...))
	want(t, w.Add(owner(1, ResultStored)), Unreachable, w)
}

func TestS12AFallbackThatIsAMemberIsNone(t *testing.T) {
	s := spec(2, 0, stable(1, 2)...)
	s.Sloppy, s.Fallbacks = true, []kv.NodeID{1, 0, 5, 5}
	w := startWrite(t, s)
	w.Add(owner(2, ResultFailed))
	if got := askAll(w); !slices.Equal(got, []Target{{5, 1, kv.RoleFallback}}) {
		t.Fatalf("asks %v", got)
	}
	w.Add(fallback(5, 1, ResultStored))
	want(t, w.Add(fallback(5, 1, ResultStored)), Pending, w)
	if w.Expect(1, 1, kv.Instance(testInstance)) {
		t.Fatal("a member was taken for a fallback")
	}
}

func TestT14OneHintStandsForBothMembersOfItsSlot(t *testing.T) {
	moving := kv.Slot{Owner: 2, Next: 4, Phase: kv.PhaseWriteBothReadOld}
	s := spec(2, 0, kv.Stable(1), moving)
	s.Sloppy, s.Fallbacks = true, []kv.NodeID{5, 6}
	w := startWrite(t, s)
	w.Add(owner(1, ResultStored))
	w.Add(owner(2, ResultFailed))
	w.Add(owner(4, ResultFailed))
	if got := askAll(w); len(got) != 1 || got[0].Slot != 1 {
		t.Fatalf("asks %v", got)
	}
	want(t, w.Add(fallback(5, 1, ResultStored)), Reached, w)
}

func TestT15WhoIsBeingFilledTakesWritesAndAnswersNoReads(t *testing.T) {
	moving := kv.Slot{Owner: 2, Next: 4, Phase: kv.PhaseWriteBothReadOld}
	filling := owner(4, ResultStored)
	filling.Role = kv.RoleNotReady
	w := startWrite(t, spec(2, 2, kv.Stable(1), moving))
	w.Add(owner(1, ResultStored))
	w.Add(owner(2, ResultStored))
	want(t, w.Add(filling), Reached, w)

	r := startRead(t, spec(2, 0, kv.Stable(1), moving))
	r.Add(owner(1, ResultFound))
	want(t, r.Add(owner(4, ResultFound)), Pending, r)

	sloppy := spec(2, 0, kv.Stable(1), moving)
	sloppy.Sloppy, sloppy.Fallbacks = true, []kv.NodeID{4, 5}
	r = startRead(t, sloppy)
	r.Add(owner(2, ResultFailed))
	if got := askAll(r); !slices.Equal(got, []Target{{5, -1, kv.RoleFallback}}) {
		t.Fatalf("asks %v", got)
	}

	leaver := owner(2, ResultStored)
	leaver.Role = kv.RoleNotReady
	w = startWrite(t, spec(2, 2, kv.Stable(1), moving))
	want(t, w.Add(leaver), Unreachable, w)
}

func TestF8NoHintIsHandedOutPastAPromise(t *testing.T) {
	s := spec(2, 0, stable(1, 2, 3)...)
	s.Sloppy, s.Fallbacks = true, []kv.NodeID{5, 6}
	w := startWrite(t, s)
	want(t, w.Add(owner(1, ResultFenced)), Pending, w)
	if got := askAll(w); len(got) > 0 || !w.Fenced() {
		t.Fatalf("asks %v, fenced %v", got, w.Fenced())
	}
	want(t, w.Add(owner(2, ResultStored)), Pending, w)
	want(t, w.Add(owner(3, ResultStored)), Reached, w)
}

func TestANodeThatTheRingDoesNotKnowNeverCounts(t *testing.T) {
	s := spec(1, 0, stable(1)...)
	s.Instances = oneInstance(0)
	w := startWrite(t, s)
	reply := owner(1, ResultStored)
	reply.Instance = 0
	want(t, w.Add(reply), Unreachable, w)
}

func TestWhoWasNotAskedIsNotHeard(t *testing.T) {
	w, err := NewWrite(spec(1, 0, stable(1)...))
	if err != nil {
		t.Fatal(err)
	}
	want(t, w.Add(owner(1, ResultStored)), Pending, w)
	if w.Outcome() != OutcomeUnknown {
		t.Fatal("an answer that says stored must be believed")
	}
	askAll(w)
	want(t, w.Add(owner(1, ResultStored)), Reached, w)
}

func TestNewestIsTheHighestVersionThatAnyoneStated(t *testing.T) {
	w := startWrite(t, spec(1, 0, stable(1, 2)...))
	reply := owner(1, ResultRefused)
	reply.Version = testVersion + 4
	w.Add(reply)
	w.Add(owner(2, ResultStored))
	if got := w.Newest(); got != testVersion+4 {
		t.Fatalf("newest %d", got)
	}
}
