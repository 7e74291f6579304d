// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// lifeOf is what a member's directory says of its store's life.
func lifeOf(t *testing.T, m *member) wire.Life {
	t.Helper()
	record, found, err := m.life.node.stores.Control.Get(wire.KeyLife)
	if err != nil || !found {
		t.Fatalf("there is no life: %v", err)
	}
	life, err := wire.DecodeLifeRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	return life
}

// Goal: who a store is stands in its directory. One that was called lost refuses by itself,
// also where its group can not be reached, and never speaks for the one in its place.
func TestAStoreThatWasReplacedRefusesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[1]
		before := r.group.ring
		own := before.Instance(m.ID)
		if life := lifeOf(t, m); life.Instance != own || life.Filling {
			t.Fatalf("the directory says %+v, the group %d", life, own)
		}
		for _, other := range r.members {
			must(t, other.stop())
		}
		state := before.State()
		for i := range state.Members {
			if state.Members[i].ID == m.ID {
				state.Members[i].Instance++
			}
		}
		state.Version++
		after, err := ring.New(state)
		if err != nil {
			t.Fatal(err)
		}
		r.group.ring = after
		r.group.become(groupFails)
		m.start()
		eventually(t, 5*time.Second, "it refuses", func() bool {
			s := m.life.node.Status()
			return s.Refused && !s.Ready
		})
		read := &wire.ReadRequest{Mode: wire.ReadFull}
		if got := m.life.node.data.Load().replica.Read(read); got.Instance != own {
			t.Errorf("it answers as instance %d, its own is %d", got.Instance, own)
		}
		must(t, m.stop())
		r.group.ring = before // a view of before the loss
		m.start()
		time.Sleep(5 * time.Second)
		if s := m.life.node.Status(); s.Ready {
			t.Errorf("the next process serves: %+v", s)
		}
	})
}

func TestAFenceOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		r.startAll()
		m := r.members[1]
		if _, err := m.life.node.data.Load().replica.FenceSelf(t.Context()); err != nil {
			t.Fatal(err)
		}
		must(t, m.stop())
		m.start()
		r.awaitReady()
		var want []wire.PlacementFence
		for p := range r.group.ring.Partitions() {
			if pl := r.group.ring.Placement(uint16(p)); pl.Has(m.ID) {
				want = append(want, wire.PlacementFence{Partition: uint16(p), Version: pl.Version})
			}
		}
		past := m.life.node.membership.Load().opening.past
		if diff := cmp.Diff(want, past.Fences); diff != "" {
			t.Error(diff)
		}
		must(t, m.client().put(strict("k", "v")))
	})
}
