// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

const (
	lostNode kv.NodeID           = 2
	newLife  kv.Instance         = 20
	since    kv.PlacementVersion = 9
)

// refilled is the ring in which node 2 has lost its store: it begins a new life.
func refilled(t testing.TB, before *ring.Ring) *ring.Ring {
	return changed(t, before, func(s *ring.State) {
		var err error
		if s.Placements, _, err = ring.BeginRefill(s.Placements, lostNode, since); err != nil {
			t.Fatal(err)
		}
		for i := range s.Members {
			if s.Members[i].ID == lostNode {
				s.Members[i].Instance = newLife
			}
		}
	})
}

func fencing() *wire.FenceRequest {
	return &wire.FenceRequest{Node: lostNode, Life: newLife, Since: since, Instance: instance}
}

// keeper is a place for fences.
type keeper struct{ kept []wire.PlacementFence }

func (k *keeper) keep(fences []wire.PlacementFence) error {
	k.kept = slices.Clone(fences)
	return nil
}

func TestTrapsT5AFenceIsDurableAndOutlivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var k keeper
		l := begin(t, setup{verdict: kv.VerdictConfirmed, keep: k.keep})
		old := l.target("k")
		if reply := l.Fence(t.Context(), fencing()); reply.Code == wire.ReplicaOK {
			t.Fatal("fenced by a ring that knows nothing of the loss")
		}
		if len(k.kept) > 0 {
			t.Fatalf("kept %v", k.kept)
		}
		l.ring.Store(refilled(t, l.ring.Load()))
		l.put("k", "v", vclock.Context{})
		if reply := l.Fence(t.Context(), fencing()); reply.Code != wire.ReplicaOK {
			t.Fatalf("code %d, %s", reply.Code, reply.Detail)
		}
		var want []wire.PlacementFence
		for p := range uint16(partitions) {
			want = append(want, wire.PlacementFence{Partition: p, Version: since})
		}
		if diff := cmp.Diff(want, k.kept); diff != "" {
			t.Error(diff)
		}
		after := l.stopped()
		after.keep, after.past.Fences, after.ring = k.keep, k.kept, refilled(t, newRing(t))
		after.verdict = kv.VerdictConfirmed
		next := begin(t, after)
		read := &wire.ReadRequest{Target: old, Mode: wire.ReadFull}
		if r := next.Read(read); r.Code == wire.ReplicaOK {
			t.Errorf("a read of placement %d is answered", old.Placement)
		}
		q := next.copying("k", foreign(1, "late", kv.Object{}, vclock.Context{}))
		q.Placement = old.Placement
		if r := next.merge(q); r.Code == wire.ReplicaOK {
			t.Errorf("a write of placement %d is taken", old.Placement)
		}
		if got := values(next.object("k")); len(got) != 1 || got[0] != "v" {
			t.Errorf("a read of the present placement shows %v", got)
		}
	})
}

// Goal: what was applied before the fence and not answered yet is not answered any more,
// and is there to be copied.
func TestTrapsT4AFenceWaitsForWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		points := fail.NewSet()
		var k keeper
		l := begin(t, setup{verdict: kv.VerdictConfirmed, keep: k.keep, points: points})
		applied, goOn := make(chan struct{}), make(chan struct{})
		points.Arm(PointMerge, fail.Plan{Hook: func() error {
			close(applied)
			<-goOn
			return nil
		}})
		q := l.copying("k", foreign(1, "late", kv.Object{}, vclock.Context{}))
		done := make(chan wire.StoreReply, 1)
		l.Store(StoreRequest{StoreRequest: q, Done: func(r wire.StoreReply) { done <- r }})
		<-applied
		l.ring.Store(refilled(t, l.ring.Load()))
		fenced := make(chan wire.FenceReply, 1)
		go func() { fenced <- l.Fence(t.Context(), fencing()) }()
		synctest.Wait()
		if len(fenced) > 0 || len(k.kept) > 0 {
			t.Error("the fence did not wait for a write that had passed its check")
		}
		close(goOn)
		if r := <-fenced; r.Code != wire.ReplicaOK {
			t.Fatalf("code %d, %s", r.Code, r.Detail)
		}
		if r := <-done; r.Code == wire.ReplicaOK {
			t.Error("a write of before the fence was acknowledged after it")
		}
		if got := values(l.object("k")); len(got) != 1 {
			t.Errorf("to be copied is %v", got)
		}
	})
}

