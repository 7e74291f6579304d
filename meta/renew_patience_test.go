// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/locks"
)

// A sixth of a long TTL is more time than a request has: its renewal must not be kept back
// for company until its caller has gone.
func TestARenewalOfALongSessionIsAnsweredInTheTimeOfItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		id := n.open(1, time.Hour)
		n.barrier()
		for i := range 5 {
			ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
			began := time.Now()
			if err := n.Renew(ctx, id); err != nil {
				t.Errorf("renewal %d: %v after %v", i, err, time.Since(began))
			}
			cancel()
		}
	})
}

// Whoever has little time left for a renewal must not spend it waiting for company.
func TestARenewalWithLittleTimeIsHurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		id, other := n.open(1, 12*time.Second), n.open(2, 12*time.Second)
		n.barrier()
		for _, left := range []time.Duration{800 * time.Millisecond, 4 * time.Second} {
			must(t, n.Renew(r.ctx, other)) // the next batch would be two seconds later
			ctx, cancel := context.WithTimeout(r.ctx, left)
			began := time.Now()
			err := n.Renew(ctx, id)
			if took := time.Since(began); err != nil || took > left/hurryShare+100*time.Millisecond {
				t.Errorf("with %v left: %v after %v", left, err, took)
			}
			cancel()
		}
	})
}

// A leader that is paused holds up a batch no longer than it takes to elect another, but for
// what a member without a seat needs to hear of that one.
func TestRenewalsFindTheNextLeaderOfOneThatIsPaused(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		synctest.Test(t, func(t *testing.T) {
			r := newGroupRig(t, 5, nil)
			leader := r.leader()
			var ids []locks.SessionID
			for i := range r.members {
				ids = append(ids, leader.open(byte(i+1), time.Minute))
			}
			for _, m := range r.members {
				m.barrier()
			}
			time.Sleep(time.Duration(round) * 70 * time.Millisecond)
			began := time.Now()
			r.net.Pause(leader.host)
			var elected time.Time
			took := make([]time.Duration, len(r.members))
			done := make(chan int)
			waiting := 0
			for i, m := range r.members {
				if m == leader {
					continue
				}
				waiting++
				go func() {
					defer func() { done <- i }()
					ctx, cancel := context.WithTimeout(m.ctx(), 20*time.Second)
					defer cancel()
					time.Sleep(time.Duration(i) * 100 * time.Millisecond)
					if err := m.Renew(ctx, ids[i]); err != nil {
						t.Errorf("node %d: %v", m.id, err)
					}
					took[i] = time.Since(began)
				}()
			}
			r.await(20*time.Second, "another leads", func() bool {
				next := r.leader()
				return next != nil && next != leader && next.Group.office.Load() != nil
			})
			elected = time.Now()
			for range waiting {
				<-done
			}
			for i, m := range r.members {
				limit := 300 * time.Millisecond
				if m.Status().Role == RoleClient {
					limit = 900 * time.Millisecond
				}
				if m != leader && began.Add(took[i]).After(elected.Add(limit)) {
					t.Errorf("round %d: node %d, %v: renewed %v after another led", round, m.id,
						m.Status().Role, began.Add(took[i]).Sub(elected))
				}
			}
			r.net.Resume(leader.host)
		})
	}
}
