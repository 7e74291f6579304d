// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

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
		b := &strict{granted: make(chan struct{})}
		f.budget = b
		f.deliver()
		time.Sleep(time.Minute)
		if n.sends(owners[1]) != 0 || b.asked.Load() < int64(len("v")) {
			t.Errorf("%d sends, %d bytes asked for", n.sends(owners[1]), b.asked.Load())
		}
		close(b.granted)
		eventually(t, time.Minute, "it is delivered", func() bool { return f.kept() == 0 })
	})
}

// Hints of a slot go together, for which their bytes and what each costs beside them are
// taken at once: one after the other each would take a sync of its own where it is stored.
func TestHintsOfASlotAreSentTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		const keys = 300
		cells := make(map[uint16]bool)
		for i := range keys {
			key, _ := n.keyOf(4, i)
			f.hint(key, 1, written(2, key))
			cells[n.ring.Load().PartitionOf(1, []byte(key))] = true
		}
		b := &strict{granted: make(chan struct{})}
		close(b.granted)
		f.budget = b
		f.deliver()
		eventually(t, time.Minute, "all are gone", func() bool { return f.kept() == 0 })
		if most := int64(len(cells) + keys/batchHints); b.takes.Load() > 2*most {
			t.Errorf("%d hints of %d slots were taken in %d parts", keys, len(cells), b.takes.Load())
		}
		if b.asked.Load() < keys*budget.Piece {
			t.Errorf("%d bytes were taken for %d hints", b.asked.Load(), keys)
		}
	})
}

// strict is a budget that grants when it is told.
type strict struct {
	granted      chan struct{}
	asked, takes atomic.Int64
}

func (s *strict) Take(ctx context.Context, bytes int) error {
	s.asked.Add(int64(bytes))
	s.takes.Add(1)
	select {
	case <-s.granted:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A member that failed is let alone, and tried at once when it is back nevertheless: it is
// another process, perhaps.
func TestAMemberThatIsBackIsTriedAtOnceWhateverItDidBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNet(t)
		f := n.nodes[4]
		f.tuned = func(c *Config) { c.PauseMin, c.PauseMax = time.Second, time.Hour }
		key, owners := n.keyOf(4, 0)
		f.hint(key, 1, written(2, "v"))
		n.meeting(func(_ kv.NodeID, _ *wire.StoreRequest, done func(wire.StoreReply, error)) bool {
			done(wire.StoreReply{}, errors.New("lost"))
			return true
		})
		f.deliver()
		time.Sleep(time.Hour)
		n.fell(owners[1])
		time.Sleep(time.Minute)
		n.meeting(nil)
		n.rose(owners[1])
		eventually(t, 2*time.Second, "it is delivered", func() bool { return f.kept() == 0 })
	})
}