func TestAFenceIsRefusedByWhoCanNotPromiseIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		errDisk := errors.New("no disk")
		l := begin(t, setup{
			verdict: kv.VerdictConfirmed, ring: refilled(t, newRing(t)),
			keep: func([]wire.PlacementFence) error { return errDisk },
		})
		for why, bend := range map[string]func(*wire.FenceRequest){
			"this store is instance": func(q *wire.FenceRequest) { q.Instance++ },
			"is instance 20, not 21": func(q *wire.FenceRequest) { q.Life++ },
			"older than placement":   func(q *wire.FenceRequest) { q.Since++ },
			"no disk":                func(*wire.FenceRequest) {},
		} {
			q := fencing()
			bend(q)
			if r := l.Fence(t.Context(), q); r.Code == wire.ReplicaOK || !strings.Contains(r.Detail, why) {
				t.Errorf("code %d, %q, want %q", r.Code, r.Detail, why)
			}
		}
		l.Confirm(kv.VerdictForked)
		if r := l.Fence(t.Context(), fencing()); !strings.Contains(r.Detail, "not ready") {
			t.Errorf("a refused store promises: %q", r.Detail)
		}
	})
}

func TestTrapsT8ANodeFencesItselfAtItsPresentPlacements(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var k keeper
		l := begin(t, setup{verdict: kv.VerdictConfirmed, keep: k.keep, past: Past{Filling: true}})
		l.ring.Store(refilled(t, l.ring.Load()))
		newest, err := l.FenceSelf(t.Context())
		if err != nil || newest != since || len(k.kept) != partitions {
			t.Errorf("version %d, %v, kept %v", newest, err, k.kept)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.FenceSelf(ctx); err == nil {
			t.Error("fenced with a store that is closed")
		}
	})
}

// Goal: M22 and T15. What is being filled stores, and says nothing that could count.
func TestTrapsT15AStoreThatIsBeingFilledTakesCopiesAndCountsForNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t, setup{verdict: kv.VerdictConfirmed, past: Past{Filling: true}})
		if s := l.Status(); s.Ready || !s.Filling || s.Refused || s.Reason == "" {
			t.Errorf("%+v", s)
		}
		o := foreign(1, "v", kv.Object{}, vclock.Context{})
		if r := l.merge(l.copying("k", o)); r.Code != wire.ReplicaOK || r.Role != kv.RoleNotReady {
			t.Errorf("a copy: code %d, %v", r.Code, r.Role)
		}
		if r := l.read("k"); r.Code == wire.ReplicaOK || r.Role != kv.RoleNotReady {
			t.Errorf("a read: code %d, %v", r.Code, r.Role)
		}
		scan := &wire.ScanRequest{Target: l.target("k"), Limit: 9, Bytes: 1 << 20, Mode: wire.ReadBare}
		if r := l.Scan(scan); r.Code == wire.ReplicaOK || r.Role != kv.RoleNotReady {
			t.Errorf("a scan: code %d, %v", r.Code, r.Role)
		}
		if m := l.mint(l.putting("k", "mine", vclock.Context{})); m.Code == wire.ReplicaOK {
			t.Error("it mints")
		}
		if r := l.Fence(t.Context(), fencing()); r.Code == wire.ReplicaOK {
			t.Error("it is a source of another refill")
		}
		at := l.target("k")
		for want, object := range map[bool]kv.Object{
			false: o.WithoutValues(), true: foreign(2, "w", kv.Object{}, vclock.Context{}),
		} {
			if lacks, err := l.Lacks(at.Partition, at.Bucket, at.Key, object); err != nil || lacks != want {
				t.Errorf("lacks %v, %v, want %v", lacks, err, want)
			}
		}
		l.Filled()
		l.Confirm(kv.VerdictConfirmed)
		if s := l.Status(); !s.Ready || s.Filling {
			t.Errorf("full: %+v", s)
		}
		if got := values(l.object("k")); len(got) != 1 || got[0] != "v" {
			t.Errorf("full: %v", got)
		}
	})
}

// A store that the group refuses is refused, whatever it was about.
func TestARefusedStoreIsNotFilled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t, setup{verdict: kv.VerdictForked, past: Past{Filling: true, Stop: StopKilled}})
		o := foreign(1, "v", kv.Object{}, vclock.Context{})
		if r := l.merge(l.copying("k", o)); r.Code == wire.ReplicaOK || l.Status().Filling {
			t.Errorf("code %d, %+v", r.Code, l.Status())
		}
	})
}
