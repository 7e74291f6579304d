// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
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
