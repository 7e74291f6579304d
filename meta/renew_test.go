// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// counting counts a member's calls by method, and may fail them.
type counting struct {
	caller
	mu    sync.Mutex
	calls map[string]int
	fail  func(method string) error
}

func (c *counting) call(
	ctx context.Context, node kv.NodeID, method string, params rpc.AppendParams,
) ([]byte, error) {
	c.mu.Lock()
	c.calls[method]++
	fail := c.fail
	c.mu.Unlock()
	if fail != nil {
		if err := fail(method); err != nil {
			return nil, err
		}
	}
	return c.caller.call(ctx, node, method, params)
}

// failing sets what fails calls.
func (c *counting) failing(fail func(method string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = fail
}

func (c *counting) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

func TestRenewalsOfAMemberTravelInOneBatchASixthOfTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		calls := n.calls
		const sessions, span = 100, 60 * time.Second
		var keepers []*keeping
		for i := range sessions {
			id := n.open(byte(i+1), 12*time.Second)
			keepers = append(keepers, r.keepAlive(n, id, 4*time.Second, 16*time.Second))
			time.Sleep(37 * time.Millisecond)
		}
		n.barrier()
		before, confirmed := calls.count(wire.MethodMetaRenew), r.nodes[0].seat.confirmations()
		time.Sleep(span)
		batches := calls.count(wire.MethodMetaRenew) - before
		if most := int(span/(2*time.Second)) + 1; batches > most || batches < most/2 {
			t.Errorf("%d batches in %v, a sixth of the TTL is 2s", batches, span)
		}
		if c := r.nodes[0].seat.confirmations() - confirmed; c > batches+1 {
			t.Errorf("%d confirmations for %d batches", c, batches)
		}
		for i, k := range keepers {
			if err := k.stop(); err != nil || time.Since(k.last) > 7*time.Second {
				t.Errorf("session %d: %v, renewed %v ago", i, err, time.Since(k.last))
			}
		}
	})
}

func TestARenewalWithoutCompanyGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		id := n.open(1, 30*time.Second)
		n.barrier()
		for range 3 {
			time.Sleep(10 * time.Second)
			began := time.Now()
			must(t, n.Renew(r.ctx, id))
			if took := time.Since(began); took > 100*time.Millisecond {
				t.Errorf("a renewal took %v", took)
			}
		}
	})
}

func TestBatchesOfAWindowShareOneConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		leader := r.nodes[0]
		id := leader.open(1, time.Minute)
		before := leader.seat.confirmations()
		var renewals sync.WaitGroup
		for i := range 40 {
			renewals.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if renewed, _, err := leader.renewHere(r.ctx, [][16]byte{id, {9}}); err != nil ||
					!renewed[0] || renewed[1] {
					t.Errorf("batch %d: %v, %v", i, renewed, err)
				}
			})
		}
		renewals.Wait()
		if c := leader.seat.confirmations() - before; c != 1 {
			t.Errorf("%d confirmations for the batches of one window", c)
		}
	})
}

// Another member may have led between two terms of this one, and ended what the office of
// the first knows.
func TestAnOfficeOfAnEarlierTermRenewsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		leader := r.nodes[0]
		id := leader.open(1, time.Minute)
		ctx, cancel := context.WithCancel(r.ctx)
		defer cancel()
		old := newOffice(leader.Group, leadership{Leads: true, Term: leader.Status().Term - 1})
		leader.machine.read(old.reset)
		go old.renews(ctx)
		if renewed, err := old.renew(ctx, [][16]byte{id}); err == nil {
			t.Errorf("renewed: %v", renewed)
		}
	})
}

// A renewal whose batch nobody answered is answered by a later one that carried it.
func TestARenewalSurvivesBatchesThatWereLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[2]
		calls := n.calls
		id := n.open(1, 12*time.Second)
		calls.failing(func(method string) error {
			if method == wire.MethodMetaRenew && calls.count(method) <= 5 {
				return rpc.ErrUnanswered
			}
			return nil
		})
		must(t, n.Renew(r.ctx, id))
		if c := calls.count(wire.MethodMetaRenew); c < 6 || c > 9 {
			t.Errorf("it took %d batches", c)
		}
		// Nor is it lost where none is answered for longer than a call takes.
		healed := time.Now().Add(7 * time.Second)
		calls.failing(func(method string) error {
			if method == wire.MethodMetaRenew && time.Now().Before(healed) {
				return rpc.ErrUnanswered
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(r.ctx, 11*time.Second)
		defer cancel()
		must(t, n.Renew(ctx, id))
		if err := n.Renew(r.ctx, locks.SessionID{7}); !errors.Is(err, ErrSessionExpired) {
			t.Errorf("a session that never was: %v", err)
		}
	})
}

func TestRenewWithoutALeaderSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Minute)
		r.log.depose()
		began := time.Now()
		if err := n.Renew(r.ctx, id); !errors.Is(err, ErrNoLeader) {
			t.Errorf("without a leader: %v", err)
		}
		if took := time.Since(began); took != n.cfg.CallTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// BenchmarkRenewBatch measures what the leader pays for the renewals of 50,000 sessions
// with a TTL of 15 s, that arrive in batches: ns/op are those of one session.
func BenchmarkRenewBatch(b *testing.B) {
	const sessions, batch = 50_000, 8_000
	o := newOffice(&Group{cfg: Config{RenewWindow: 0}}, leadership{})
	now := time.Now()
	ids := make([][16]byte, sessions)
	var leases []locks.Lease
	for i := range ids {
		ids[i] = [16]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}
		leases = append(leases, locks.Lease{Session: ids[i], TTL: 15 * time.Second})
	}
	o.leases.Arm(leases, now)
	message := wire.AppendMetaRenewRequest(nil, &wire.MetaRenewRequest{Sessions: ids[:batch]})
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		var q wire.MetaRenewRequest
		must(b, wire.DecodeMetaRenewRequest(message, &q))
		rb := &renewBatch{sessions: q.Sessions, done: make(chan struct{})}
		for _, id := range rb.sessions {
			o.leases.Renew(id, now)
		}
		o.settle([]*renewBatch{rb}, nil)
		wire.AppendMetaRenewReply(nil, &wire.MetaRenewReply{Renewed: rb.renewed})
	}
}
