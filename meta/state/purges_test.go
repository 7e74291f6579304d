// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func TestAPurgeEpochBelongsToOneRound(t *testing.T) {
	l := formed(t)
	at := l.placements[2].Version
	begin := func(request int, after kv.PurgeEpoch) PurgeEpoch {
		return PurgeEpoch{
			Request: requestOf(request), Partition: 2, Placement: at, After: after,
		}
	}
	commit := func(epoch kv.PurgeEpoch) PurgeCommit {
		return PurgeCommit{Partition: 2, Placement: at, Epoch: epoch}
	}
	l.want(CodeRefused, commit(0))
	first := l.ok(begin(1, 0)).Epoch
	if first == 0 || l.PurgeRound(2) != first || l.PurgeRound(1) != 0 || l.PurgeEpoch(2) != 0 {
		t.Fatalf("the round is %d, of the partition beside it %d, and %d is committed",
			l.PurgeRound(2), l.PurgeRound(1), l.PurgeEpoch(2))
	}
	if again := l.unchanged(begin(1, 0)); again.Code != CodeOK || again.Epoch != first {
		t.Errorf("again %v, epoch %d", again.Code, again.Epoch)
	}
	second := l.ok(begin(2, 0)).Epoch // the first was given up
	if second <= first {
		t.Fatalf("the second round is %d, the first was %d", second, first)
	}
	if r := l.unchanged(begin(1, 0)); r.Code != CodeRefused {
		t.Errorf("a round that is over was begun again: %v", r.Code)
	}
	if r := l.unchanged(commit(first)); r.Code != CodeRefused || r.Epoch != 0 {
		t.Errorf("a round that is over was committed: %v, epoch %d", r.Code, r.Epoch)
	}
	if r := l.ok(commit(second)); r.Epoch != second || l.PurgeEpoch(2) != second {
		t.Errorf("committed epoch %d, answered %d", l.PurgeEpoch(2), r.Epoch)
	}
	if r := l.unchanged(commit(second)); r.Code != CodeOK || r.Epoch != second {
		t.Errorf("committed again: %v, epoch %d", r.Code, r.Epoch)
	}
	if r := l.want(CodeRefused, begin(3, first)); r.Epoch != second {
		t.Errorf("a round after another epoch was told epoch %d", r.Epoch)
	}
	third := l.ok(begin(4, second)).Epoch
	if r := l.unchanged(commit(second)); r.Code != CodeOK || r.Epoch != second {
		t.Errorf("what is committed stays so, though round %d has begun: %v", third, r.Code)
	}
	l.want(CodeInvalid, PurgeEpoch{Request: requestOf(5), Partition: 4})
	l.want(CodeInvalid, PurgeCommit{Partition: 4})
}

// TRAPS G7: what a slot that moves has copied may be older than the tombstone.
func TestTrapG7NoPurgeRoundAcrossAMove(t *testing.T) {
	l := formed(t)
	p := &l.placements[1]
	at := p.Version
	l.want(CodeRefused, PurgeEpoch{Request: requestOf(1), Partition: 1, Placement: at + 1})
	round := l.ok(PurgeEpoch{Request: requestOf(2), Partition: 1, Placement: at}).Epoch
	l.want(CodeRefused, PurgeCommit{Partition: 1, Placement: at + 1, Epoch: round})
	p.Version++ // a move has begun, or is over
	l.want(CodeRefused, PurgeCommit{Partition: 1, Placement: at, Epoch: round})
	p.Slots[1] = kv.Slot{Owner: p.Slots[1].Owner, Next: 9, Phase: kv.PhaseWriteBothReadOld}
	l.want(CodeRefused, PurgeEpoch{Request: requestOf(3), Partition: 1, Placement: p.Version})
	l.want(CodeRefused, PurgeCommit{Partition: 1, Placement: p.Version, Epoch: round})
	if l.PurgeEpoch(1) != 0 {
		t.Errorf("epoch %d was committed", l.PurgeEpoch(1))
	}
}
