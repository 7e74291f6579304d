// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

func getting() *GetRequest { return &GetRequest{Bucket: bucket(), Key: []byte("k")} }

func (s *stage) get(req *GetRequest) *begun[kv.Object] {
	ctx := within(s.t)
	return begin(func() (kv.Object, error) { return s.c.Get(ctx, req) })
}

func values(o kv.Object) []string {
	list := make([]string, 0, len(o.Versions))
	for _, v := range o.Versions {
		list = append(list, string(v.Value))
	}
	slices.Sort(list)
	return list
}

// others are the two scripted nodes, the one that is asked first in front.
func (s *stage) others() [2]kv.NodeID {
	var list []kv.NodeID
	for _, slot := range s.ring.Placement(s.ring.PartitionOf(1, []byte("k"))).Slots {
		if slot.Owner != nodeA {
			list = append(list, slot.Owner)
		}
	}
	return [2]kv.NodeID{list[0], list[1]}
}

// The body comes from one replica, this node's own where it is an owner; the others send
// digests. If they agree that is all.
func TestReadsTakeOneBodyAndDigests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		o := version(nodeA, 1, "v")
		s.local(o)
		near, far := s.others()[0], s.others()[1]
		s.holding(near, o)
		got, err := s.get(getting()).wait()
		if err != nil || !cmp.Equal(values(got), []string{"v"}) {
			t.Errorf("%q, %v", values(got), err)
		}
		if c := s.to(near, 0); c.read.Mode != wire.ReadBare {
			t.Error("a second body was asked for")
		}
		if s.count(far) != 0 || len(s.copies(near))+len(s.copies(nodeA)) != 0 {
			t.Error("more than r were asked, or a copy that is right was repaired")
		}
	})
}

// With r = 1 an owner answers from its own copy, and anybody else asks one owner.
func TestReadOfOneIsThisNodesOwnCopy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.local(version(nodeA, 1, "v"))
		req := getting()
		req.R = kv.LevelOne
		got, err := s.get(req).wait()
		if err != nil || !cmp.Equal(values(got), []string{"v"}) || s.count(nodeB)+s.count(nodeC) != 0 {
			t.Errorf("%q, %v", values(got), err)
		}
	})
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Node = nodeD })
		first := s.ring.Placement(s.ring.PartitionOf(1, []byte("k"))).Slots[0].Owner
		s.holding(first, version(nodeB, 1, "w"))
		req := getting()
		req.R = kv.LevelOne
		if got, err := s.get(req).wait(); err != nil || !cmp.Equal(values(got), []string{"w"}) {
			t.Errorf("%q, %v", values(got), err)
		}
	})
}

// Copies that differ are read whole, merged, and exactly those behind are repaired.
func TestDifferingCopiesAreMergedAndRepaired(t *testing.T) {
	old, newer := version(nodeB, 1, "old"), version(nodeB, 2, "new", dot(nodeB, 1))
	beside := version(nodeC, 1, "beside")
	cases := []struct {
		name          string
		local, remote kv.Object
		want          []string
		repairLocal   bool
		repairRemote  bool
	}{
		{"the local one is behind", old, newer, []string{"new"}, true, false},
		{"the local one has nothing", kv.Object{}, newer, []string{"new"}, true, false},
		{"the remote one is behind", newer, old, []string{"new"}, false, true},
		{"both have something", newer, beside, []string{"beside", "new"}, true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.local(c.local)
				near, far := s.others()[0], s.others()[1]
				s.holding(near, c.remote)
				got, err := s.get(getting()).wait()
				if err != nil || !cmp.Equal(values(got), c.want) {
					t.Errorf("%q, %v, want %q", values(got), err, c.want)
				}
				for node, want := range map[kv.NodeID]bool{nodeA: c.repairLocal, near: c.repairRemote, far: false} {
					list := s.copies(node)
					if (len(list) == 1) != want || len(list) > 1 {
						t.Errorf("node %d got %d repairs, want %v", node, len(list), want)
						continue
					}
					for _, r := range list {
						if r.Object.Digest() != got.Digest() || !r.Object.HasValues() ||
							r.Class != kv.ClassReplicated || r.Role != kv.RoleOwner {
							t.Errorf("repair of node %d: %+v", node, r)
						}
					}
				}
				if s.count(far) != 0 {
					t.Error("a replica that was not needed was asked")
				}
				if sent, left := s.c.Repairs(); sent == 0 || left != 0 {
					t.Errorf("%d repairs, %d left out", sent, left)
				}
			})
		})
	}
}

func TestRepairsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.MaxRepairs = 1 })
		near := s.others()[0]
		s.local(version(nodeA, 1, "a"))
		s.auto[near] = func(c *call) {
			if c.onRead != nil {
				c.show(version(nodeB, 1, "b"))
			} // repairs stay open
		}
		s.stores = nil
		if _, err := s.get(getting()).wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.get(getting()).wait(); err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, c := range s.calls {
			if c.onStore != nil {
				open++
			}
		}
		if _, left := s.c.Repairs(); open != 1 || left == 0 {
			t.Errorf("%d repairs are open, %d were left out", open, left)
		}
		for _, c := range s.calls {
			if c.onStore != nil {
				c.stored(wire.ReplicaOK)
			}
		}
	})
}

