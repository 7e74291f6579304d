// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// TestTrapS6ARestartWhileTheTargetIsUp: nobody comes back, and the hints are delivered all
// the same; one that can not be read is kept and alarmed, and holds up nothing.
func TestTrapS6ARestartWhileTheTargetIsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		const keys = 300
		var list []string
		for i := range keys {
			key, _ := n.keyOf(4, i)
			list = append(list, key)
			f.hint(key, 1, written(2, key))
		}
		bad := list[keys/2]
		p := n.ring.Load().PartitionOf(1, []byte(bad))
		record := wire.AppendHintKey(nil, p, 1, 1, []byte(bad))
		f.engine.Damage(record, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		f.restart()
		d := f.deliver()
		eventually(t, time.Minute, "all others are delivered", func() bool { return f.kept() == 0 })
		mark := d.Mark()
		time.Sleep(time.Minute)
		for _, key := range list {
			_, owners := keyAndOwners(n, key)
			want := []string{key}
			if key == bad {
				want = nil
			}
			if got := n.nodes[owners[1]].values(key); !slices.Equal(got, want) {
				t.Errorf("%s: the owner holds %q, want %q", key, got, want)
			}
		}
		damaged := 0
		for _, c := range f.HintStatus().Cells {
			damaged += c.Damaged
		}
		if damaged != 1 || f.Unreadable() != 1 {
			t.Errorf("%d damaged hints are kept, %d alarmed", damaged, f.Unreadable())
		}
		if d.Ended() >= mark {
			t.Error("a wait for all hints would have ended, and one was not delivered")
		}
		if cells := f.HintStatus().Cells; len(cells) != 1 || cells[0].Hints != 0 || cells[0].Markers != 0 {
			t.Errorf("what can be read of what is left: %+v", cells)
		}
	})
}

func keyAndOwners(n *net, key string) (string, []kv.NodeID) {
	var owners []kv.NodeID
	r := n.ring.Load()
	for _, slot := range r.Placement(r.PartitionOf(1, []byte(key))).Slots {
		owners = append(owners, slot.Owner)
	}
	return key, owners
}

// TestTrapS7NothingIsDeletedBeforeADurableAnswer: the receiver loses its power while its
// commit is under way, again and again.
func TestTrapS7NothingIsDeletedBeforeADurableAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		key, owners := n.keyOf(4, 0)
		target := n.nodes[owners[1]]
		f.hint(key, 1, written(2, "v"))
		target.engine.SetSyncTime(time.Second)
		f.deliver()
		for range 5 {
			eventually(t, 5*time.Minute, "it is sent", func() bool { return n.sends(target.id) > 0 })
			time.Sleep(100 * time.Millisecond)
			if f.kept() != 1 {
				t.Fatal("the hint is gone while its copy is not durable")
			}
			n.fell(target.id)
			target.restart() // what was under way is lost
			if got := target.values(key); len(got) != 0 {
				t.Fatalf("the test tests nothing: %q survived", got)
			}
			target.engine.SetSyncTime(time.Second)
			n.mu.Lock()
			n.sent[target.id] = 0
			n.mu.Unlock()
			n.rose(target.id)
		}
		eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
		if got := target.values(key); !slices.Equal(got, []string{"v"}) {
			t.Errorf("the owner holds %q", got)
		}
	})
}

// TestTrapS8WhatCameMeanwhileIsDelivered, too, and not deleted with what was sent.
func TestTrapS8WhatCameMeanwhileIsDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		key, owners := n.keyOf(4, 0)
		f.hint(key, 1, written(2, "first"))
		n.meeting(func(to kv.NodeID, req *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
			n.meeting(nil)
			go func() {
				f.hint(key, 1, written(3, "meanwhile"))
				n.Store(to, req, time.Now().Add(time.Minute), done)
			}()
			return true
		})
		f.deliver()
		eventually(t, time.Minute, "no hint is left", func() bool { return f.kept() == 0 })
		if got := n.nodes[owners[1]].values(key); !slices.Equal(got, []string{"first", "meanwhile"}) {
			t.Errorf("the owner holds %q", got)
		}
	})
}

// TestTrapS9HintsGoToWhoeverIsMemberNow: the slot has moved on since the hint was kept, or
// is moving, or has come to the fallback itself.
func TestTrapS9HintsGoToWhoeverIsMemberNow(t *testing.T) {
	for name, c := range map[string]struct {
		slot func(was, outside kv.NodeID) kv.Slot
		have func(was, outside kv.NodeID) []kv.NodeID
	}{
		"moved": {
			func(_, outside kv.NodeID) kv.Slot { return kv.Stable(outside) },
			func(_, outside kv.NodeID) []kv.NodeID { return []kv.NodeID{outside} },
		},
		"moving": {
			func(was, outside kv.NodeID) kv.Slot {
				return kv.Slot{Owner: was, Next: outside, Phase: kv.PhaseWriteBothReadOld}
			},
			func(was, outside kv.NodeID) []kv.NodeID { return []kv.NodeID{was, outside} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNet(t)
				f := n.nodes[4]
				key, owners := n.keyOf(4, 0)
				was := owners[1]
				n.fell(was)
				f.hint(key, 1, written(2, "v"))
				p := n.ring.Load().PartitionOf(1, []byte(key))
				n.change(func(s *ring.State) { // the outside of the partition is the fallback itself
					s.Placements[p].Slots[1] = c.slot(was, 4)
					s.Placements[p].Version++
				})
				f.deliver()
				if slices.Contains(c.have(was, 4), was) {
					time.Sleep(time.Minute)
					if f.kept() != 1 {
						t.Error("it was deleted, and one of two members has not answered")
					}
					n.rose(was)
				}
				eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
				for id, m := range n.nodes {
					want := slices.Contains(c.have(was, 4), id)
					if got := m.values(key); (len(got) == 1) != want {
						t.Errorf("node %d holds %q", id, got)
					}
				}
			})
		})
	}
}
