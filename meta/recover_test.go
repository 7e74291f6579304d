// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
)

func (m *engineMember) control() *storage.Control {
	return storage.OpenControl(m.disk.engine, zap.NewNop())
}

// beginAnew tells the rig's log of the history that begins with a recovery.
func (r *engineRig) beginAnew(survivor *engineMember) {
	r.t.Helper()
	_, snapshot, err := openLog(survivor.control(), newStopwatch())
	must(r.t, err)
	s, err := state.Restore(snapshot)
	must(r.t, err)
	r.log.begin(s)
}

// acquireFence gets a lock and returns its fence.
func (r *engineRig) acquireFence(holder uint64, name string) uint64 {
	r.t.Helper()
	id := session(1).(state.SessionOpen).ID
	result := r.do(state.Acquire{
		Session: id, Holder: holder, Name: name, Kind: locks.KindExclusive, Wait: time.Minute,
	})
	if result.Lock.Code != locks.CodeOK {
		r.t.Fatalf("%+v", result)
	}
	return uint64(result.Lock.Fence)
}

// TRAPS L8: after the group was recovered from one copy, fences go on rising, even where
// that copy lacks the last grants.
func TestL8FencesRiseOverARecovery(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		r.do(session(1))
		survivor := r.follower()
		must(t, survivor.stop()) // it lacks what comes now
		var last uint64
		for n := range uint64(30) {
			last = r.acquireFence(1+n, session(n).(state.SessionOpen).Name)
		}
		for _, m := range r.members {
			if m != survivor {
				m.kill()
			}
		}
		plan, err := PlanRecovery(survivor.control(), survivor.id, survivor.disk.opens)
		must(t, err)
		if plan.Node != survivor.id || len(plan.Voters) != 3 || plan.Sessions != 1 ||
			plan.Generation != 1 || !plan.Accepted {
			t.Fatalf("%+v", plan)
		}
		for i, u := range plan.Uncertain {
			if u.Index != plan.Committed+1+uint64(i) || len(u.Commands) == 0 {
				t.Errorf("%+v", u)
			}
		}
		if plan.Committed+uint64(len(plan.Uncertain)) != plan.Last {
			t.Errorf("%d uncertain entries, committed to %d of %d", len(plan.Uncertain),
				plan.Committed, plan.Last)
		}
		must(t, plan.Commit())
		r.beginAnew(survivor)
		survivor.startAlone()
		if fence := r.acquireFence(1000, "new"); fence <= last {
			t.Errorf("fence %d after %d", fence, last)
		}
	})
}

func TestAfterARecoveryAllComeBackUnderNewRaftIDs(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		for n := range uint64(20) {
			r.do(session(n))
		}
		r.awaitVoters(3)
		survivor := r.follower()
		ids := make(map[*engineMember]state.RaftID)
		for _, m := range r.members {
			ids[m] = m.life.status.Load().Raft
			must(t, m.stop())
		}
		plan, err := PlanRecovery(survivor.control(), survivor.id, survivor.disk.opens)
		must(t, err)
		must(t, plan.Commit())
		r.beginAnew(survivor)
		survivor.startAlone()
		r.await(time.Minute, "the survivor leads", func() bool { return r.leader() == survivor })
		for _, m := range r.members {
			if m != survivor {
				m.startAlone()
			}
		}
		for _, m := range r.members {
			m.confirm()
		}
		r.awaitVoters(3)
		for _, m := range r.members {
			if now := m.life.status.Load().Raft; now == ids[m] {
				t.Errorf("%s has raft id %v still", m.host, now)
			}
		}
	})
}

func TestAGroupIsNotRecoveredFromAnyDirectory(t *testing.T) {
	inBubble(t, 4, nil, func(t *testing.T, r *engineRig) {
		refused := func(what string, control *storage.Control, node kv.NodeID) {
			t.Helper()
			if _, err := PlanRecovery(control, node, nil); !errors.Is(err, ErrNoRecovery) {
				t.Errorf("%s: %v, want ErrNoRecovery", what, err)
			}
		}
		refused("empty", storage.OpenControl(storage.NewMemory(), zap.NewNop()), 1)
		client := r.members[3]
		must(t, client.stop())
		refused("a client's", client.control(), client.id)
		m := r.follower()
		id := m.life.status.Load().Raft
		r.do(state.DropRaft{Raft: id})
		r.await(time.Minute, "it has heard of it", func() bool {
			return m.life.machine.applied() >= r.leader().life.machine.applied()
		})
		m.life.stop()
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
		refused("of a raft id that was given up", m.control(), m.id)
		refused("of another member", r.leader().control(), m.id)
	})
}