func TestReadsThatCanNotReachTheirQuorum(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.auto[nodeB] = func(c *call) { c.fail(errLost) }
		s.auto[nodeC] = s.auto[nodeB]
		_, err := s.get(getting()).wait()
		if codeIn(err) != wire.CodeQuorum || !strings.Contains(err.Error(), "connection lost") {
			t.Errorf("two failed: %v", err)
		}
		s.auto[nodeB] = func(c *call) { c.fail(errNotSent) }
		s.auto[nodeC] = s.auto[nodeB]
		if _, err = s.get(getting()).wait(); codeIn(err) != wire.CodeUnavailable {
			t.Errorf("two could not be asked: %v", err)
		}
		delete(s.auto, nodeB)
		delete(s.auto, nodeC)
		began := time.Now()
		if _, err = s.get(getting()).wait(); codeIn(err) != wire.CodeTimeout {
			t.Errorf("two are silent: %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the read was given up after %v", took)
		}
		for _, c := range s.calls {
			if c.onRead != nil && c.deadline.Equal(time.Now()) {
				c.fail(errLost)
			}
		}
	})
}

// Without a deadline of the caller a read has one nevertheless.
func TestReadsWithoutADeadlineStillHaveOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		get := begin(func() (kv.Object, error) { return s.c.Get(context.Background(), getting()) })
		for _, node := range s.others() {
			c := s.to(node, 0)
			if left := time.Until(c.deadline); left <= 0 || left > s.c.cfg.SendTimeout {
				t.Errorf("node %d has %v left", node, left)
			}
			c.fail(errLost)
		}
		if _, err := get.wait(); codeIn(err) != wire.CodeQuorum {
			t.Error(err)
		}
	})
}

// Data that was read under an older purge epoch is not merged, and what is left is no
// quorum: the read starts over, and asks somebody else where there is anybody (I5).
func TestTrapS11CopiesOfDifferentPurgeEpochsAreReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		near := s.others()[0]
		zombie := version(nodeB, 1, "zombie")
		calls := 0
		s.localRead = func(*wire.ReadRequest) wire.ReadReply {
			at := standing(nodeA)
			at.Epoch = 3
			return wire.ReadReply{Standing: at, Code: wire.ReplicaOK}
		}
		s.auto[near] = func(c *call) {
			if calls++; calls == 1 {
				c.showAt(zombie, 2)
			} else {
				c.showAt(kv.Object{}, 3)
			}
		}
		got, err := s.get(getting()).wait()
		if err != nil || !got.IsZero() {
			t.Errorf("%q, %v", values(got), err)
		}
		far := s.others()[1]
		s.auto[far] = func(c *call) { c.showAt(kv.Object{}, 3) }
		s.auto[near] = func(c *call) { c.showAt(zombie, 2) } // never catches up
		if got, err := s.get(getting()).wait(); err != nil || !got.IsZero() {
			t.Errorf("where one replica stays behind: %q, %v", values(got), err)
		}
		s.auto[far] = s.auto[near]
		if _, err := s.get(getting()).wait(); codeIn(err) != wire.CodeQuorum {
			t.Errorf("where two of three stay behind: %v", err)
		}
		local := s.localRead
		s.localRead = func(q *wire.ReadRequest) wire.ReadReply { // this node itself is behind
			reply := local(q)
			reply.Epoch, reply.Object = 2, zombie
			return reply
		}
		for _, node := range s.others() {
			s.auto[node] = func(c *call) { c.showAt(kv.Object{}, 3) }
		}
		if got, err := s.get(getting()).wait(); err != nil || !got.IsZero() {
			t.Errorf("where this node is behind: %q, %v", values(got), err)
		}
		if len(s.copies(near))+len(s.copies(nodeA)) != 0 {
			t.Error("something was repaired across epochs")
		}
	})
}

func TestMetaOnlyReadsMoveNoValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.local(version(nodeA, 1, "a"))
		near := s.others()[0]
		s.holding(near, version(nodeB, 1, "b"))
		req := getting()
		req.MetaOnly = true
		got, err := s.get(req).wait()
		want := kv.Merge(version(nodeA, 1, "a"), version(nodeB, 1, "b"))
		if err != nil || got.Digest() != want.Digest() || got.HasValues() {
			t.Errorf("%+v, %v", got, err)
		}
		if s.to(near, 0).read.Mode != wire.ReadBare || s.count(near) != 1 {
			t.Error("values were moved")
		}
	})
}

// Twins that no replica has seen together are one version for readers (TRAPS C10).
func TestReadersSeeOneVersionOfOneRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		twin := func(node kv.NodeID) kv.Object {
			o := version(node, 1, "same")
			o.Versions[0].Request = kv.RequestID{7}
			o.Versions[0] = o.Versions[0].Sealed()
			return o
		}
		s.local(twin(nodeA))
		near := s.others()[0]
		s.holding(near, twin(nodeB))
		got, err := s.get(getting()).wait()
		if err != nil || len(got.Versions) != 1 || !got.Context.Contains(dot(nodeB, 1)) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
