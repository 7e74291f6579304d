// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/node/dev"
)

// pointFence is transfer.PointFence: another owner is about to be asked to fence itself.
const pointFence = "transfer/before-fence"

// lossy runs three nodes whose operator says of each directory that is refused that it is
// lost.
type lossy struct {
	*dev.Cluster
	t   *testing.T
	ctx context.Context
	dir string
	c   *client.Client
}

func newLossy(t *testing.T, replicas int, points *fail.Set) *lossy {
	t.Helper()
	cfg := devConfig(t.TempDir(), 3)
	cfg.Replicas, cfg.Node.Rejoin, cfg.Node.Points = replicas, true, points
	cfg.Node.Meta.Engine.RefusedAfter = time.Second // until n3 has a seat again
	cfg.Node.Transfer.Settle, cfg.Node.Transfer.Pause = time.Second/10, time.Second/10
	l := &lossy{
		t: t, dir: cfg.Dir,
		Cluster: runCluster(t, cfg, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))),
	}
	l.c = connectTo(t, l.Cluster, 1, 2, 3)
	var cancel context.CancelFunc
	l.ctx, cancel = context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return l
}

func (l *lossy) at(node int) client.Option {
	return client.WithEndpoint(l.Members()[node-1].Client)
}

// lose stops n3, takes its directory away, and starts it.
func (l *lossy) lose() {
	l.t.Helper()
	err := l.StopNode(l.ctx, "n3")
	if err == nil {
		err = os.RemoveAll(filepath.Join(l.dir, "n3"))
	}
	if err == nil {
		err = l.StartNode(l.ctx, "n3")
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// refill waits until n3's refill is as demanded, and returns it.
func (l *lossy) refill(what string, is func(*client.RefillStatus) bool) *client.RefillStatus {
	l.t.Helper()
	var last *client.RefillStatus
	eventually(l.t, l.ctx, what, func() bool {
		s, err := l.c.RepairStatus(l.ctx, l.at(3), client.WithTimeout(time.Second))
		last = s.Refill
		return err == nil && is(last)
	})
	return last
}

func eventually(t *testing.T, ctx context.Context, what string, is func() bool) {
	t.Helper()
	for !is() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}

// wait asks for the end of a round of a node that begins now.
func (l *lossy) wait(node int, most time.Duration) (done bool, took time.Duration) {
	l.t.Helper()
	s, err := l.c.RepairRun(l.ctx, l.at(node))
	began := time.Now()
	if err == nil {
		s, err = l.c.RepairWait(l.ctx, s.Round, l.at(node), client.WithTimeout(most))
	}
	if errors.Is(err, client.ErrTimeout) {
		return false, time.Since(began) // the machine is busy
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return s.Settled == s.Pairs && s.Refill == nil, time.Since(began)
}

// seat is the raft id of n3, where that is a voter's; else 0.
func (l *lossy) seat() uint64 {
	m, err := l.c.MetaMembers(l.ctx, l.at(1))
	for i := range m.Members {
		if m := &m.Members[i]; err == nil && m.Name == "n3" && m.Seat == client.SeatVoter {
			return m.Raft
		}
	}
	return 0
}

func (l *lossy) refused(why string, err error) {
	l.t.Helper()
	if !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), why) {
		l.t.Errorf("refused with %v, want %q", err, why)
	}
}

// Goal: of three nodes that hold one copy of each key one loses its own: nobody has these
// keys any more. That is told, and served only when an operator has said so.
func TestWhatNobodyHasAnyMoreIsLostByAnOperatorsWordOnly(t *testing.T) {
	l := newLossy(t, 1, nil)
	b := l.c.Bucket(client.DefaultBucket)
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	const keys = 60
	for i := range keys {
		if _, err := b.Put(l.ctx, key(i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	l.lose()
	s := l.refill("n3 knows what is lost", func(s *client.RefillStatus) bool {
		return s != nil && len(s.Lost) > 0 && s.Reason != ""
	})
	life := uint64(s.Instance)
	if len(s.Missing) > 0 || s.Pairs != 0 || s.Accepted ||
		!strings.Contains(s.Reason, "no intact owner is left") {
		t.Errorf("%+v", s)
	}
	own, err := l.c.ClusterStatus(l.ctx, l.at(3))
	if i := slices.IndexFunc(own.Members, func(m client.MemberStatus) bool {
		return m.Name == "n3" && !m.Ready && strings.Contains(m.Reason, "accept-loss")
	}); err != nil || i < 0 {
		t.Errorf("%+v, %v", own.Members, err)
	}
	// It has no other owner to compare with, and still the round is not over.
	if done, took := l.wait(3, 2*time.Second); done || took < time.Second {
		t.Errorf("a round is over: %v, after %v", done, took)
	}
	lost, known := 0, 0
	for i := range keys {
		r, err := b.Get(l.ctx, key(i), client.WithTimeout(time.Second/2))
		switch {
		case err != nil:
			lost++
		case r.Found:
			known++
		default:
			t.Fatalf("%s is not there, says somebody who lost it", key(i))
		}
		if lost > 0 && known > 0 {
			break
		}
	}
	if lost == 0 || known == 0 {
		t.Errorf("%d keys are served, %d are not", known, lost)
	}
	l.refused("not being filled", l.c.RepairAcceptLoss(l.ctx, life, nil, l.at(1)))
	l.refused("in life", l.c.RepairAcceptLoss(l.ctx, life-1, nil, l.at(3)))
	l.refused("not waited for", l.c.RepairAcceptLoss(l.ctx, life, []string{"n1"}, l.at(3)))
	for range 2 { // an answer may be lost
		if err := l.c.RepairAcceptLoss(l.ctx, life, nil, l.at(3)); err != nil {
			t.Fatal(err)
		}
	}
	awaitReady(l.ctx, t, l.c, "n3", l.at(1))
	if done, _ := l.wait(3, patience); !done {
		t.Error("the round is not over")
	}
	left := 0
	for i := range keys {
		r, err := b.Get(l.ctx, key(i), client.WithPR(client.One))
		if err != nil {
			t.Errorf("%s: %v", key(i), err)
		} else if r.Found {
			left++
		}
		if _, err = b.Put(l.ctx, key(i), []byte("w"), client.WithPW(client.One)); err != nil {
			t.Errorf("%s: %v", key(i), err)
		}
	}
	if left == 0 || left == keys {
		t.Errorf("%d of %d keys are left of two nodes of three", left, keys)
	}
}

// Goal: an owner that is intact is copied; a round is not over before.
func TestAnIntactOwnerIsWaitedForUntilAnOperatorGivesItUp(t *testing.T) {
	points := fail.NewSet()
	l := newLossy(t, 3, points)
	b := l.c.Bucket(client.DefaultBucket)
	for i := range 30 {
		if _, err := b.Put(l.ctx, fmt.Appendf(nil, "key %d", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	before := l.seat()
	points.Arm(pointFence, fail.Plan{Err: errors.New("no fence yet")})
	l.lose()
	s := l.refill("n3 is being filled", func(s *client.RefillStatus) bool {
		return s != nil && len(s.Missing) == 2 && strings.Contains(s.Reason, "no fence yet")
	})
	life := uint64(s.Instance)
	if len(s.Lost) > 0 || s.Pairs == 0 || s.Copied != 0 || len(s.Sources) > 0 {
		t.Errorf("%+v", s)
	}
	for _, node := range []int{1, 3} {
		if done, _ := l.wait(node, time.Second); done {
			t.Errorf("a round of n%d is over", node)
		}
	}
	l.refused("has an intact owner, and n1, n2", l.c.RepairAcceptLoss(l.ctx, life, nil, l.at(3)))
	l.refused("n2 is there", l.c.RepairAcceptLoss(l.ctx, life, []string{"n2"}, l.at(3)))
	l.refused("no member", l.c.RepairAcceptLoss(l.ctx, life, []string{"n9"}, l.at(3)))
	eventually(t, l.ctx, "n3 has a seat again, another one", func() bool {
		now := l.seat()
		return now != before && now != 0
	})
	if err := l.StopNode(l.ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	points.Disarm(pointFence)
	l.refill("n1 is copied", func(s *client.RefillStatus) bool {
		return s != nil && slices.Equal(s.Sources, []string{"n1"}) && s.Pairs == 2*s.Copied &&
			slices.Equal(s.Missing, []string{"n2"})
	})
	eventually(t, l.ctx, "n2 is given up", func() bool { // when n3 has seen that it is gone
		return l.c.RepairAcceptLoss(l.ctx, life, []string{"n2"}, l.at(3)) == nil
	})
	awaitReady(l.ctx, t, l.c, "n3", l.at(1))
	if err := l.StartNode(l.ctx, "n2"); err != nil {
		t.Fatal(err)
	}
	awaitReady(l.ctx, t, l.c, "n2", l.at(1))
	for _, node := range []int{1, 3} {
		if done, _ := l.wait(node, patience); !done {
			t.Errorf("the round of n%d is not over", node)
		}
	}
	for i := range 30 {
		r, err := b.Get(l.ctx, fmt.Appendf(nil, "key %d", i), client.WithR(client.One), l.at(3))
		if err != nil || !r.Found {
			t.Errorf("key %d: %+v, %v", i, r, err)
		}
	}
}
