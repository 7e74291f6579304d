// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// standingIn is a put into the sloppy bucket.
func standingIn(value string) *PutRequest {
	req := putting(value)
	req.Bucket = sloppy()
	return req
}

// hint is what a fallback was sent, in short.
type hint struct {
	node kv.NodeID
	slot uint8
}

// hints are those that the fallbacks were sent to keep.
func (s *stage) hints() (list []hint) {
	s.t.Helper()
	for _, node := range []kv.NodeID{nodeD, nodeE} {
		for _, c := range s.copies(node) {
			if c.Role != kv.RoleFallback || c.Class != kv.ClassClientWrite ||
				c.Instance != instanceOf(node) || !c.Object.HasValues() || c.Object.IsZero() {
				s.t.Errorf("node %d was sent %+v", node, c)
			}
			list = append(list, hint{node, c.Slot})
		}
	}
	return list
}

// slotOf is the slot that a node owns of the stage's key.
func (s *stage) slotOf(node kv.NodeID) uint8 {
	slots := s.ring.Placement(s.ring.PartitionOf(sloppy().ID, []byte("k"))).Slots
	for i, slot := range slots {
		if slot.Owner == node {
			return uint8(i)
		}
	}
	s.t.Fatalf("node %d owns no slot", node)
	return 0
}

// takes lets nodes store whatever they are sent.
func (s *stage) takes(nodes ...kv.NodeID) {
	for _, node := range nodes {
		s.auto[node] = func(c *call) { c.stored(wire.ReplicaOK) }
	}
}

// loses lets nodes fail all that they are sent.
func (s *stage) loses(err error, nodes ...kv.NodeID) {
	for _, node := range nodes {
		s.auto[node] = func(c *call) { c.fail(err) }
	}
}

// Fallbacks count for w where the bucket is sloppy; never for pw, and never for a write
// with a fence, of which they know no promise (TRAPS F8).
func TestTrapS1FallbacksCountForWOfSloppyBucketsOnly(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*PutRequest)
		want   wire.Code
	}{
		{"sloppy", func(*PutRequest) {}, ""},
		{"sloppy, all three", func(r *PutRequest) { r.W = kv.LevelAll }, ""},
		{"sloppy, pw of the one that is left", func(r *PutRequest) { r.PW = kv.LevelOne }, ""},
		{"sloppy, pw of two", func(r *PutRequest) { r.PW = kv.LevelQuorum }, wire.CodeUnavailable},
		{"strict", func(r *PutRequest) { r.Bucket.Sloppy = false }, wire.CodeUnavailable},
		{"with a fence", func(r *PutRequest) { r.Fence = 3 }, wire.CodeUnavailable},
		{"fenced", func(r *PutRequest) { r.Bucket.Fenced = true }, wire.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.down[nodeB], s.down[nodeC] = true, true
				s.loses(errNotSent, nodeB, nodeC)
				s.takes(nodeD, nodeE)
				req := standingIn("v")
				c.change(req)
				began := time.Now()
				if _, err := s.c.Put(within(t), req); codeIn(err) != c.want {
					t.Errorf("%v, want %q", err, c.want)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("answered after %v: the owners were known to be down", took)
				}
				want := []hint{{nodeD, s.slotOf(nodeB)}, {nodeE, s.slotOf(nodeC)}}
				if s.slotOf(nodeB) > s.slotOf(nodeC) {
					want[0].slot, want[1].slot = want[1].slot, want[0].slot
				}
				if c.want != "" {
					want = nil
				}
				if diff := cmp.Diff(want, s.hints(), cmp.AllowUnexported(hint{})); diff != "" {
					t.Errorf("hints:\n%s", diff)
				}
			})
		})
	}
}

// An owner that seemed alive and dies after it was asked is replaced at once, and so is
// one that refuses; a fallback that stood in counts for nothing but w (TRAPS S2).
func TestTrapS2AnOwnerThatDiesAfterThePlan(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*call)
	}{
		{"lost", func(c *call) { c.fail(errLost) }},
		{"not sent", func(c *call) { c.fail(errNotSent) }},
		{"overloaded", func(c *call) { c.stored(wire.ReplicaOverloaded) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.takes(nodeD, nodeE)
				put := s.put(within(t), standingIn("v"))
				if put.over() || len(s.hints()) != 0 {
					t.Fatalf("before anybody failed: %v", s.hints())
				}
				c.end(s.to(nodeB, 0))
				if _, err := put.wait(); err != nil {
					t.Error(err)
				}
				want := []hint{{nodeD, s.slotOf(nodeB)}}
				if diff := cmp.Diff(want, s.hints(), cmp.AllowUnexported(hint{})); diff != "" {
					t.Errorf("hints:\n%s", diff)
				}
				req := standingIn("w")
				req.PW = kv.LevelQuorum
				put = s.put(within(t), req)
				c.end(s.to(nodeB, 1))
				c.end(s.to(nodeC, 1))
				if _, err := put.wait(); codeIn(err) != wire.CodeQuorum {
					t.Errorf("pw = 2 with one owner: %v", err)
				}
			})
		})
	}
}

