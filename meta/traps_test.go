// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// The traps of TRAPS section 6, L1 to L9, each at the group's services.

func TestL1AHolderWhoseSessionEndedLosesItsLockToAHigherFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		paused, next := n.open(1, 5*time.Second), n.open(2, time.Hour)
		held := n.acquire(wants(paused, 1, "jobs", 0), 0)
		got := n.acquire(wants(next, 1, "jobs", time.Minute), 20*time.Second)
		if got.Code != locks.CodeOK || got.Fence <= held.Fence {
			t.Fatalf("after the holder's session: %v, held %v", got, held)
		}
		// The former holder goes on as if nothing had happened.
		late := n.do(state.Release{Session: paused, Holder: 1, Name: "jobs", Fence: held.Fence})
		if late.Lock.Released {
			t.Error("a former holder released the lock of the present one")
		}
		if err := n.Renew(r.ctx, paused); !errors.Is(err, ErrSessionExpired) {
			t.Errorf("its renewal: %v", err)
		}
	})
}

func TestL2AWaiterWhoseSessionEndedIsNeverGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		a, b := n.open(1, time.Hour), n.open(2, 5*time.Second)
		held := n.acquire(wants(a, 1, "jobs", 0), 0)
		waited := n.acquire(wants(b, 1, "jobs", time.Minute), 20*time.Second)
		if waited.Code != locks.CodeSessionExpired {
			t.Errorf("a waiter of a session that ended: %v", waited)
		}
		n.do(state.Release{Session: a, Holder: 1, Name: "jobs", Fence: held.Fence})
		n.barrier()
		n.Read(func(s *state.State) {
			if lock, held := s.Locks().Lock("jobs"); held {
				t.Errorf("the lock went to %v", lock.Holders)
			}
		})
	})
}

func TestL3ALateReleaseDoesNotEndALaterGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		first := n.acquire(wants(id, 1, "jobs", 0), 0)
		release := state.Release{Session: id, Holder: 1, Name: "jobs", Fence: first.Fence}
		r.nodes[0].seat.loseAnswers(1)
		_, _ = n.Do(t.Context(), release) // its outcome is not known
		second := n.acquire(wants(id, 2, "jobs", 0), 0)
		if n.do(release).Lock.Released {
			t.Error("a late release ended a later grant")
		}
		if again := n.acquire(wants(id, 2, "jobs", 0), 0); again.Fence != second.Fence {
			t.Errorf("the grant changed: %v, %v", second, again)
		}
	})
}

// A release that this member itself proposes twice, since its first answer was lost, is
// not answered as one that came too late.
func TestL3AReleaseWhoseAnswerWasLostIsNotCalledLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		first := n.acquire(wants(id, 1, "jobs", 0), 0)
		r.nodes[0].seat.loseAnswers(1)
		result, err := n.Do(t.Context(), state.Release{
			Session: id, Holder: 1, Name: "jobs", Fence: first.Fence,
		})
		if err == nil && !result.Lock.Released || err != nil && !errors.Is(err, ErrUnknown) {
			t.Errorf("released %v, %v", result.Lock.Released, err)
		}
		if got := n.acquire(wants(id, 2, "jobs", 0), 0); got.Code != locks.CodeOK {
			t.Errorf("the lock is not free: %v", got.Code)
		}
	})
}

func TestL4APausedLeaderExpiresNobodyAndRenewsNobodyWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		old := r.nodes[0]
		id := old.open(1, 10*time.Second)
		keeper := r.keepAlive(r.nodes[2], id, 3*time.Second, 3*time.Second)
		time.Sleep(time.Second)
		old.pause()
		time.Sleep(time.Second)
		r.log.elect(r.nodes[1].seat)
		time.Sleep(30 * time.Second)
		renewed := make(chan wire.MetaCode, 1)
		go func() { // it reached the old leader before its pause ended
			q := wire.MetaRenewRequest{RemainingMS: 2000, Sessions: [][16]byte{id}}
			renewed <- old.serveRenew(r.ctx, &q).Code
		}()
		old.resume()
		if code := <-renewed; code == wire.MetaOK {
			t.Error("a leader that was paused answers a renewal")
		}
		old.seat.learn()
		time.Sleep(30 * time.Second)
		if err := keeper.stop(); err != nil {
			t.Errorf("the session was not kept alive: %v", err)
		}
		if n := old.seat.expiries(); n != 0 {
			t.Errorf("the old leader proposed %d expiries", n)
		}
		for _, n := range r.nodes {
			if !n.alive(id) {
				t.Errorf("node %d: the session has ended", n.cfg.Node)
			}
		}
	})
}

func TestL5ChangesOfLeaderEndNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		var keepers []*keeping
		for i := range 50 {
			n := r.nodes[i%4]
			id := n.open(byte(i+1), 10*time.Second)
			keepers = append(keepers, r.keepAlive(n, id, 3*time.Second, 3*time.Second))
		}
		for turn := range 20 {
			time.Sleep(4 * time.Second)
			r.log.depose()
			time.Sleep(3 * time.Second) // below TTL/2
			r.log.elect(r.nodes[turn%3].seat)
		}
		for i, k := range keepers {
			if err := k.stop(); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		}
		r.nodes[0].Read(func(s *state.State) {
			if c := s.Locks().Counts(); c.Sessions != 50 {
				t.Errorf("%d sessions are left of 50", c.Sessions)
			}
		})
	})
}

