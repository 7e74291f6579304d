// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// An only voter acts as soon as all others have accepted its store, never where one
// refuses it, and where one is silent after two elections. Then it waits for one or two
// more before it stands for one itself.
func TestAnOnlyVoterWaitsForItsWitnesses(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
		m := r.members[0]
		must(t, m.stop())
		election := time.Duration(r.cfg.ElectionTicks) * r.cfg.Tick
		r.others = []kv.NodeID{2, 3}
		var after time.Duration
		var answers map[kv.NodeID]kv.Verdict
		r.ask = func(_ context.Context, node kv.NodeID, h *wire.MetaHello) (wire.MetaHello, error) {
			if len(h.Open) == 0 || h.Raft == 0 || h.For != 0 {
				t.Errorf("asked with %+v", h)
			}
			time.Sleep(after / 2) // one after the other
			if answers[node] == 0 {
				return wire.MetaHello{}, rpc.ErrNotSent
			}
			return wire.MetaHello{Verdict: answers[node]}, nil
		}
		well := kv.VerdictConfirmed
		for _, c := range []struct {
			name        string
			after       time.Duration
			answers     map[kv.NodeID]kv.Verdict
			least, most time.Duration
		}{
			{"two accept it at once", 0, map[kv.NodeID]kv.Verdict{2: well, 3: well},
				election, 2 * election},
			{"two accept it late", election * 3 / 2, map[kv.NodeID]kv.Verdict{2: well, 3: well},
				election * 5 / 2, election * 7 / 2},
			{"one is silent", 0, map[kv.NodeID]kv.Verdict{2: well}, 3 * election, 4 * election},
			{"one refuses it", 0, map[kv.NodeID]kv.Verdict{2: well, 3: kv.VerdictForked},
				10 * election, 11 * election},
		} {
			after, answers = c.after, c.answers
			began := time.Now()
			m.startAlone()
			for !m.life.status.Load().Leads && time.Since(began) < 10*election {
				time.Sleep(r.cfg.Tick / 4)
			}
			slack := 2 * r.cfg.Tick
			if took := time.Since(began); took < c.least-slack || took > c.most+slack {
				t.Errorf("%s: it leads after %v, want %v to %v", c.name, took, c.least, c.most)
			}
			err := m.stop()
			if refused := c.answers[3] == kv.VerdictForked; errors.Is(err, ErrRolledBack) != refused {
				t.Errorf("%s: it ended with %v", c.name, err)
			}
		}
	})
}

// A member does not apply what a seat says that it refuses, and tells it.
func TestATailFollowsNobodyWhoWasPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, 1, nil)
		seat, client := r.nodes[0], r.nodes[1]
		client.seat.refuses.Store(true)
		time.Sleep(2 * time.Second) // what was asked before is answered
		before := client.machine.applied()
		seat.open(1, locks.MinTTL)
		time.Sleep(10 * time.Second)
		if after := client.machine.applied(); after != before {
			t.Errorf("entry %d is applied, %d was", after, before)
		}
		if seat.seat.denounced.Load() == 0 {
			t.Error("the seat was not told")
		}
		client.seat.refuses.Store(false)
		time.Sleep(10 * time.Second)
		if after, want := client.machine.applied(), seat.machine.applied(); after != want {
			t.Errorf("entry %d is applied, %d is at the seat", after, want)
		}
	})
}
