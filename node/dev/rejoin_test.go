// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

const rejoinKeys = 50

// begin is start, without waiting until all are ready.
func begin(t *testing.T, cfg Config) *life {
	t.Helper()
	cluster, err := Open(t.Context(), cfg, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{t: t, cluster: cluster, cancel: cancel, ended: make(chan error, 1)}
	go func() { l.ended <- cluster.Run(ctx) }()
	t.Cleanup(l.stop)
	return l
}

func (l *life) fillKeys(value string) {
	for n := range rejoinKeys {
		l.at(1).put(fmt.Sprintf("k%02d", n), value, nil)
	}
}

// whole waits until n2 is ready, and reads all keys from all owners.
func (l *life) whole(t *testing.T, value string) {
	t.Helper()
	eventually(t, "n2 is full", func() bool {
		l.cluster.mu.Lock()
		defer l.cluster.mu.Unlock()
		s := l.cluster.running["n2"].node.Status()
		return s.Ready && s.Confirmed
	})
	for n := range rejoinKeys {
		l.at(2).has(fmt.Sprintf("k%02d", n), kv.LevelOne, value) // its own copy
	}
}

func TestAWipedStoreIsFilledByAnOperatorsWord(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	l.fillKeys("v")
	l.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n2")); err != nil {
		t.Fatal(err)
	}
	cfg.Node.Rejoin = true
	l = start(t, cfg)
	l.whole(t, "v")
	l.stop()
	cfg.Node.Rejoin = false
	l = start(t, cfg) // and it stays so
	l.whole(t, "v")
}

// Goal: the word may stand where a service's start is written down. Of a directory that is
// the node's own it changes nothing: no life, no incarnation, no value.
func TestTheWordChangesNothingInAStoreThatIsWhole(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	l.fillKeys("v")
	lives := func() (all []kv.Instance) {
		current := l.cluster.running["n1"].node.Group().View().Ring
		for _, m := range current.Members() {
			all = append(all, m.Instance)
		}
		return all
	}
	before := lives()
	l.stop()
	cfg.Node.Rejoin = true
	l = start(t, cfg)
	l.whole(t, "v")
	if now := lives(); !slices.Equal(now, before) {
		t.Errorf("the stores' lives are %v, were %v", now, before)
	}
	if s := l.cluster.running["n1"].node.Status(); !s.Ready || s.Filling {
		t.Errorf("%+v", s)
	}
}

// Goal: a process that ends in the middle is followed by one that goes on, without the word.
func TestARefillThatWasBrokenOffGoesOnByItself(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	l.fillKeys("v")
	l.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n2")); err != nil {
		t.Fatal(err)
	}
	points := fail.NewSet()
	points.Arm(replica.PointFence, fail.Plan{Err: errors.New("no fence yet")})
	cfg.Node.Rejoin, cfg.Node.Points = true, points
	l = begin(t, cfg)
	status := func() replica.Status {
		l.cluster.mu.Lock()
		defer l.cluster.mu.Unlock()
		return l.cluster.running["n2"].node.Status()
	}
	eventually(t, "n2 is being filled", func() bool {
		return status().Filling && points.Hits(replica.PointFence) > 2
	})
	// Whom n2 could not copy serve, and it counts for nothing.
	l.at(1).has("k00", kv.LevelQuorum, "v")
	l.at(2).has("k00", kv.LevelQuorum, "v")
	l.at(1).put("meanwhile", "v", nil)
	_, err := l.at(1).tryGet(wire.GetRequest{
		Key: []byte("k00"), ReadOptions: wire.ReadOptions{R: kv.LevelAll},
	})
	if codeOf(err) != wire.CodeQuorum {
		t.Errorf("r=all with a store that is being filled: %v, want QUORUM", err)
	}
	l.stop()
	cfg.Node.Rejoin, cfg.Node.Points = false, nil
	l = start(t, cfg)
	l.whole(t, "v")
	l.at(2).has("meanwhile", kv.LevelOne, "v")
}

// Goal: an older copy is better than none. Where no other owner is intact the word alone does
// not remove it: whoever wants that deletes the directory.
func TestTheOnlyCopyIsNotRemovedByAnOperatorsWord(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Replicas = 1
	l := start(t, cfg)
	l.fillKeys("v")
	l.stop()
	n2 := filepath.Join(cfg.Dir, "n2")
	backup := filepath.Join(t.TempDir(), "n2")
	if err := os.CopyFS(backup, os.DirFS(n2)); err != nil {
		t.Fatal(err)
	}
	start(t, cfg).stop()
	restore := func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(n2), os.CopyFS(n2, os.DirFS(backup))); err != nil {
			t.Fatal(err)
		}
	}
	restore()
	cfg.Node.Rejoin = true
	l = begin(t, cfg)
	select {
	case err := <-l.ended:
		l.ended = nil
		if !errors.Is(err, node.ErrOnlyCopy) {
			t.Fatalf("it ended with %v, want ErrOnlyCopy", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on, and has removed what it had")
	}
	cfg.Node.Rejoin = false
	if l = start(t, cfg); len(l.refused) != 1 || l.refused[0].Filling {
		t.Errorf("without the word: %+v", l.refused)
	}
}

func TestARestoredStoreIsFilledByAnOperatorsWord(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	l.at(1).put("k00", "old", nil)
	l.stop()
	backup := filepath.Join(t.TempDir(), "n2")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(cfg.Dir, "n2"))); err != nil {
		t.Fatal(err)
	}
	l = start(t, cfg)
	ctx := l.at(2).has("k00", kv.LevelAll, "old")
	l.at(2).put("k00", "v", ctx)
	for n := 1; n < rejoinKeys; n++ {
		l.at(1).put(fmt.Sprintf("k%02d", n), "v", nil)
	}
	l.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n2")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(cfg.Dir, "n2"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	cfg.Node.Rejoin = true
	l = start(t, cfg)
	l.whole(t, "v")
}
