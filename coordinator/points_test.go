// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

var errPoint = errors.New("broken on purpose")

// pointed is a stage with one failpoint armed; the others count.
func pointed(t *testing.T, point string, plan fail.Plan, change ...func(*Config)) *stage {
	points := fail.NewSet()
	points.Arm(point, plan)
	s := newStage(t, append(change, func(c *Config) { c.Points = points })...)
	s.holding(nodeB, kv.Object{})
	s.holding(nodeC, kv.Object{})
	return s
}

func TestSendThatIsToFailIsOneThatNeverLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := pointed(t, PointSend, fail.Plan{Times: 1, Err: errPoint})
		if _, err := s.c.Put(within(t), putting("v")); err != nil {
			t.Errorf("two of three have it: %v", err)
		}
		if b, c := s.count(nodeB), s.count(nodeC); b+c != 1 {
			t.Errorf("%d and %d sends, want one in all", b, c)
		}
		s.c.cfg.Points.Arm(PointSend, fail.Plan{Err: errPoint})
		if _, err := s.c.Put(within(t), putting("v")); codeIn(err) != wire.CodeQuorum {
			t.Errorf("%v, want QUORUM", err)
		}
		if err := s.c.Drain(within(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestAnswersThatAreToFailAreNotTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told trace.Recorder
		s := pointed(t, PointAcknowledge, fail.Plan{Err: errPoint}, traced(&told))
		s.c.cfg.Points.Arm(PointReadAnswer, fail.Plan{Err: errPoint})
		if _, err := s.c.Put(within(t), putting("v")); codeIn(err) != wire.CodeQuorum {
			t.Errorf("put: %v, want QUORUM", err)
		}
		if _, err := s.c.Get(within(t), getting()); codeIn(err) != wire.CodeQuorum {
			t.Errorf("get: %v, want QUORUM", err)
		}
		if n := len(told.Events()); n != 0 {
			t.Errorf("%d events tell of answers that nobody got", n)
		}
	})
}

func TestReplicaThatCanNotBeAskedIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := pointed(t, PointAsk, fail.Plan{Times: 1, Err: errPoint})
		if _, err := s.c.Get(within(t), getting()); err != nil {
			t.Errorf("the third could answer: %v", err)
		}
		if n := s.count(nodeB) + s.count(nodeC); n != 1 {
			t.Errorf("%d were asked, want the one that replaced the other", n)
		}
	})
}

func TestRepairThatIsDroppedIsCountedAsLeftOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := pointed(t, PointRepair, fail.Plan{Drop: true})
		s.local(version(nodeA, 1, "v"))
		req := getting()
		req.R = kv.LevelAll
		if _, err := s.c.Get(within(t), req); err != nil {
			t.Fatal(err)
		}
		sent, skipped := s.c.Repairs()
		if sent != 0 || skipped != 2 || len(s.copies(nodeB))+len(s.copies(nodeC)) != 0 {
			t.Errorf("%d repairs were sent and %d left out, want both left out", sent, skipped)
		}
	})
}

func TestWriteBackThatIsNotSentFailsTheRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := pointed(t, PointWriteBack, fail.Plan{Err: errPoint})
		s.local(version(nodeA, 1, "v"))
		if _, err := s.c.Get(within(t), atomically()); codeIn(err) != wire.CodeQuorum {
			t.Errorf("%v, want QUORUM", err)
		}
	})
}

func TestForwardThatIsNotSentGoesToTheNextOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := pointed(t, PointForward, fail.Plan{Times: 1, Err: errPoint},
			func(c *Config) { c.Node = nodeD })
		s.auto[nodeC] = func(c *call) { c.onForward(wire.ForwardReply{Result: []byte("ok")}, nil) }
		reply, err := s.forward(within(t), nil).wait()
		if err != nil || string(reply.Result) != "ok" || s.count(nodeB) != 0 {
			t.Errorf("%+v, %v, and %d calls to the first", reply, err, s.count(nodeB))
		}
	})
}

// TestEveryPointOfACoordinatorIsReached also lets each take its time, as a busy machine
// does.
func TestEveryPointOfACoordinatorIsReached(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := pointed(t, PointSend, fail.Plan{})
		for _, p := range Points() {
			nap := func() error { time.Sleep(10 * time.Millisecond); return nil }
			s.c.cfg.Points.Arm(p.Name, fail.Plan{Hook: nap})
		}
		if _, err := s.c.Put(within(t), putting("v")); err != nil {
			t.Error(err)
		}
		s.local(version(nodeA, 1, "v"))
		for _, req := range []*GetRequest{getting(), atomically()} {
			if _, err := s.c.Get(within(t), req); err != nil {
				t.Error(err)
			}
		}
		s.auto[nodeB] = func(c *call) { c.onForward(wire.ForwardReply{}, nil) }
		if _, err := s.forward(within(t), nil).wait(); err != nil {
			t.Error(err)
		}
		for _, p := range Points() {
			if s.c.cfg.Points.Hits(p.Name) == 0 {
				t.Errorf("%s was not reached", p.Name)
			}
		}
	})
}
