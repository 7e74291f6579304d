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
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
)

// A leader that is cut off, with a client of the group on its side, grants nothing and
// shows nothing old, while the other side grants the lock to somebody else.
func TestACutOffLeaderGrantsNothingAndShowsNothingOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGroupRig(t, 5, nil)
		leader := r.leader()
		var client *groupMember
		var cut, rest []string
		for _, m := range r.members {
			if m == leader || client == nil && m.Status().Role == RoleClient {
				cut = append(cut, m.host)
				if m != leader {
					client = m
				}
				continue
			}
			rest = append(rest, m.host)
		}
		a, b := client.open(1, time.Hour), leader.open(2, time.Hour)
		r.net.Partition(cut, rest)
		far := r.others(leader, client)[0]
		for _, m := range []*groupMember{client, leader} {
			ctx, cancel := context.WithTimeout(m.ctx(), 10*time.Second)
			got, err := m.Acquire(ctx, wants(a, 1, "jobs", time.Hour), time.Second)
			if err == nil && got.Code == locks.CodeOK {
				t.Errorf("node %d grants with fence %d", m.id, got.Fence)
			}
			if _, err := m.Barrier(ctx); !errors.Is(err, ErrNoLeader) || errors.Is(err, ErrUnknown) {
				t.Errorf("a barrier at node %d: %v", m.id, err)
			}
			cancel()
		}
		got := far.acquire(wants(b, 1, "jobs", time.Hour), 10*time.Second)
		if got.Code != locks.CodeOK {
			t.Errorf("the majority's side: %v", got)
		}
		r.net.Heal()
		time.Sleep(5 * time.Second)
		r.alike()
		if late := client.acquire(wants(a, 1, "jobs", time.Hour), 0); late.Code != locks.CodeQueued {
			t.Errorf("after the cut, what was asked in it: %v", late)
		}
	})
}

// A voter comes back with an older copy of its directory, and later with none: its raft
// part is refused and begun anew, no grant is lost, and no fence given twice.
func TestAVoterThatForgotComesBackWithoutAVoiceFromBefore(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(m *groupMember, old *storage.Memory)
	}{
		{"an older copy", func(m *groupMember, old *storage.Memory) {
			m.engine = old
			m.opens = m.opens[:1]
		}},
		{"wiped", func(m *groupMember, _ *storage.Memory) {
			m.engine = storage.NewMemory()
			m.opens = []kv.Open{{Seq: 1, Nonce: 999}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newGroupRig(t, 3, nil)
				m := r.others(r.leader())[0]
				must(t, m.stop())
				before := m.engine
				m.engine = before.Crash(nil)
				old := before.Crash(nil)
				m.restart()
				m.show()
				stop := make(chan struct{})
				list, wait := r.compete(4, 15*time.Second, stop)
				time.Sleep(5 * time.Second)
				m.kill()
				c.lose(m, old)
				m.restart()
				if verdict := m.judged(); verdict == kv.VerdictConfirmed {
					t.Error("the store is taken for the one that it was")
				}
				r.await(5*time.Minute, "it votes again", func() bool {
					return m.Status().Role == RoleVoter && m.Status().Raft != 0 && m.Status().Refused == ""
				})
				time.Sleep(5 * time.Second)
				close(stop)
				wait()
				judgeGrants(t, list, 50)
				r.alike()
			})
		})
	}
}

// judged shows the opening of a member's store to the group and returns the verdict.
func (m *groupMember) judged() kv.Verdict {
	m.rig.t.Helper()
	ctx, cancel := context.WithTimeout(m.ctx(), time.Minute)
	defer cancel()
	result, err := m.Do(ctx, state.OpenStore{Node: m.id, Opens: m.opens})
	must(m.rig.t, err)
	return result.Verdict
}
