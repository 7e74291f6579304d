// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

func TestAGroupFormsItsRingAndServesThroughEveryMember(t *testing.T) {
	for _, members := range []int{1, 2, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			r := newGroupRig(t, members, nil)
			want := 1
			if members > 2 {
				want = 3
			}
			if got := len(r.leader().Group.engine.standing().Voters); got != want {
				t.Errorf("%d members have %d voters", members, got)
			}
			for i, m := range r.members {
				id := m.open(byte(i+1), 15*time.Second)
				got := m.acquire(wants(id, 1, "jobs", 0), 0)
				if got.Code != locks.CodeOK {
					t.Errorf("node %d of %d: %v", m.id, members, got)
				}
				m.do(state.Release{Session: id, Holder: 1, Name: "jobs", Fence: got.Fence})
				m.barrier()
				must(t, m.Renew(m.ctx(), id))
			}
			time.Sleep(time.Second)
			for _, m := range r.members {
				if m.barrier(); m.hash() == [32]byte{} {
					t.Errorf("node %d has no state", m.id)
				}
			}
		})
	}
}

// contender takes one lock again and again through a member, as long as it may, and keeps
// its session alive meanwhile. It goes to another member where its own is gone.
type contender struct {
	r       *groupRig
	id      locks.SessionID
	turn    int
	grants  []locks.Result
	problem error // owned by run
	lost    error // owned by keepAlive
	holder  uint64
}

// compete runs contenders for one lock until stop is closed, and each keeps its session
// alive every third of its TTL. The function waits for them.
func (r *groupRig) compete(
	count int, ttl time.Duration, stop chan struct{},
) (list []*contender, wait func()) {
	var runs sync.WaitGroup
	for i := range count {
		c := &contender{r: r, id: locks.SessionID{byte(i + 1)}, turn: i}
		r.members[i%len(r.members)].open(byte(i+1), ttl)
		list = append(list, c)
		runs.Go(func() { c.keepAlive(ttl, stop) })
		runs.Go(func() { c.run(stop) })
	}
	return list, runs.Wait
}

