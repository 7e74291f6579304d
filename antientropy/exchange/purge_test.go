// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// purgeWorld stands in for everything around a purger of node 1: the group, the sends, this
// node's replica, and those of all others, which answer as answer says.
type purgeWorld struct {
	ring   *ring.Ring
	mu     sync.Mutex // held over answer
	answer func(node kv.NodeID, method string) wire.PurgeStep
	asked  []string // of node 2

	began, committed kv.PurgeEpoch
	failing          error
	mark, ended      uint64
	down             kv.NodeID
	expired          []string
	budget           plenty
}

func (w *purgeWorld) step(node kv.NodeID, method string, q *wire.PurgeRequest) wire.PurgeReply {
	w.mu.Lock()
	defer w.mu.Unlock()
	reply := wire.PurgeReply{Code: wire.ReplicaOK, Step: w.answer(node, method)}
	if method == wire.MethodPurgeConfirm {
		reply.Holds = slices.Repeat([]bool{true}, len(q.Items))
	}
	return reply
}

func (w *purgeWorld) LookPurge(_ context.Context, q *wire.PurgeRequest) wire.PurgeReply {
	return w.step(1, wire.MethodPurgeLook, q)
}

func (w *purgeWorld) ConfirmPurge(_ context.Context, q *wire.PurgeRequest) wire.PurgeReply {
	return w.step(1, wire.MethodPurgeConfirm, q)
}

func (w *purgeWorld) AdoptPurge(_ context.Context, q *wire.PurgeRequest) wire.PurgeReply {
	return wire.PurgeReply{Code: wire.ReplicaOK, Step: wire.PurgeOpen}
}

func (w *purgeWorld) DrainPurge(_ context.Context, q *wire.PurgeRequest) wire.PurgeReply {
	return w.step(1, wire.MethodPurgeAdopt, q)
}

func (w *purgeWorld) DeletePurged(_ context.Context, q *wire.PurgeRequest) wire.PurgeReply {
	return w.step(1, wire.MethodPurgeDelete, q)
}

func (w *purgeWorld) HeedPurge(context.Context, uint16, kv.PurgeEpoch) error { return nil }

func (w *purgeWorld) Overdue(uint16, storage.Position, time.Duration, time.Duration) (
	replica.Overdue, error,
) {
	return replica.Overdue{
		Items: oneItem, Expired: []replica.Outlived{{Key: []byte("old")}, {Key: []byte("older")}},
		Bytes: 1000,
	}, nil
}

func (w *purgeWorld) Purge(
	node kv.NodeID, method string, q *wire.PurgeRequest, _ time.Time,
	done func(wire.PurgeReply, error),
) {
	if node == 2 {
		w.asked = append(w.asked, method)
	}
	done(w.step(node, method, q), nil)
}

func (w *purgeWorld) BeginPurge(
	context.Context, uint16, kv.PlacementVersion, kv.PurgeEpoch,
) (kv.PurgeEpoch, error) {
	w.began++
	return w.began, nil
}

func (w *purgeWorld) CommitPurge(_ context.Context, r antientropy.Round) error {
	w.committed = r.Epoch
	return w.failing
}

func (w *purgeWorld) Purged(uint16) kv.PurgeEpoch { return w.committed }

func (w *purgeWorld) Registered(context.Context) ([]kv.NodeID, error) {
	return []kv.NodeID{1, 2, 3}, nil
}

func (w *purgeWorld) MarkSends() uint64  { w.mark++; return w.mark }
func (w *purgeWorld) EndedSends() uint64 { return w.ended }

// purgerOf is a purger in a world in which every step is taken.
func purgerOf(t *testing.T) (*Purger, *purgeWorld) {
	w := &purgeWorld{
		ring: newStage(t, nil).cfg.Ring(), ended: 100,
		answer: func(kv.NodeID, string) wire.PurgeStep { return wire.PurgeTaken },
	}
	cfg := DefaultPurgeConfig(time.Hour)
	cfg.Node, cfg.Ring = 1, func() *ring.Ring { return w.ring }
	cfg.Budget = &w.budget
	cfg.Expire = func(_ context.Context, _ kv.BucketID, key []byte, _ kv.Object) error {
		w.expired = append(w.expired, string(key))
		return nil
	}
	cfg.Alive = func(node kv.NodeID) bool { return node != w.down }
	u, err := NewPurger(cfg, w, w, w, w, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return u, w
}

var oneItem = []antientropy.Item{{Key: []byte("k")}}

func TestARoundTakesItsStepsInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, w := purgerOf(t)
		if err := u.lead(t.Context(), 0, oneItem); err != nil {
			t.Fatal(err)
		}
		want := []string{
			wire.MethodPurgeLook, wire.MethodPurgeConfirm, wire.MethodPurgeAdopt,
			wire.MethodPurgeDelete,
		}
		if !slices.Equal(w.asked, want) || w.committed != 1 {
			t.Errorf("asked for %v, committed %d", w.asked, w.committed)
		}
	})
}

