// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

func TestConfigThatCanNotBeIsRefused(t *testing.T) {
	good := DefaultConfig()
	good.Node, good.Rand = 1, rand.New(rand.NewPCG(1, 1))
	good.Ring, good.Alive = func() *ring.Ring { return nil }, func(kv.NodeID) bool { return true }
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no node": func(c *Config) { c.Node = 0 }, "no ring": func(c *Config) { c.Ring = nil },
		"no pause": func(c *Config) { c.Every = 0 }, "no window": func(c *Config) { c.Window = 0 },
		"pauses": func(c *Config) { c.PauseMax = c.PauseMin - 1 },
		"pages":  func(c *Config) { c.PageBytes = 0 },
	} {
		c := good
		spoil(&c)
		if _, err := New(c, nil, nil, nil, nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestHintsAreDeliveredAsSoonAsTheirMemberIsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		key, owners := n.keyOf(4, 0)
		other, others := n.keyOf(4, 1)
		n.fell(owners[1])
		n.fell(others[2])
		f.hint(key, 1, written(2, "v"))
		f.hint(other, 2, written(3, "w"))
		f.deliver()
		time.Sleep(time.Hour)
		if f.kept() != 2 || n.sends(owners[1]) != 0 {
			t.Fatalf("%d hints are left, %d were sent to a node that is down", f.kept(), n.sends(owners[1]))
		}
		began := time.Now()
		n.rose(owners[1])
		eventually(t, time.Second, "the hint is delivered", func() bool {
			return slices.Equal(n.nodes[owners[1]].values(key), []string{"v"})
		})
		n.rose(others[2])
		eventually(t, time.Second, "no hint is left", func() bool { return f.kept() == 0 })
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if got := n.nodes[others[2]].values(other); !slices.Equal(got, []string{"w"}) {
			t.Errorf("the other holds %q", got)
		}
		if hints, bytes := f.deliverer.Delivered(); hints != 2 || bytes == 0 {
			t.Errorf("%d delivered, %d bytes", hints, bytes)
		}
	})
}

func TestMarkersBringTheOwnersObject(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		key, owners := n.keyOf(4, 0)
		owner := n.nodes[owners[0]]
		r := n.ring.Load()
		p := r.PartitionOf(1, []byte(key))
		put := func(o kv.Object) {
			done := make(chan wire.StoreReply, 1)
			owner.Store(replica.StoreRequest{
				StoreRequest: &wire.StoreRequest{
					Target: wire.Target{Bucket: 1, Partition: p, Key: []byte(key), Placement: 5, Instance: 7},
					Role:   kv.RoleOwner, Class: kv.ClassReplicated, Object: o,
				}, Done: func(reply wire.StoreReply) { done <- reply },
			})
			if reply := <-done; reply.Code != wire.ReplicaOK {
				t.Fatal(reply.Detail)
			}
		}
		lacks := written(2, "a").Context
		put(written(2, "a"))
		put(written(3, "b"))
		marked := make(chan bool, 1)
		owner.Mark(p, 2, 1, []byte(key), lacks, func(kept bool) { marked <- kept })
		if !<-marked {
			t.Fatal("not marked")
		}
		owner.deliver()
		eventually(t, time.Minute, "the marker is gone", func() bool { return owner.kept() == 0 })
		if got := n.nodes[owners[2]].values(key); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("the other owner holds %q", got)
		}
	})
}

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

// Who says that it is no owner, or not ready, or of another life, has not stored anything.
func TestOnlyAnOwnersAnswerCounts(t *testing.T) {
	refused := func(s wire.Standing, code wire.ReplicaCode) wire.StoreReply {
		return wire.StoreReply{Standing: s, Code: code, Detail: "on purpose"}
	}
	for name, reply := range map[string]wire.StoreReply{
		"a fallback's":   refused(wire.Standing{Role: kv.RoleFallback}, wire.ReplicaOK),
		"no owner":       refused(wire.Standing{Role: kv.RoleNotOwner}, wire.ReplicaRefused),
		"not ready":      refused(wire.Standing{Role: kv.RoleNotReady}, wire.ReplicaRefused),
		"overloaded":     refused(wire.Standing{Role: kv.RoleOwner}, wire.ReplicaOverloaded),
		"an older epoch": refused(wire.Standing{Role: kv.RoleOwner}, wire.ReplicaStaleEpoch),
		"unreadable":     refused(wire.Standing{Role: kv.RoleOwner}, wire.ReplicaUnreadable),
		"failed":         refused(wire.Standing{Role: kv.RoleOwner}, wire.ReplicaFailed),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNet(t)
				f := n.nodes[4]
				key, owners := n.keyOf(4, 0)
				f.hint(key, 1, written(2, "v"))
				n.meeting(func(_ kv.NodeID, _ *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
					done(reply, nil)
					return true
				})
				d := f.deliver()
				mark := d.Mark()
				time.Sleep(5 * time.Minute)
				if f.kept() != 1 || d.Ended() >= mark {
					t.Errorf("%d hints are left, mark %d of %d", f.kept(), d.Ended(), mark)
				}
				if sent := n.sends(owners[1]); sent < 5 || sent > 30 {
					t.Errorf("it was tried %d times in five minutes", sent)
				}
				n.meeting(nil)
				eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
			})
		})
	}
}

func TestAHintOfADeletedBucketIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		key, _ := n.keyOf(4, 0)
		f.hint(key, 1, written(2, "v"))
		n.meeting(func(_ kv.NodeID, _ *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
			done(wire.StoreReply{Standing: wire.Standing{Role: kv.RoleOwner}, Code: wire.ReplicaNoBucket}, nil)
			return true
		})
		d := f.deliver()
		mark := d.Mark()
		eventually(t, time.Minute, "it is over", func() bool { return d.Ended() >= mark })
	})
}

// What goes out is data that was acknowledged earlier, read under the epoch of the store,
// for the slot's member as the ring has it.
func TestWhatIsSentSaysWhatItIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told trace.Recorder
		n := newNet(t)
		f := n.nodes[4]
		f.sink = &told
		f.restart()
		key, owners := n.keyOf(4, 0)
		f.hint(key, 1, written(2, "v"))
		got := make(chan wire.StoreRequest, 1)
		n.meeting(func(to kv.NodeID, req *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
			if to != owners[1] {
				t.Errorf("sent to %d", to)
			}
			n.meeting(nil)
			got <- *req
			done(wire.StoreReply{}, errors.New("lost"))
			return true
		})
		f.deliver()
		req := <-got
		r := n.ring.Load()
		p := r.PartitionOf(1, []byte(key))
		if req.Role != kv.RoleOwner || req.Class != kv.ClassReplicated || req.Slot != 1 ||
			req.Bucket != 1 || req.Partition != p || req.Placement != r.Placement(p).Version ||
			req.Instance != 7 || string(req.Key) != key || req.RemainingMS == 0 || req.Epoch != 0 {
			t.Errorf("%+v", req)
		}
		eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
		var kinds []trace.Kind
		for _, e := range told.Events() {
			if e.Kind == trace.HintSent || e.Kind == trace.HintDeleted {
				kinds = append(kinds, e.Kind)
			}
		}
		if !slices.Equal(kinds, []trace.Kind{trace.HintSent, trace.HintSent, trace.HintDeleted}) {
			t.Errorf("told %v", kinds)
		}
	})
}

func TestSendsToAMemberAreBoundedAndOthersGoOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		f.tuned = func(c *Config) { c.Window, c.PageHints = 5, 7 }
		const keys = 200
		slow := kv.NodeID(0)
		others := 0
		for i := range keys {
			key, owners := n.keyOf(4, i)
			f.hint(key, 1, written(2, key))
			if slow == 0 {
				slow = owners[1]
			}
			if owners[1] != slow {
				others++
			}
		}
		held := make(chan struct{})
		var stuck atomic.Int32
		n.meeting(func(to kv.NodeID, req *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
			if to != slow {
				return false
			}
			stuck.Add(1)
			go func() { <-held; n.nodes[to].deliverTo(req, done) }()
			return true
		})
		f.deliver()
		eventually(t, time.Second, "the others' hints are gone", func() bool {
			return f.kept() == keys-others
		})
		if n := stuck.Load(); n != 5 {
			t.Errorf("%d hints are on their way to a member that does not answer", n)
		}
		close(held)
		eventually(t, time.Minute, "all are gone", func() bool { return f.kept() == 0 })
		if n.most > 5*nodes {
			t.Errorf("%d sends at a time", n.most)
		}
	})
}

// deliverTo stores what a send brings.
func (m *node) deliverTo(req *wire.StoreRequest, done func(wire.StoreReply, error)) {
	m.Store(replica.StoreRequest{
		StoreRequest: req, Done: func(reply wire.StoreReply) { done(reply, nil) },
	})
}

