// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// The answer, the client's deadline and its leaving cancel no send (I2).
func TestSendsOutliveTheAnswerAndDrainWaitsForThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.holding(nodeB, kv.Object{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err := s.c.Put(ctx, putting("v")); err != nil {
			t.Fatal(err)
		}
		cancel()
		open := s.to(nodeC, 0)
		if left := time.Until(open.deadline); left != s.c.cfg.SendTimeout {
			t.Errorf("the send ends in %v, want %v", left, s.c.cfg.SendTimeout)
		}
		if ms := open.store.RemainingMS; ms != uint32(s.c.cfg.SendTimeout.Milliseconds()) {
			t.Errorf("the send says that %d ms remain", ms)
		}
		short, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := s.c.Drain(short); err == nil {
			t.Error("Drain did not wait for the open send")
		}
		drained := begin(func() (int, error) { return 0, s.c.Drain(context.Background()) })
		if drained.over() {
			t.Error("Drain did not wait for the open send")
		}
		open.stored(wire.ReplicaOK)
		if !drained.over() {
			t.Error("Drain still waits")
		}
	})
}

// A write that waited long for its dot has its sends' whole time afterwards.
func TestSendsHaveTheirTimeFromTheDotOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.mint = func(req *replica.MintRequest) {
			time.AfterFunc(7*time.Second, func() {
				m := s.issue(req)
				req.Minted(m)
				req.Done(m)
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		put := s.put(ctx, putting("v"))
		time.Sleep(7 * time.Second)
		open := s.to(nodeB, 0)
		if left := time.Until(open.deadline); left != s.c.cfg.SendTimeout {
			t.Errorf("the send ends in %v, want %v", left, s.c.cfg.SendTimeout)
		}
		open.stored(wire.ReplicaOK)
		s.to(nodeC, 0).stored(wire.ReplicaOK)
		if _, err := put.wait(); err != nil {
			t.Error(err)
		}
	})
}

// Where the client leaves while the write waits for its dot, the write that happens
// nevertheless must reach the other owners: else it would stand at one node, unfound.
func TestAWriteThatGetsItsDotAfterItsClientLeftIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		var local *replica.MintRequest
		s.mint = func(req *replica.MintRequest) { local = req }
		ctx, leave := context.WithCancel(within(t))
		put := s.put(ctx, putting("v"))
		synctest.Wait()
		leave()
		if _, err := put.wait(); codeIn(err) != wire.CodeTimeout {
			t.Errorf("the client that left hears %v", err)
		}
		drained := begin(func() (int, error) { return 0, s.c.Drain(context.Background()) })
		m := s.issue(local)
		local.Minted(m)
		local.Done(m)
		for _, node := range []kv.NodeID{nodeB, nodeC} {
			got := s.to(node, 0)
			if got.store.Object.Digest() != m.Object.Digest() {
				t.Errorf("node %d was sent something else", node)
			}
			if drained.over() {
				t.Error("Drain did not wait for the sends")
			}
			got.stored(wire.ReplicaOK)
		}
		if !drained.over() {
			t.Error("Drain still waits")
		}
	})
}

func TestAWriteThatIsDroppedAfterItsClientLeftLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		var local *replica.MintRequest
		s.mint = func(req *replica.MintRequest) { local = req }
		put := s.put(within(t), putting("v"))
		_, err := put.wait()
		if codeIn(err) != wire.CodeTimeout {
			t.Errorf("%v", err)
		}
		if !local.Deadline.Equal(time.Now()) {
			t.Errorf("the mint's deadline is %v, now is %v", local.Deadline, time.Now())
		}
		local.Done(replica.MintReply{Code: wire.ReplicaExpired})
		if s.count(nodeB) != 0 {
			t.Error("a dropped write was sent")
		}
		if err := s.c.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// What has come before the deadline decides, even where the deadline is looked at first.
func TestAnswersThatCameInTimeCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 20 {
			s := newStage(t)
			s.holding(nodeB, kv.Object{})
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // both are ready from the start
			if _, err := s.c.Put(ctx, putting("v")); err != nil {
				t.Fatal(err)
			}
			for _, c := range s.calls {
				if c.node == nodeC {
					c.stored(wire.ReplicaOK)
				}
			}
		}
	})
}

func TestSendsCarryTheirReceiversInstanceAndTheEpochOfTheMint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.mint = func(req *replica.MintRequest) {
			m := s.issue(req)
			m.Epoch = 6
			req.Minted(m)
			req.Done(m)
		}
		s.holding(nodeB, kv.Object{})
		req := putting("v")
		req.Request = kv.RequestID{1, 2}
		if _, err := s.c.Put(within(t), req); err != nil {
			t.Fatal(err)
		}
		got := s.to(nodeC, 0).store
		if got.Instance != instanceOf(nodeC) || got.Placement != 5 || got.Epoch != 6 ||
			got.Role != kv.RoleOwner || got.Request != req.Request || string(got.Key) != "k" {
			t.Errorf("%+v", got)
		}
		s.to(nodeC, 0).stored(wire.ReplicaOK)
	})
}