func TestL6EveryMemberHasTheSameState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 2, func(c *Config) { c.TailWait = 300 * time.Millisecond })
		late := r.nodes[4]
		late.machine.mu.Lock()
		late.machine.recent.limit = 1 << 10
		late.machine.mu.Unlock()
		for _, n := range r.nodes[:3] {
			n.machine.mu.Lock()
			n.machine.recent.limit = 1 << 10 // a client that is a little behind takes a snapshot
			n.machine.mu.Unlock()
		}
		id := r.nodes[0].open(1, time.Hour)
		for turn := range 5 {
			r.net.Partition([]string{"n5"}, []string{"n1", "n2", "n3", "n4"})
			for i := range 40 {
				holder := uint64(turn*40 + i + 1)
				r.nodes[i%4].acquire(wants(id, holder, string(rune('a'+i)), time.Minute), 0)
			}
			r.net.Heal()
			time.Sleep(10 * time.Second)
			want := r.nodes[0].hash()
			for _, n := range r.nodes {
				if n.hash() != want {
					t.Errorf("turn %d: node %d differs", turn, n.cfg.Node)
				}
			}
		}
	})
}

func TestL7ABarrierShowsWhatWasCommittedBeforeItOrFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, func(c *Config) {
			if c.Node == 1 {
				c.TryTimeout = 500 * time.Millisecond // it gives up before those who ask it
			}
		})
		old, follower := r.nodes[0], r.nodes[2]
		follower.seat.setLag(500 * time.Millisecond)
		id := old.open(1, time.Hour)
		if follower.alive(id) {
			t.Fatal("the follower does not lag")
		}
		if _, err := follower.Barrier(r.ctx); err != nil || !follower.alive(id) {
			t.Errorf("after a barrier the follower knows the session: %t, %v", follower.alive(id), err)
		}
		// The old leader is cut off with its belief, and must not answer from its memory.
		r.net.Partition([]string{"n1"}, []string{"n2", "n3"})
		old.seat.pause()
		r.log.elect(r.nodes[1].seat)
		old.seat.resume()
		ctx, cancel := context.WithTimeout(r.ctx, 3*time.Second)
		defer cancel()
		if _, err := old.Barrier(ctx); !errors.Is(err, ErrNoLeader) {
			t.Errorf("a barrier at a deposed leader: %v", err)
		}
		// Nor to one who asks it. A read has no unknown outcome: nothing was proposed.
		r.net.Partition([]string{"n1", "n3"}, []string{"n2"})
		r.log.believe(follower.seat, old.seat)
		ctx, cancel = context.WithTimeout(r.ctx, 3*time.Second)
		defer cancel()
		if _, err := follower.Barrier(ctx); !errors.Is(err, ErrNoLeader) ||
			errors.Is(err, ErrUnknown) {
			t.Errorf("a barrier of one who asks a deposed leader: %v", err)
		}
	})
}

func TestL8FencesAreOfTheLogAndNotOfALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		var last locks.Result
		for holder := uint64(1); holder <= 20; holder++ {
			name := string(rune('a' + holder%3)) // each of them is freed, forgotten and made again
			got := n.acquire(wants(id, holder, name, 0), 0)
			if got.Fence <= last.Fence || uint64(got.Fence) < got.Index || got.Index <= last.Index {
				t.Fatalf("holder %d: %v after %v", holder, got, last)
			}
			last = got
			n.do(state.Release{Session: id, Holder: holder, Name: name, Fence: got.Fence})
		}
	})
}

func TestL9TwoSessionsOfOneNameAreTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		a, b := n.open(1, time.Hour), n.open(2, time.Hour)
		if got := n.acquire(wants(a, 1, "jobs", 0), 0); got.Code != locks.CodeOK {
			t.Fatal(got)
		}
		if got := n.acquire(wants(b, 1, "jobs", 0), 0); got.Code != locks.CodeHeld {
			t.Errorf("another session of the same name: %v", got)
		}
		if got := n.acquire(wants(a, 2, "jobs", 0), 0); got.Code != locks.CodeHeld {
			t.Errorf("another holder of the same session: %v", got)
		}
	})
}

// keeping keeps a session alive, as a client does: a call every so often, each with some
// time to be answered.
type keeping struct {
	cancel context.CancelFunc
	runs   sync.WaitGroup
	err    error
	last   time.Time // when the last call that was answered was sent
}

func (r *rig) keepAlive(n *rigNode, id locks.SessionID, every, within time.Duration) *keeping {
	ctx, cancel := context.WithCancel(r.ctx)
	k := &keeping{cancel: cancel, last: time.Now()}
	k.runs.Go(func() {
		for ctx.Err() == nil {
			sent := time.Now()
			limited, done := context.WithTimeout(ctx, within)
			err := n.Renew(limited, id)
			done()
			switch {
			case err == nil:
				k.last = sent
			case errors.Is(err, ErrSessionExpired):
				k.err = err
				return
			}
			sleep(ctx, time.Until(sent.Add(every)))
		}
	})
	return k
}

// stop ends it and says whether the session was lost.
func (k *keeping) stop() error {
	k.cancel()
	k.runs.Wait()
	return k.err
}

func (n *rigNode) hash() (hash [32]byte) {
	n.Read(func(s *state.State) { hash = s.Hash() })
	return hash
}