// A crash of the fallback at any point of a delivery loses nothing that its member has not.
func TestACrashAtAnyPointOfADeliveryLosesNothing(t *testing.T) {
	points := []string{
		replica.PointHintDrop, replica.PointHintDropped, "storage/before-take",
		"storage/before-apply", "storage/before-commit", "storage/before-publish",
		"storage/before-answer",
	}
	for _, point := range points {
		for skip := range 6 {
			t.Run(fmt.Sprintf("%s/%d", point, skip), func(t *testing.T) {
				bubble(t, func(t *testing.T) { crashDelivering(t, point, skip) })
			})
		}
	}
}

func crashDelivering(t *testing.T, point string, skip int) {
	n := newNet(t)
	f := n.nodes[4]
	const keys = 20
	var list []string
	for i := range keys {
		key, _ := n.keyOf(4, i)
		list = append(list, key)
		f.hint(key, uint8(i%3), written(2, key))
	}
	reached := false
	after := f.engine
	armed := failPlan(skip, func() { reached, after = true, f.engine.Crash(nil) })
	f.points.Arm(point, armed)
	f.deliver()
	time.Sleep(time.Second)
	f.undeliver()
	_ = f.stop()
	f.points.Disarm(point)
	if !reached {
		after = f.engine.Crash(nil)
	}
	f.engine = after
	f.open(replica.StopPowerLoss)
	for i, key := range list {
		_, owners := keyAndOwners(n, key)
		p := n.ring.Load().PartitionOf(1, []byte(key))
		page, _, _, err := f.Hints(replica.HintCell{Partition: p, Slot: uint8(i % 3)}, position(), 1000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		kept := slices.ContainsFunc(page, func(h replica.Hint) bool { return string(h.Key) == key })
		if has := len(n.nodes[owners[i%3]].values(key)) == 1; !kept && !has {
			t.Errorf("%s is lost", key)
		}
	}
	f.deliver()
	eventually(t, time.Minute, "the rest is delivered", func() bool { return f.kept() == 0 })
	if !reached && skip == 0 {
		t.Errorf("%s was not passed %d times", point, skip+1)
	}
}

func TestARunEndsWithItsContextAndGoesOnInTheNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		for i := range 50 {
			key, _ := n.keyOf(4, i)
			f.hint(key, 1, written(2, key))
		}
		var held []func()
		n.meeting(func(to kv.NodeID, req *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
			held = append(held, func() { n.nodes[to].deliverTo(req, done) })
			return true
		})
		f.deliver()
		synctest.Wait()
		ended := make(chan struct{})
		go func() { f.undeliver(); close(ended) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("it did not wait for what is on its way")
		default:
		}
		for _, answer := range held {
			go answer()
		}
		<-ended
		if left := f.kept(); left != 50-len(held) {
			t.Errorf("%d are left, %d were on their way", left, len(held))
		}
		n.meeting(nil)
		f.halt = nil
		f.deliver()
		eventually(t, time.Minute, "the rest is delivered", func() bool { return f.kept() == 0 })
	})
}

func TestNothingIsSentByAStoreThatIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		key, owners := n.keyOf(4, 0)
		f.hint(key, 1, written(2, "v"))
		f.Confirm(kv.VerdictForked)
		d := f.deliver()
		mark := d.Mark()
		time.Sleep(time.Hour)
		if n.sends(owners[1]) != 0 || d.Ended() >= mark {
			t.Errorf("%d sends, mark %d of %d", n.sends(owners[1]), d.Ended(), mark)
		}
		f.Confirm(kv.VerdictConfirmed)
		eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
	})
}

func TestABudgetIsTakenBeforeAnythingIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		key, owners := n.keyOf(4, 0)
		f.hint(key, 1, written(2, "v"))
		cfg := DefaultConfig()
		cfg.Node, cfg.Ring, cfg.Alive = 4, n.ring.Load, n.alive
		cfg.Rand = rand.New(rand.NewPCG(1, 1))
		b := &strict{granted: make(chan struct{})}
		d, err := New(cfg, f, n, b, f.log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		time.Sleep(time.Minute)
		if n.sends(owners[1]) != 0 || b.asked.Load() < int64(len("v")) {
			t.Errorf("%d sends, %d bytes asked for", n.sends(owners[1]), b.asked.Load())
		}
		close(b.granted)
		eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// strict is a budget that grants when it is told.
type strict struct {
	granted chan struct{}
	asked   atomic.Int64
}

func (s *strict) Take(ctx context.Context, bytes int) error {
	s.asked.Add(int64(bytes))
	select {
	case <-s.granted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