// One that is slow is given its time, and no more; its own answer counts all the same.
func TestASlowOwnerIsStoodInForAfterItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.takes(nodeD, nodeE)
		began := time.Now()
		if _, err := s.put(within(t), standingIn("v")).wait(); err != nil {
			t.Error(err)
		}
		// An unknown peer has a quarter of the longest try, as reads give it.
		if took := time.Since(began); took != tryCeiling/4 {
			t.Errorf("answered after %v", took)
		}
		if len(s.hints()) != 2 {
			t.Errorf("hints %v for two slow owners", s.hints())
		}
		s.takes(nodeB, nodeC)
		for range latencyWarm {
			if _, err := s.put(within(t), standingIn("v")).wait(); err != nil {
				t.Fatal(err)
			}
		}
		delete(s.auto, nodeB)
		delete(s.auto, nodeC)
		delete(s.auto, nodeD)
		delete(s.auto, nodeE)
		before := len(s.hints())
		put, began := s.put(within(t), standingIn("w")), time.Now()
		time.Sleep(s.c.cfg.HintAfter - 1)
		if n := len(s.hints()) - before; n != 0 {
			t.Errorf("%d hints before the floor of a fast peer's time", n)
		}
		time.Sleep(time.Nanosecond)
		if n := len(s.hints()) - before; n != 2 {
			t.Errorf("%d hints after the time of two peers, want 2", n)
		}
		s.to(nodeC, 1+latencyWarm).stored(wire.ReplicaOK) // late, and still an owner's answer
		if _, err := put.wait(); err != nil || time.Since(began) != s.c.cfg.HintAfter {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// Owners that fail when the client has been answered long ago get their hint too; a fallback
// that fails is replaced by the next; and Drain waits until all that is over.
func TestOwnersThatFailAfterTheAnswerGetTheirHint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.takes(nodeB)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err := s.c.Put(ctx, standingIn("v")); err != nil {
			t.Fatal(err)
		}
		cancel()
		if n := len(s.hints()); n != 0 {
			t.Fatalf("%d hints before anybody failed", n)
		}
		drained := begin(func() (int, error) { return 0, s.c.Drain(context.Background()) })
		s.to(nodeC, 0).fail(errLost)
		first := s.to(nodeD, 0)
		if left := time.Until(first.deadline); left > s.c.cfg.SendTimeout {
			t.Errorf("the hint's send has %v left", left)
		}
		first.stored(wire.ReplicaOverloaded)
		if drained.over() {
			t.Error("Drain did not wait for the second fallback")
		}
		s.to(nodeE, 0).stored(wire.ReplicaOK)
		want := []hint{{nodeD, s.slotOf(nodeC)}, {nodeE, s.slotOf(nodeC)}}
		if diff := cmp.Diff(want, s.hints(), cmp.AllowUnexported(hint{})); diff != "" {
			t.Errorf("hints:\n%s", diff)
		}
		if !drained.over() {
			t.Error("Drain still waits")
		}
	})
}

// Past the deadline of the sends nobody is asked any more: the last of them ends the write.
func TestHintsEndWithTheSends(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.HintAfter = 2 * c.SendTimeout })
		s.takes(nodeB)
		if _, err := s.c.Put(within(t), standingIn("v")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(s.c.cfg.SendTimeout)
		s.to(nodeC, 0).fail(context.DeadlineExceeded)
		if n := s.count(nodeD) + s.count(nodeE); n != 0 {
			t.Errorf("%d were asked after the deadline", n)
		}
		if err := s.c.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A write that could not be acknowledged says unknown as soon as one fallback may have it.
func TestTrapS4AHintMayBeAllThatIsLeftOfAWrite(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*call)
		want wire.Code
	}{
		{"a fallback was lost", func(c *call) { c.fail(errLost) }, wire.CodeQuorum},
		{"a fallback refused", func(c *call) { c.stored(wire.ReplicaRefused) }, wire.CodeQuorum},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.loses(errNotSent, nodeB, nodeC)
				s.auto[nodeD], s.auto[nodeE] = c.end, c.end
				_, err := s.c.Put(within(t), standingIn("v"))
				if codeIn(err) != c.want {
					t.Errorf("%v, want %v", err, c.want)
				}
				// Both fallbacks were tried, and neither again once it had failed.
				if s.count(nodeD) != 1 || s.count(nodeE) == 0 || len(s.hints()) > 3 {
					t.Errorf("hints %v", s.hints())
				}
			})
		})
	}
}

// Copies are counted by machines: one fallback that keeps hints for two owners is one copy.
func TestTrapS12OneFallbackForTwoOwnersIsOneCopy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.down[nodeB], s.down[nodeC], s.down[nodeE] = true, true, true
		s.loses(errNotSent, nodeB, nodeC, nodeE)
		s.takes(nodeD)
		req := standingIn("v")
		if _, err := s.c.Put(within(t), req); err != nil {
			t.Errorf("w = 2 on this node and a fallback: %v", err)
		}
		if n := len(s.copies(nodeD)); n != 2 {
			t.Errorf("%d hints, want one for each owner", n)
		}
		req.W = kv.LevelAll
		if _, err := s.c.Put(within(t), req); codeIn(err) != wire.CodeUnavailable {
			t.Errorf("w = 3 on two machines: %v", err)
		}
		s.down[nodeE] = false // it seems alive, and is not
		if _, err := s.c.Put(within(t), req); codeIn(err) != wire.CodeQuorum {
			t.Errorf("w = 3 on two machines: %v", err)
		}
	})
}
