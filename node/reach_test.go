// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

func TestPointsHaveNamesOfTheirOwn(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range Points() {
		room, what, ok := strings.Cut(p.Name, "/")
		if !ok || room == "" || !strings.HasPrefix(what, "before-") || seen[p.Name] {
			t.Errorf("%q is no name, or two points have it", p.Name)
		}
		seen[p.Name] = true
	}
}

// TestEveryPointIsReachedByAnOrdinaryRun: a point that no run of a small cluster passes
// would make a simulation look at less than it claims.
func TestEveryPointIsReachedByAnOrdinaryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, 3)
		points := fail.NewSet()
		r.tune = func(cfg *Config) { cfg.Points, cfg.PurgeGrace = points, 0 }
		r.startAll()
		ordinaryRun(t, r)
		readRepair(t, r, points)
		time.Sleep(10 * time.Minute) // and what was deleted is purged
		for _, m := range r.members {
			must(t, m.stop())
		}
		refilled(t, points)
		for _, p := range Points() {
			if points.Hits(p.Name) == 0 {
				t.Errorf("%s was not reached", p.Name)
			}
		}
	})
}

// refilled has one of three members lose its store, and waits until it is full again.
func refilled(t *testing.T, points *fail.Set) {
	t.Helper()
	r := newRig(t, 3, 3)
	r.formed = true
	rejoin := false
	r.tune = func(cfg *Config) { cfg.Points, cfg.Rejoin = points, rejoin }
	r.startAll()
	must(t, r.members[0].client().put(strict("k", "v")))
	lost := r.members[1]
	must(t, lost.stop())
	lost.data, lost.ctrl, rejoin = storage.NewMemory(), storage.NewMemory(), true
	lost.start()
	eventually(t, time.Minute, "it is full", func() bool { return lost.life.node.Status().Ready })
	got, err := lost.client().get(wire.GetRequest{Key: []byte("k")})
	must(t, err)
	if len(got.Siblings) != 1 {
		t.Errorf("%d values after the refill", len(got.Siblings))
	}
}

// TestOrdinaryRunWithEveryPointTakingItsTime: what waits at a point holds up nothing but
// what is behind it.
func TestOrdinaryRunWithEveryPointTakingItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, 3)
		points := fail.NewSet()
		r.tune = func(cfg *Config) { cfg.Points = points }
		for _, p := range Points() {
			nap := func() error { time.Sleep(5 * time.Millisecond); return nil }
			points.Arm(p.Name, fail.Plan{Hook: nap})
		}
		r.startAll()
		ordinaryRun(t, r)
	})
}

// ordinaryRun writes, retries, deletes and reads; one member misses some of it, and comes
// back after a crash.
func ordinaryRun(t *testing.T, r *rig) {
	t.Helper()
	keys := []string{"a", "b", "c", "d", "e", "f"}
	for _, m := range r.members {
		s := m.client()
		for _, key := range keys {
			must(t, s.put(strict(key, "value of "+key)))
		}
		again := strict("again", "once")
		again.RequestID = kv.RequestID{1}
		must(t, s.put(again))
		must(t, s.put(again))
	}
	crashed, s := r.members[1], r.members[0].client()
	crashed.kill(true)
	time.Sleep(10 * time.Second) // nobody asks it any more
	for _, key := range keys {
		eventually(t, time.Minute, "two of three take a write", func() bool {
			return s.put(wire.PutRequest{Key: []byte(key), Value: []byte("later")}) == nil
		})
	}
	withoutFallbacks(r, s)
	_, err := s.Call(context.Background(), wire.MethodDelete, func(dst []byte) []byte {
		return wire.AppendDeleteRequest(dst, &wire.DeleteRequest{Key: []byte("a")})
	})
	must(t, err)
	crashed.start()
	r.awaitReady()
	for i, key := range keys {
		all := wire.ReadOptions{R: kv.LevelAll, Atomic: i%2 == 0}
		_, err := s.get(wire.GetRequest{Key: []byte(key), ReadOptions: all})
		must(t, err)
	}
}

// readRepair has an owner miss a write, and a read find that before a hint tells of it.
func readRepair(t *testing.T, r *rig, points *fail.Set) {
	t.Helper()
	s := r.members[0].client()
	points.Arm(replica.PointMerge, fail.Plan{Times: 1, Err: errors.New("broken on purpose")})
	must(t, s.put(strict("behind", "v")))
	_, err := s.get(wire.GetRequest{
		Key: []byte("behind"), ReadOptions: wire.ReadOptions{R: kv.LevelAll},
	})
	must(t, err)
}

// withoutFallbacks writes while so many members are down that some keys have two owners,
// who note what the third lacks, and no fallback. Others can not be written at all.
func withoutFallbacks(r *rig, s *session) {
	for _, m := range r.members[2:4] {
		m.kill(true)
	}
	time.Sleep(10 * time.Second)
	for i := range 64 {
		_ = s.put(wire.PutRequest{Key: fmt.Appendf(nil, "k-%d", i), Value: []byte("v")})
	}
	for _, m := range r.members[2:4] {
		m.start()
	}
}

// TestOpeningThatIsToFail: what an error at the points of an opening and of a clean end
// does.
func TestOpeningThatIsToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		points := fail.NewSet()
		r.tune = func(cfg *Config) {
			if cfg.Name == "n1" {
				cfg.Points = points
			}
		}
		broken := errors.New("broken on purpose")
		points.Arm(PointConfirm, fail.Plan{Times: 3, Err: broken}) // like a group out of reach
		r.startAll()
		m := r.members[0]
		points.Arm(PointCleanMark, fail.Plan{Times: 1, Err: broken})
		if err := m.stop(); !errors.Is(err, broken) {
			t.Errorf("Run returned %v, want that no clean mark was written", err)
		}
		if len(m.controlRecords()[wire.KeyCleanMark]) > 0 {
			t.Error("there is a clean mark")
		}
		points.Arm(PointOpening, fail.Plan{Times: 1, Err: broken})
		if _, err := Open(t.Context(), m.config(&life{}), zap.NewNop()); !errors.Is(err, broken) {
			t.Errorf("Open returned %v, want that it could not be written down", err)
		}
		points.Arm(PointConfirmed, fail.Plan{Times: 1, Err: broken})
		m.start()
		if err := <-m.life.ended; !errors.Is(err, broken) {
			t.Errorf("Run returned %v, want that the confirmation was not written", err)
		}
		m.life = nil
		m.start()
		r.awaitReady()
		if got := m.life.node.membership.Load().opening.past.Stop; got != replica.StopKilled {
			t.Errorf("the last life ended %s, want killed", got)
		}
	})
}