func (c *contender) keepAlive(ttl time.Duration, stop chan struct{}) {
	turn := c.turn
	for !closed(stop) {
		sent := time.Now()
		if n := c.r.members[turn%len(c.r.members)].running(); n != nil {
			ctx, cancel := context.WithTimeout(context.Background(), ttl/3)
			err := n.Renew(ctx, c.id)
			cancel()
			if errors.Is(err, ErrSessionExpired) {
				c.lost = err
				return
			}
			if err != nil {
				turn++
			}
		} else {
			turn++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if wait := time.Until(sent.Add(ttl / 3)); wait > 0 {
			time.Sleep(wait)
		}
	}
}

func (c *contender) run(stop chan struct{}) {
	for !closed(stop) {
		c.holder++
		got, ok := c.acquire(stop)
		if !ok {
			return
		}
		c.grants = append(c.grants, got)
		time.Sleep(50 * time.Millisecond)
		release := state.Release{Session: c.id, Holder: c.holder, Name: "jobs", Fence: got.Fence}
		for {
			_, err := c.try().Do(context.Background(), release)
			if err == nil || closed(stop) {
				break
			}
			c.turn++
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// acquire asks until the lock is granted; ok is false where stop comes first.
func (c *contender) acquire(stop chan struct{}) (got locks.Result, ok bool) {
	for !closed(stop) {
		a := wants(c.id, c.holder, "jobs", time.Hour)
		a.DoneThrough = c.holder - 1
		got, err := c.try().Acquire(context.Background(), a, 2*time.Second)
		switch {
		case err != nil:
			c.turn++
			time.Sleep(10 * time.Millisecond)
		case got.Code == locks.CodeOK:
			return got, true
		case got.Code != locks.CodeQueued:
			c.problem = fmt.Errorf("holder %d: %v", c.holder, got)
			return got, false
		}
	}
	return got, false
}

// try is a member that runs.
func (c *contender) try() *rigNode {
	for {
		if n := c.r.members[c.turn%len(c.r.members)].running(); n != nil {
			return n
		}
		c.turn++
		time.Sleep(time.Millisecond)
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// judgeGrants demands what a lock promises of all grants that were told to anybody: each
// fence once, each contender's rising, and no session lost.
func judgeGrants(t *testing.T, list []*contender, least int) {
	t.Helper()
	seen := map[uint64]int{}
	for i, c := range list {
		if c.problem != nil || c.lost != nil {
			t.Errorf("contender %d: %v, %v", i, c.problem, c.lost)
		}
		var last uint64
		for _, g := range c.grants {
			fence := uint64(g.Fence)
			if other, twice := seen[fence]; twice {
				t.Errorf("fence %d was granted to %d and %d", fence, other, i)
			}
			if fence <= last {
				t.Errorf("contender %d: fence %d after %d", i, fence, last)
			}
			seen[fence], last = i, fence
		}
	}
	if len(seen) < least {
		t.Errorf("%d grants, want %d at least", len(seen), least)
	}
}

// faults happen under load: none of them ends a session whose client lives, and the lock
// goes on.
func TestLocksGoOnThroughFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(r *groupRig)
	}{
		{"leader killed", func(r *groupRig) {
			m := r.leader()
			m.kill()
			time.Sleep(4 * time.Second)
			m.restart()
		}},
		{"follower killed", func(r *groupRig) {
			m := r.others(r.leader())[0]
			m.kill()
			time.Sleep(4 * time.Second)
			m.restart()
		}},
		{"leader stopped in order", func(r *groupRig) {
			m := r.leader()
			must(r.t, m.stop())
			m.restart()
		}},
		{"leader cut off", func(r *groupRig) {
			m := r.leader()
			var rest []string
			for _, o := range r.others(m) {
				rest = append(rest, o.host)
			}
			r.net.Partition([]string{m.host}, rest)
			time.Sleep(4 * time.Second)
			r.net.Heal()
		}},
		{"leader paused", func(r *groupRig) {
			m := r.leader()
			r.net.Pause(m.host)
			time.Sleep(4 * time.Second)
			r.net.Resume(m.host)
		}},
		{"leader's disk stalls", func(r *groupRig) {
			m := r.leader()
			m.engine.SetSyncTime(4 * time.Second)
			time.Sleep(4 * time.Second)
			m.engine.SetSyncTime(0)
		}},
		{"all restarted", func(r *groupRig) {
			for _, m := range r.members {
				m.kill()
			}
			for _, m := range r.members {
				m.restart()
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "all restarted" {
				t.Skip("-short: one way is enough for the race detector; `make test` tries all")
			}
			synctest.Test(t, func(t *testing.T) {
				r := newGroupRig(t, 5, nil)
				stop := make(chan struct{})
				list, wait := r.compete(6, 10*time.Second, stop)
				for range 3 {
					time.Sleep(3 * time.Second)
					c.harm(r)
				}
				time.Sleep(5 * time.Second)
				close(stop)
				wait()
				judgeGrants(t, list, 100)
				r.alike()
			})
		})
	}
}

func TestWithoutAMajorityLockCallsSaySoAndTheViewStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGroupRig(t, 3, nil)
		id := r.members[0].open(1, time.Hour)
		left := r.members[2]
		r.members[0].kill()
		r.members[1].kill()
		time.Sleep(3 * time.Second)
		_, err := left.Acquire(left.ctx(), wants(id, 1, "jobs", time.Minute), MaxPoll)
		if !errors.Is(err, ErrNoLeader) {
			t.Errorf("a lock without a majority: %v", err)
		}
		if _, err := left.Barrier(left.ctx()); !errors.Is(err, ErrNoLeader) {
			t.Errorf("a barrier without a majority: %v", err)
		}
		must(t, left.stop())
		left.restart()
		if v := left.View(); v == nil || v.Ring == nil {
			t.Error("a member that starts without the group knows no ring")
		}
		r.members[0].restart()
		time.Sleep(5 * time.Second)
		if got := left.acquire(wants(id, 1, "jobs", time.Minute), 0); got.Code != locks.CodeOK {
			t.Errorf("with a majority again: %v", got)
		}
	})
}

// A voter that is dead for long is replaced by a client, which is fed by its tail until
// raft has caught up; the dead one comes back as a client, on the state that it has.
func TestAClientTakesTheSeatOfADeadVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGroupRig(t, 4, nil)
		client := r.members[3]
		if role := client.Status().Role; role != RoleClient {
			t.Fatalf("the fourth member is a %v", role)
		}
		for _, seat := range client.Status().Seats {
			if !seat.Voter {
				t.Errorf("the client takes node %d for a learner", seat.Node)
			}
		}
		stop := make(chan struct{})
		list, wait := r.compete(4, 10*time.Second, stop)
		time.Sleep(time.Second)
		dead := r.others(r.leader(), client)[0]
		dead.kill()
		r.await(3*time.Minute, "the client votes", func() bool {
			return client.Status().Role == RoleVoter && client.Status().Source == 0
		})
		dead.restart()
		r.await(time.Minute, "the former voter tails", func() bool {
			s := dead.Status()
			return s.Role == RoleClient && s.Source != 0
		})
		dead.show()
		time.Sleep(5 * time.Second)
		close(stop)
		wait()
		judgeGrants(t, list, 100)
		r.alike()
	})
}

// alike demands that all members have the same state.
func (r *groupRig) alike() {
	r.t.Helper()
	for _, m := range r.members {
		m.barrier()
	}
	time.Sleep(time.Second)
	want, index := r.members[0].hash(), r.members[0].machine.applied()
	for _, m := range r.members[1:] {
		if m.hash() != want || m.machine.applied() != index {
			r.t.Errorf("node %d is at %d, node 1 at %d; the same state: %t", m.id, m.machine.applied(),
				index, m.hash() == want)
		}
	}
}

// Many sessions are kept alive through a change of leader.
func TestManySessionsOutliveTheirLeader(t *testing.T) {
	sessions := 10_000
	if testing.Short() {
		sessions = 500
	}
	synctest.Test(t, func(t *testing.T) {
		r := newGroupRig(t, 3, nil)
		stop := make(chan struct{})
		var lost atomic.Int64
		var clients sync.WaitGroup
		for i := range sessions {
			clients.Go(func() {
				c := &contender{r: r, turn: i, id: locks.SessionID{1, byte(i), byte(i >> 8), byte(i >> 16)}}
				open := state.SessionOpen{ID: c.id, Name: "many", TTL: 10 * time.Second}
				if _, err := c.try().Do(context.Background(), open); err != nil {
					t.Errorf("session %d: %v", i, err)
				}
				if c.keepAlive(10*time.Second, stop); c.lost != nil {
					lost.Add(1)
				}
			})
			if i%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		for range 2 {
			time.Sleep(15 * time.Second)
			m := r.leader()
			m.kill()
			time.Sleep(3 * time.Second)
			m.restart()
		}
		time.Sleep(15 * time.Second)
		close(stop)
		clients.Wait()
		if n := lost.Load(); n != 0 {
			t.Errorf("%d sessions of %d were lost", n, sessions)
		}
		r.members[0].Read(func(s *state.State) {
			if c := s.Locks().Counts(); c.Sessions != sessions {
				t.Errorf("%d sessions are left of %d", c.Sessions, sessions)
			}
		})
	})
}
