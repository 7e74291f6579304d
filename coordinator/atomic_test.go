// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

func atomically() *GetRequest {
	req := getting()
	req.Atomic = true
	return req
}

// What an atomic read returns is on r confirmed owners before it answers (TRAPS S5).
func TestTrapS5AtomicReadsWriteBackBeforeTheyAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		newer := version(nodeA, 1, "new")
		s.local(newer)
		near, far := s.others()[0], s.others()[1]
		s.auto[near] = func(c *call) {
			if c.onRead != nil {
				c.show(kv.Object{})
			}
		}
		get := s.get(atomically())
		if get.over() {
			t.Fatal("answered before the write-back")
		}
		for _, node := range []kv.NodeID{near, far} {
			if list := s.copies(node); len(list) != 1 || list[0].Object.Digest() != newer.Digest() ||
				list[0].Class != kv.ClassReplicated {
				t.Fatalf("node %d was sent %+v", node, list)
			}
		}
		if len(s.copies(nodeA)) != 0 {
			t.Error("the copy that is right was written back")
		}
		s.to(far, 0).stored(wire.ReplicaOK)
		got, err := get.wait()
		if err != nil || !cmp.Equal(values(got), []string{"new"}) {
			t.Errorf("%q, %v", values(got), err)
		}
		for _, c := range s.calls {
			if c.node == near && c.onStore != nil {
				c.stored(wire.ReplicaOK)
			}
		}
	})
}

func TestAtomicReadsOfCopiesThatAgreeWriteNothing(t *testing.T) {
	for _, o := range []kv.Object{{}, version(nodeA, 1, "v")} {
		for _, metaOnly := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.local(o)
				s.holding(s.others()[0], o)
				req := atomically()
				req.MetaOnly = metaOnly
				if _, err := s.get(req).wait(); err != nil {
					t.Error(err)
				}
				if n := len(s.copies(nodeA)) + len(s.copies(nodeB)) + len(s.copies(nodeC)); n != 0 {
					t.Errorf("%d copies were sent", n)
				}
			})
		}
	}
}

func TestFailedWriteBacksFailTheRead(t *testing.T) {
	cases := map[string]struct {
		end  func(*call)
		want wire.Code
	}{
		"refused": {func(c *call) { c.stored(wire.ReplicaOverloaded) }, wire.CodeQuorum},
		"failed":  {func(c *call) { c.fail(errLost) }, wire.CodeQuorum},
		"unconfirmed": {func(c *call) {
			unsure := standing(c.node)
			unsure.Confirmed = false
			c.onStore(wire.StoreReply{Standing: unsure, Code: wire.ReplicaOK}, nil)
		}, wire.CodeQuorum},
		"silent": {func(*call) {}, wire.CodeTimeout},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.local(version(nodeA, 1, "new"))
				for _, node := range s.others() {
					s.auto[node] = func(call *call) {
						if call.onRead != nil {
							call.show(kv.Object{})
						} else {
							c.end(call)
						}
					}
				}
				if _, err := s.get(atomically()).wait(); codeIn(err) != c.want {
					t.Errorf("%v, want %s", err, c.want)
				}
			})
		})
	}
}

// An atomic read counts confirmed owners only, and needs a majority.
func TestAtomicReadsNeedConfirmedMajorities(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		for _, node := range s.others() {
			s.auto[node] = func(c *call) {
				unsure := standing(c.node)
				unsure.Confirmed = false
				c.onRead(wire.ReadReply{Standing: unsure, Code: wire.ReplicaOK}, nil)
			}
		}
		if _, err := s.get(atomically()).wait(); codeIn(err) != wire.CodeQuorum {
			t.Errorf("one confirmed owner: %v", err)
		}
		req := atomically()
		req.R = kv.LevelOne
		if _, err := s.get(req).wait(); codeIn(err) != wire.CodeInvalid {
			t.Errorf("r = 1 of 3: %v", err)
		}
	})
}

// Metadata is read without values; what differs is read whole, to be written back.
func TestAtomicMetaOnlyReadsWriteBackToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		newer := version(nodeA, 1, "new")
		s.local(newer)
		near, far := s.others()[0], s.others()[1]
		s.holding(near, kv.Object{})
		s.holding(far, kv.Object{})
		req := atomically()
		req.MetaOnly = true
		got, err := s.get(req).wait()
		if err != nil || got.Digest() != newer.Digest() || got.HasValues() {
			t.Errorf("%+v, %v", got, err)
		}
		if list := s.copies(near); len(list) != 1 || !list[0].Object.HasValues() {
			t.Errorf("the write-back was %+v", list)
		}
	})
}

// While a slot moves, the write-back counts it only with both members; the joining one
// was not asked, and gets a whole copy even where all digests agree.
func TestWriteBacksReachBothMembersOfAMovingSlot(t *testing.T) {
	for _, metaOnly := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			s := newStage(t)
			state := s.ring.State()
			for p := range state.Placements {
				for i, slot := range state.Placements[p].Slots {
					if slot.Owner == nodeB {
						state.Placements[p].Slots[i] = kv.Slot{
							Owner: nodeB, Next: nodeD, Phase: kv.PhaseWriteBothReadOld,
						}
					}
				}
			}
			var err error
			if s.ring, err = ring.New(state); err != nil {
				t.Fatal(err)
			}
			o := version(nodeA, 1, "v")
			s.local(o)
			s.holding(nodeB, o)
			s.holding(nodeC, o)
			req := atomically()
			req.R, req.MetaOnly = kv.LevelAll, metaOnly
			get := s.get(req)
			if get.over() {
				t.Fatal("answered without the joining member")
			}
			time.Sleep(time.Millisecond)
			if list := s.copies(nodeD); len(list) != 1 || !list[0].Object.HasValues() {
				t.Fatalf("the joining member was sent %+v", list)
			}
			s.to(nodeD, 0).stored(wire.ReplicaOK)
			if _, err := get.wait(); err != nil {
				t.Error(err)
			}
		})
	}
}
