// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

func tombstone(at kv.Stamp) kv.Object {
	o := written(dot(1, 5), "")
	v := kv.Version{Dot: o.Versions[0].Dot, Kind: kv.KindTombstone, Stamp: at}
	o.Versions = []kv.Version{v.Sealed()}
	return o
}

func TestOnlyOldTombstonesAreCandidates(t *testing.T) {
	now := time.UnixMilli(100_000)
	old, young := tombstone(kv.StampAt(90_000)), tombstone(kv.StampAt(90_001))
	fenced := tombstone(kv.StampAt(1))
	fenced.Fence, fenced.Versions[0].Fence = 3, 3
	value := written(dot(2, 1), "value")
	value.Versions[0].Stamp = 0
	tests := []struct {
		name   string
		object kv.Object
		want   bool
	}{
		{"as old as the grace", old, true},
		{"younger", young, false},
		{"two, one of them younger", kv.Merge(old, kv.Object{
			Context: young.Context.Join(value.Context), Versions: []kv.Version{{
				Dot: dot(2, 1), Kind: kv.KindTombstone, Stamp: kv.StampAt(99_000),
			}},
		}), false},
		{"a value", value, false},
		{"a value beside a tombstone", kv.Merge(old, value), false},
		{"a fence", fenced, false},
		{"no version", kv.Object{Context: old.Context}, false},
		{"nothing", kv.Object{}, false},
	}
	for _, tt := range tests {
		if got := Candidate(&tt.object, now, 10*time.Second); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOnlyWhatHasExpiredAltogetherIsToBeDeleted(t *testing.T) {
	now, margin := time.UnixMilli(100_000), 10*time.Second
	ends := func(counter uint64, at int64) kv.Object {
		o := written(dot(1, counter), "v")
		o.Versions[0].ExpiresAt = at
		return o
	}
	fenced := ends(1, 1)
	fenced.Fence, fenced.Versions[0].Fence = 3, 3
	tests := []struct {
		name   string
		object kv.Object
		want   bool
	}{
		{"just longer than the margin ago", ends(1, 90_000), true},
		{"less than the margin ago", ends(1, 90_001), false},
		{"never", ends(1, 0), false},
		{"two, both over", kv.Merge(ends(1, 5), ends(2, 90_000)), true},
		{"two, one not over", kv.Merge(ends(1, 5), ends(2, 200_000)), false},
		{"beside a tombstone", kv.Merge(ends(1, 5), tombstone(kv.StampAt(1))), true},
		{"a tombstone", tombstone(kv.StampAt(1)), false},
		{"a fence", fenced, false},
		{"nothing", kv.Object{}, false},
	}
	for _, tt := range tests {
		if got := Expired(&tt.object, now, margin); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestARoundFitsThePlacementThatItWasBegunAt(t *testing.T) {
	r := Round{Placement: 4}
	still := []kv.Slot{kv.Stable(1), kv.Stable(2)}
	moving := []kv.Slot{kv.Stable(1), {Owner: 2, Next: 3, Phase: kv.PhaseWriteBothReadNew}}
	if !r.Fits(4, still) || r.Fits(5, still) || r.Fits(3, still) || r.Fits(4, moving) {
		t.Error("a round must fit its own placement, and no other, and no slot may move")
	}
}

// Each step from each place: what is answered, and what becomes durable.
func TestStepsOfARound(t *testing.T) {
	p := Purges{Recorded: 7, Adopted: 5, Drained: 4, Floor: 3}
	record := func(after, epoch kv.PurgeEpoch) func() (Purges, Verdict) {
		return func() (Purges, Verdict) { return p.Record(Round{After: after, Epoch: epoch}) }
	}
	adopt := func(epoch kv.PurgeEpoch, owner bool) func() (Purges, Verdict) {
		return func() (Purges, Verdict) { return p.Adopt(epoch, owner) }
	}
	drain := func(epoch kv.PurgeEpoch) func() (Purges, Verdict) {
		return func() (Purges, Verdict) { return p.Drain(epoch) }
	}
	settled := Purges{Recorded: 7, Adopted: 5, Drained: 5, Floor: 3}
	raise := func(p Purges, epoch kv.PurgeEpoch) func() (Purges, Verdict) {
		return func() (Purges, Verdict) { return p.Raise(epoch) }
	}
	tests := []struct {
		name    string
		step    func() (Purges, Verdict)
		want    Purges
		verdict Verdict
	}{
		{"record", record(5, 8), Purges{8, 5, 4, 3}, VerdictSync},
		{"record again", record(5, 7), p, VerdictDone},
		{"record of an earlier round", record(5, 6), p, VerdictOver},
		{"record below the adopted", record(2, 5), p, VerdictOver},
		{"record without what went before", record(6, 8), p, VerdictBehind},
		{"record after a group that was put back", record(4, 8), Purges{8, 5, 4, 3}, VerdictSync},
		{"adopt", adopt(7, true), Purges{7, 7, 4, 3}, VerdictSync},
		{"adopt again", adopt(5, true), p, VerdictDone},
		{"adopt what was not recorded", adopt(8, true), p, VerdictMissed},
		{"adopt less than what was recorded", adopt(6, true), p, VerdictMissed},
		{"adopt as no owner", adopt(8, false), Purges{7, 8, 4, 3}, VerdictSync},
		{"drain", drain(5), settled, VerdictSync},
		{"drain again", drain(4), p, VerdictDone},
		{"drain of what is not adopted", drain(6), p, VerdictBehind},
		{"raise before the drain", raise(p, 5), p, VerdictBehind},
		{"raise", raise(settled, 5), Purges{7, 5, 5, 5}, VerdictSync},
		{"raise again", raise(Purges{7, 5, 5, 5}, 5), Purges{7, 5, 5, 5}, VerdictDone},
		{"raise for a round that is over", raise(settled, 4), settled, VerdictOver},
		{"raise to what is not adopted", raise(settled, 6), settled, VerdictBehind},
	}
	for _, tt := range tests {
		got, verdict := tt.step()
		if got != tt.want || verdict != tt.verdict {
			t.Errorf("%s: %+v, %s, want %+v, %s", tt.name, got, verdict, tt.want, tt.verdict)
		}
		if taken := verdict == VerdictDone || verdict == VerdictSync; taken != verdict.Taken() {
			t.Errorf("%s: %s is taken: %v", tt.name, verdict, verdict.Taken())
		}
	}
	late := Purges{Recorded: 9, Adopted: 9, Drained: 5, Floor: 5}
	if got, verdict := late.Drain(7); got != late || verdict != VerdictOver {
		t.Errorf("drain for a round that is over: %+v, %s", got, verdict)
	}
}

func TestWhatIsRefusedByItsEpoch(t *testing.T) {
	p := Purges{Recorded: 9, Adopted: 6, Drained: 5, Floor: 4}
	if p.Accepts(3, true) || !p.Accepts(4, true) {
		t.Error("an owner must refuse what is below the floor, and nothing else")
	}
	if p.Accepts(5, false) || !p.Accepts(6, false) {
		t.Error("another node must refuse what is below the adopted epoch, and nothing else")
	}
	if p.Stamp() != 5 {
		t.Errorf("hints are sent with epoch %d", p.Stamp())
	}
	if got := p.Given(8); got != (Purges{9, 8, 8, 8}) {
		t.Errorf("after a copy of epoch 8: %+v", got)
	}
	if got := p.Given(3); got != (Purges{9, 6, 6, 6}) {
		t.Errorf("after a copy of epoch 3: %+v", got)
	}
	if got := p.Given(10); got != (Purges{10, 10, 10, 10}) {
		t.Errorf("after a copy of epoch 10: %+v", got)
	}
}

func TestARoundGoesThroughItsPhases(t *testing.T) {
	items := []Item{{Key: []byte("a")}, {Key: []byte("b")}, {Key: []byte("c")}}
	l := Lead(Round{Epoch: 3}, []kv.NodeID{2, 1, 2}, items)
	ask := func(phase Phase, registered []kv.NodeID, want ...kv.NodeID) {
		t.Helper()
		if got := l.Ask(registered); l.Phase() != phase || !slices.Equal(got, want) {
			t.Fatalf("%s asks %v, want %s asking %v", l.Phase(), got, phase, want)
		}
	}
	ask(PhaseConfirm, nil, 1, 2)
	l.Confirmed(1, []bool{true, true})
	ask(PhaseConfirm, nil, 1, 2) // an answer to something else
	l.Confirmed(1, []bool{true, true, false})
	l.Committed()
	l.Drained(2)
	l.Purged(2)
	l.Barrier(nil)
	ask(PhaseConfirm, nil, 2)
	l.Confirmed(2, []bool{false, true, true})
	ask(PhaseCommit, nil)
	l.Confirmed(2, []bool{false, false, false}) // it comes too late
	if got := l.Items(); len(got) != 1 || string(got[0].Key) != "b" {
		t.Fatalf("what all hold: %v", got)
	}
	l.Committed()
	ask(PhaseDrain, []kv.NodeID{5, 1, 4}, 1, 2, 4, 5)
	for _, node := range []kv.NodeID{5, 1, 2} {
		l.Drained(node)
	}
	l.Barrier([]kv.NodeID{5, 1, 4})
	ask(PhaseDrain, []kv.NodeID{5, 1, 4}, 4)
	l.Barrier([]kv.NodeID{5, 1, 6}) // 4 was removed, 6 has registered
	ask(PhaseDrain, []kv.NodeID{5, 1, 6}, 6)
	l.Drained(6)
	l.Barrier([]kv.NodeID{5, 1, 6})
	ask(PhasePurge, nil, 1, 2)
	l.Purged(2)
	l.Purged(2)
	ask(PhasePurge, nil, 1)
	l.Purged(1)
	ask(PhaseEnded, nil)
	if l.Round().Epoch != 3 || len(l.Candidates()) != 3 {
		t.Error("a round keeps its name, and what it was begun over")
	}
}

func TestARoundOverNothingEnds(t *testing.T) {
	items := []Item{{Key: []byte("a")}}
	if l := Lead(Round{}, []kv.NodeID{1}, nil); l.Phase() != PhaseEnded {
		t.Errorf("without candidates it is in phase %s", l.Phase())
	}
	if l := Lead(Round{}, nil, items); l.Phase() != PhaseEnded {
		t.Errorf("without owners it is in phase %s", l.Phase())
	}
	l := Lead(Round{}, []kv.NodeID{1, 2}, items)
	if l.Confirmed(1, []bool{false}); l.Phase() != PhaseEnded {
		t.Errorf("where one owner holds nothing of it, it is in phase %s", l.Phase())
	}
}

func TestWordsOfPurges(t *testing.T) {
	for got, want := range map[string]string{
		VerdictDone.String(): "done", VerdictSync.String(): "sync", VerdictOver.String(): "over",
		VerdictBehind.String(): "behind", VerdictMissed.String(): "missed",
		Verdict(9).String(): "verdict(9)", PhaseConfirm.String(): "confirm",
		PhaseCommit.String(): "commit", PhaseDrain.String(): "drain",
		PhasePurge.String(): "purge", PhaseEnded.String(): "ended", Phase(9).String(): "phase(9)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
