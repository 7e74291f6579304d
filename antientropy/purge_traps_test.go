// SPDX-License-Identifier: Apache-2.0

package antientropy

import "testing"

// With all rules nothing that was deleted comes back, and nothing that was written goes;
// and rounds do purge.
func TestPurgeRoundsBringNothingBack(t *testing.T) {
	tests := map[string]faults{
		"everything once": {
			hint: true, put: true, sends: 2, restarts: 1, losses: 1, restores: true, rounds: 1,
		},
		"a write": {write: true, sends: 1, losses: 1, rounds: 1},
	}
	if !testing.Short() {
		tests["two rounds"] = faults{hint: true, sends: 2, restores: true, rounds: 2}
		tests["writes"] = faults{write: true, fallback: true, sends: 2, losses: 1, rounds: 2}
		tests["a move"] = faults{move: true, sends: 2, rounds: 2}
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			p := walk(f, breach{})
			t.Logf("%d states", len(p.seen))
			if p.zombie || p.lost {
				t.Errorf("zombie: %v, lost: %v", p.zombie, p.lost)
			}
			if !p.purged {
				t.Error("no round has purged")
			}
		})
	}
}

// caught checks that the model finds fault with rounds that lack a rule, and not with
// those that have it.
func caught(t *testing.T, f faults, b breach) {
	t.Helper()
	p := walk(f, b)
	if !p.zombie && !p.lost {
		t.Errorf("nothing is missed without the rule, in %d states", len(p.seen))
	}
	if p = walk(f, breach{}); p.zombie || p.lost {
		t.Errorf("with the rule too something comes back (%v) or is lost (%v)", p.zombie, p.lost)
	}
}

func TestTrapG1NoPurgeByTimeAlone(t *testing.T) {
	caught(t, faults{rounds: 1}, breach{byTime: true})
}

func TestTrapG2EverySlotConfirms(t *testing.T) {
	caught(t, faults{rounds: 1}, breach{notAll: true})
}

func TestTrapG3HintsGoBeforeTheTombstone(t *testing.T) {
	caught(t, faults{hint: true, sends: 1, rounds: 1}, breach{noDrain: true})
}

// Who does not deliver what it has kept before the owners refuse it never can.
func TestTrapG3EveryRegisteredNodeDrains(t *testing.T) {
	caught(t, faults{fallback: true, sends: 1, rounds: 1}, breach{oneDrains: true})
}

func TestTrapG3AHintOfBeforeIsNotSentAsOneOfNow(t *testing.T) {
	caught(t, faults{hint: true, sends: 1, restores: true, rounds: 1}, breach{newStamp: true})
}

func TestTrapG3ASendOfBeforeIsNotKeptAsAHint(t *testing.T) {
	caught(t, faults{put: true, sends: 1, rounds: 1}, breach{noRefusal: true})
}

func TestTrapG4ReadsMergeNothingBelowTheHighestEpoch(t *testing.T) {
	caught(t, faults{sends: 2, restores: true, rounds: 1}, breach{allMerged: true})
}

func TestTrapG5WhoHasNotRecordedTheRoundIsNotReady(t *testing.T) {
	caught(t, faults{sends: 1, restores: true, rounds: 1}, breach{noRecord: true})
}

func TestTrapG6WhatIsConfirmedIsDurable(t *testing.T) {
	caught(t, faults{sends: 1, losses: 1, rounds: 1}, breach{unsynced: true})
}

func TestTrapG7NoRoundWhileASlotMoves(t *testing.T) {
	caught(t, faults{move: true, sends: 1, rounds: 1}, breach{moving: true})
}

func TestTrapG8OnlyWhatTheRoundNamesIsDeleted(t *testing.T) {
	caught(t, faults{write: true, sends: 1, rounds: 1}, breach{anyContent: true})
}

// A repair that was paused over the whole round carries the epoch of its read.
func TestTrapS11OwnersRefuseWhatWasReadBefore(t *testing.T) {
	caught(t, faults{sends: 2, rounds: 1}, breach{noFloor: true})
}

func TestTrapS11TheFloorIsDurableBeforeTheDelete(t *testing.T) {
	caught(t, faults{hint: true, sends: 2, losses: 1, rounds: 1}, breach{lateFloor: true})
}
