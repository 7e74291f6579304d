// SPDX-License-Identifier: Apache-2.0

//go:build long

package quorum_test

import (
	"testing"

	"github.com/dyno-kv/dyno/ring"
)

// oneSlotEach is the most that w + r can be for two broken moves to lose a write: each
// costs the read one of the slots that it shares with the write.
const oneSlotEach = 5

func TestModelOfTwoMovesThatMayBeAborted(t *testing.T) {
	// w=1 is left out: its 19 million worlds take more memory than a test should. So is
	// w=r=3, which two broken moves can not break.
	for _, q := range quorums[1:4] {
		m := rules{w: q.w, r: q.r, moves: []ring.Move{moveB, moveL}, aborts: true}
		expect(t, m, false)
		m.restoreUnfenced = true
		expect(t, m, q.w+q.r <= oneSlotEach)
	}
}

func TestModelOfTwoMovesWhoseJoinersLoseTheirStores(t *testing.T) {
	for _, q := range quorums {
		m := rules{w: q.w, r: q.r, moves: []ring.Move{moveB, moveL}, replaced: true}
		expect(t, m, false)
		m.unnoticed = true
		expect(t, m, q.w+q.r <= oneSlotEach)
	}
}