// A round that can not go on ends before the next step, whoever it is that can not.
func TestARoundThatCanNotGoOnEnds(t *testing.T) {
	for _, method := range []string{
		wire.MethodPurgeLook, wire.MethodPurgeConfirm, wire.MethodPurgeAdopt, wire.MethodPurgeDelete,
	} {
		for node := kv.NodeID(1); node <= 3; node++ {
			synctest.Test(t, func(t *testing.T) {
				u, w := purgerOf(t)
				deleted := false
				w.answer = func(n kv.NodeID, m string) wire.PurgeStep {
					deleted = deleted || m == wire.MethodPurgeDelete
					if n == node && m == method {
						return wire.PurgeOpen
					}
					return wire.PurgeTaken
				}
				if err := u.lead(t.Context(), 0, oneItem); !errors.Is(err, errNotNow) {
					t.Errorf("%s of node %d is open: %v", method, node, err)
				}
				began := method != wire.MethodPurgeLook
				committed := began && method != wire.MethodPurgeConfirm
				if (w.began == 1) != began || (w.committed == 1) != committed ||
					deleted != (method == wire.MethodPurgeDelete) {
					t.Errorf("%s of node %d is open: began %d, committed %d, deleted %t", method, node,
						w.began, w.committed, deleted)
				}
			})
		}
	}
}

// TestTrapG2NoRoundBeginsWhileAMemberSeemsDown: it would end without a purge.
func TestTrapG2NoRoundBeginsWhileAMemberSeemsDown(t *testing.T) {
	u, w := purgerOf(t)
	w.down = 3
	if err := u.lead(t.Context(), 0, oneItem); !errors.Is(err, errNotNow) || w.asked != nil {
		t.Errorf("%v, asked for %v", err, w.asked)
	}
}

func TestNothingIsPurgedThatIsNotCommitted(t *testing.T) {
	u, w := purgerOf(t)
	w.failing = errors.New("no leader")
	if err := u.lead(t.Context(), 0, oneItem); !errors.Is(err, w.failing) {
		t.Error(err)
	}
	if slices.Contains(w.asked, wire.MethodPurgeAdopt) {
		t.Errorf("asked for %v", w.asked)
	}
}

// TestTrapG3SendsOfBeforeEndBeforeANodeHasDrained: those that began later are not waited for.
func TestTrapG3SendsOfBeforeEndBeforeANodeHasDrained(t *testing.T) {
	u, w := purgerOf(t)
	w.ended = 0
	adopt := func(epoch kv.PurgeEpoch) wire.PurgeStep {
		return u.Take(t.Context(), wire.MethodPurgeAdopt, &wire.PurgeRequest{Epoch: epoch}).Step
	}
	for range 3 {
		if step := adopt(5); step != wire.PurgeOpen {
			t.Fatalf("while sends are open the step is %d", step)
		}
	}
	if w.ended = 1; adopt(5) != wire.PurgeTaken {
		t.Error("sends that began after the adoption are waited for")
	}
	if adopt(6) != wire.PurgeOpen {
		t.Error("the next round has not waited for its sends")
	}
}

// Only the first owner of a partition leads its rounds.
func TestOnlyTheFirstOwnerLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, w := purgerOf(t)
		ctx, cancel := context.WithTimeout(t.Context(), u.cfg.Every+time.Minute)
		defer cancel()
		if err := u.Run(ctx); err != nil {
			t.Fatal(err)
		}
		mine := 0
		for p := range w.ring.Partitions() {
			if w.ring.Placement(uint16(p)).Slots[0].Owner == 1 {
				mine++
			}
		}
		if int(w.began) != mine || mine == 0 {
			t.Errorf("%d rounds, first owner of %d partitions", w.began, mine)
		}
		if len(w.expired) != 2*mine || w.expired[0] != "old" {
			t.Errorf("expired %q", w.expired)
		}
	})
}

// What is looked through, and what is written in the place of what has expired, comes out of
// what all background work shares: where nothing is left nothing is written.
func TestTheSweepTakesFromTheSharedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, w := purgerOf(t)
		var p uint16
		for w.ring.Placement(p).Slots[0].Owner != 1 {
			p++
		}
		if err := u.tend(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		want := 1000 + len("old") + len("older") + 2*(kv.Object{}.Size()+budget.Piece)
		if w.budget.bytes != want || len(w.expired) != 2 {
			t.Errorf("%d bytes were taken for %q, want %d", w.budget.bytes, w.expired, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a budget that grants nothing until the node ends
		if err := u.tend(ctx, p); !errors.Is(err, context.Canceled) || len(w.expired) != 2 {
			t.Errorf("%v, expired %q", err, w.expired)
		}
	})
}

func TestFaultsOfAPurgersConfigAreToldAllAtOnce(t *testing.T) {
	_, err := NewPurger(PurgeConfig{Grace: -1}, nil, nil, nil, nil, zap.NewNop())
	if err == nil || len(err.Error()) < 80 {
		t.Errorf("%v", err)
	}
}
