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
	"github.com/dyno-kv/dyno/wire"
)

// The rules of docs/design LOCKS, R1 to R7, each at the group's services.

func TestR1TimeExistsOnlyInWhatTheLeaderProposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		id := r.nodes[3].open(1, 10*time.Second)
		r.log.depose()
		time.Sleep(time.Hour)
		for _, n := range r.nodes {
			if !n.alive(id) {
				t.Errorf("node %d: the session ended without a leader", n.cfg.Node)
			}
		}
		r.log.elect(r.nodes[1].seat)
		time.Sleep(11 * time.Second)
		for _, n := range r.nodes {
			if n.alive(id) {
				t.Errorf("node %d: the session lives on", n.cfg.Node)
			}
		}
		for i, n := range r.nodes {
			if expired := n.seat.expiries(); (i == 1) != (expired > 0) {
				t.Errorf("node %d proposed %d expiries", n.cfg.Node, expired)
			}
		}
	})
}

func TestR2ANewLeaderArmsEverySessionWithItsFullTTLBeforeItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		id := r.nodes[0].open(1, 10*time.Second)
		time.Sleep(9 * time.Second)
		r.nodes[1].seat.setLag(2 * time.Second)
		r.log.elect(r.nodes[1].seat)
		// Its own first entry is not applied yet.
		time.Sleep(time.Second)
		if _, _, err := r.nodes[1].renewHere(r.ctx, [][16]byte{id}); !errors.Is(err, errNotArmed) {
			t.Errorf("a leader that is not armed answers a renewal: %v", err)
		}
		time.Sleep(10 * time.Second) // 20 s after it was opened, 9 s after it was armed
		if !r.nodes[2].alive(id) {
			t.Error("the session ended before its full TTL at the new leader")
		}
		time.Sleep(4 * time.Second)
		if r.nodes[2].alive(id) {
			t.Error("the session lives longer than its TTL at the new leader")
		}
	})
}

func TestR3ARenewalIsAnsweredOnlyByAConfirmedLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		old := r.nodes[0]
		id := old.open(1, 10*time.Second)
		before := old.seat.confirmations()
		if err := old.Renew(r.ctx, id); err != nil {
			t.Fatal(err)
		}
		if after := old.seat.confirmations(); after == before {
			t.Error("a renewal was answered without a confirmation")
		}
		// The leader does not hear of its successor.
		r.net.Partition([]string{"n1"}, []string{"n2", "n3"})
		old.seat.pause()
		r.log.elect(r.nodes[1].seat)
		old.seat.resume()
		q := wire.MetaRenewRequest{RemainingMS: 5000, Sessions: [][16]byte{id}}
		if reply := old.serveRenew(r.ctx, &q); reply.Code == wire.MetaOK {
			t.Errorf("a deposed leader answers a renewal: %+v", reply)
		}
	})
}

func TestR4AfterAnExpiryIsProposedItsSessionsAreNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		leader := r.nodes[0]
		id := leader.open(1, 5*time.Second)
		r.log.setStall(3 * time.Second) // what is proposed is committed so much later
		time.Sleep(5100 * time.Millisecond)
		if leader.seat.expiries() == 0 {
			t.Fatal("nothing is proposed")
		}
		ctx, cancel := context.WithTimeout(r.ctx, 2500*time.Millisecond)
		defer cancel()
		if err := leader.Renew(ctx, id); !errors.Is(err, ErrNoLeader) {
			t.Errorf("a session whose expiry is proposed, and not decided: %v", err)
		}
		r.log.setStall(0)
		time.Sleep(5 * time.Second)
		if err := leader.Renew(r.ctx, id); !errors.Is(err, ErrSessionExpired) {
			t.Errorf("an expired session is renewed: %v", err)
		}
	})
}

func TestR4AnExpiryCountsOnlyInItsOwnTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		id := r.nodes[0].open(1, 10*time.Second)
		r.log.elect(r.nodes[1].seat)
		stale := state.SessionExpire{IDs: []locks.SessionID{id}, Term: r.log.term - 1}
		if result := r.nodes[2].do(stale); result.Lock.Code != locks.CodeStaleTerm {
			t.Errorf("an expiry of the term before: %v", result.Lock)
		}
		if !r.nodes[2].alive(id) {
			t.Error("it ended the session")
		}
	})
}

func TestR5FencesRiseThroughFreeLocksLeadersAndGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		var last kv.Fence
		for holder := uint64(1); holder <= 6; holder++ {
			got := n.acquire(wants(id, holder, "jobs", 0), 0)
			if got.Code != locks.CodeOK || got.Fence <= last {
				t.Fatalf("holder %d: %v after fence %d", holder, got, last)
			}
			last = got.Fence
			n.do(state.Release{Session: id, Holder: holder, Name: "jobs", Fence: got.Fence})
			switch holder {
			case 2:
				r.log.elect(r.nodes[1].seat)
			case 4:
				n.do(state.GenerationBump{Previous: 0})
			}
		}
		if generation := last >> 48; generation != 1 {
			t.Errorf("the last fence %d is of generation %d", last, generation)
		}
	})
}

func TestR6ARetryAfterALostAnswerIsTheSameAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		a, b := n.open(1, time.Hour), n.open(2, time.Hour)
		r.nodes[0].seat.loseAnswers(2)
		first := n.acquire(wants(a, 1, "jobs", time.Minute), 0)
		if first.Code != locks.CodeOK {
			t.Fatalf("acquire with a lost answer: %v", first)
		}
		if again := n.acquire(wants(a, 1, "jobs", time.Minute), 0); again.Fence != first.Fence {
			t.Errorf("the same attempt got fences %d and %d", first.Fence, again.Fence)
		}
		r.nodes[0].seat.loseAnswers(2)
		if queued := n.acquire(wants(b, 1, "jobs", time.Minute), 0); queued.Code != locks.CodeQueued ||
			queued.Position != 1 {
			t.Errorf("queued with a lost answer: %v", queued)
		}
	})
}

func TestR7NothingThatTheDataPathAsksWaitsForTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		r.nodes[3].do(state.FormRing{})
		r.log.depose()
		for _, n := range r.nodes[:3] {
			n.pause()
		}
		n := r.nodes[3]
		go n.Do(r.ctx, state.FormRing{}) // it waits, the others do not
		began := time.Now()
		if v := n.View(); v == nil || v.Ring == nil {
			t.Error("no ring")
		}
		changed, done := n.Watch()
		<-changed
		done()
		n.Hear(99, 1)
		n.Read(func(*state.State) {})
		n.Status()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		_, err := n.Do(r.ctx, state.FormRing{})
		if !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrUnknown) {
			t.Errorf("a command without a leader: %v", err)
		}
		for _, n := range r.nodes[:3] {
			n.resume()
		}
	})
}
