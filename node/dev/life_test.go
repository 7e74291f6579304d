// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

func TestAddressesAreOnThisMachineAndLeaveRoom(t *testing.T) {
	cases := []struct {
		listen string
		nodes  int
		last   string // client address of the last node; empty: refused
	}{
		{"127.0.0.1:4610", 3, "127.0.0.1:4630"},
		{"localhost:4610", 1, "127.0.0.1:4610"},
		{"127.9.9.9:4610", 2, "127.9.9.9:4620"},
		{"[::1]:4610", 2, "[::1]:4620"},
		{"127.0.0.1:65500", 3, "127.0.0.1:65520"},
		{"127.0.0.1:65530", 3, ""},
		{"127.0.0.1:-1", 1, ""},
		{"127.0.0.1", 1, ""},
		{":4610", 1, ""},
		{"0.0.0.0:4610", 1, ""},
		{"192.0.2.1:4610", 1, ""},
		{"example.org:4610", 1, ""},
	}
	for _, test := range cases {
		list, err := addresses(test.listen, "", test.nodes)
		switch {
		case test.last == "" && err == nil:
			t.Errorf("%s for %d nodes gave %v", test.listen, test.nodes, list)
		case test.last != "" && (err != nil || list[test.nodes-1].client != test.last):
			t.Errorf("%s for %d nodes gave %v, %v", test.listen, test.nodes, list, err)
		}
	}
}

func TestAdminPortsAreThreeAboveOrWhereTheyAreTold(t *testing.T) {
	for _, test := range []struct{ admin, last string }{
		{"", "127.0.0.1:4623"},
		{"127.0.0.1:9000", "127.0.0.1:9010"},
		{"localhost:9000", "127.0.0.1:9010"},
		{"0.0.0.0:9000", ""},
		{"127.0.0.1:0", ""},
		{"127.0.0.1:65530", ""},
		{"9000", ""},
	} {
		list, err := addresses("127.0.0.1:4610", test.admin, 2)
		switch {
		case test.last == "" && err == nil:
			t.Errorf("%q gave %v", test.admin, list)
		case test.last != "" && (err != nil || list[1].admin != test.last):
			t.Errorf("%q gave %v, %v", test.admin, list, err)
		}
	}
}

func TestReadyFailsWhereTheClusterEnds(t *testing.T) {
	cluster, err := Open(t.Context(), testConfig(t.TempDir()), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cluster.Run(ended); err != nil {
		t.Error(err)
	}
	wait, done := context.WithTimeout(t.Context(), patience)
	defer done()
	if _, err := cluster.Ready(wait); !errors.Is(err, errEnding) {
		t.Errorf("a cluster that has ended is ready: %v", err)
	}
}

func TestNodeWhoseDiskFailsEndsTheCluster(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Node.Points = fail.NewSet()
	l := start(t, cfg)
	broken := errors.New("the test breaks the disk")
	cfg.Node.Points.Arm(storage.PointCommit, fail.Plan{Err: broken})
	_, err := l.at(1).tryPut(wire.PutRequest{Key: []byte("k"), Value: []byte("v")})
	if err == nil {
		t.Error("a write that no disk took was acknowledged")
	}
	err = <-l.ended
	l.ended = nil
	if !errors.Is(err, storage.ErrFailed) || !errors.Is(err, broken) {
		t.Errorf("Run returned %v, want ErrFailed and why", err)
	}
}

func TestNodeThatStopsItselfCanBeStartedAtOnce(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	own := &control{cluster: l.cluster, self: "n2"}
	for range 3 {
		if err := own.StopNode(t.Context(), "n2"); err != nil {
			t.Fatal(err)
		}
		if err := l.cluster.StartNode(t.Context(), "n2"); err != nil {
			t.Fatalf("right after it was told to stop: %v", err)
		}
	}
	if err := l.cluster.StartNode(t.Context(), "n2"); !errors.Is(err, server.ErrRefused) {
		t.Errorf("it runs: %v", err)
	}
	awaitReady(t, l)
}

func TestOfThreeNodesThatAreStoppedAtOnceOneStays(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	var stops sync.WaitGroup
	var mu sync.Mutex
	refusals := 0
	for _, name := range []string{"n1", "n2", "n3"} {
		stops.Go(func() {
			err := l.cluster.StopNode(t.Context(), name)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, server.ErrRefused):
				refusals++
			case err != nil:
				t.Error(err)
			}
		})
	}
	stops.Wait()
	if refusals != 1 {
		t.Errorf("%d of three stops were refused, want 1", refusals)
	}
	wait, done := context.WithTimeout(t.Context(), patience)
	defer done()
	if _, err := l.cluster.Ready(wait); err != nil {
		t.Errorf("the node that stays is not ready: %v", err)
	}
}

func TestNodeWhosePortIsTakenCanBeStartedOnceItIsFree(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	stopNode(t, l, "n3")
	taken, err := net.Listen("tcp", l.cluster.Members()[2].Client)
	if err != nil {
		t.Fatal(err)
	}
	err = l.cluster.StartNode(t.Context(), "n3")
	if err == nil || errors.Is(err, server.ErrRefused) ||
		!strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v does not name the port, or blames the client", err)
	}
	if !l.cluster.Stopped("n3") {
		t.Error("n3 counts as running")
	}
	l.at(1).put("k", "v", nil)
	if err := errors.Join(taken.Close(), l.cluster.StartNode(t.Context(), "n3")); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, l)
}

func TestStartAtTheVeryEndIsRefusedAndLeavesTheDirectoryFree(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	stopNode(t, l, "n2")
	begun := make(chan error, 1)
	go func() { begun <- l.cluster.StartNode(context.Background(), "n2") }()
	l.stop()
	start(t, cfg).stop() // nothing is locked by now
	if err := <-begun; err != nil && !errors.Is(err, errEnding) {
		t.Error(err)
	}
}

func TestOpenThatFailsLeavesEveryDirectoryAsItWas(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	before := l.at(1).put("k", "v", nil)
	l.stop()
	busy := cfg
	layout, err := addresses("127.0.0.1:0", "", 3)
	if err != nil {
		t.Fatal(err)
	}
	busy.Listen = layout[0].client
	taken, err := net.Listen("tcp", layout[2].client)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := Open(t.Context(), busy, zap.NewNop()); err == nil {
			t.Fatal("opened at a port that is taken")
		}
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	l = start(t, cfg)
	after := l.at(1).put("k", "w", before)
	if len(after) > len(before) {
		t.Errorf("n1 began a new incarnation: the context grew from %d to %d bytes", len(before),
			len(after))
	}
}

func TestDamagedClusterFileIsRefusedAndLeftAlone(t *testing.T) {
	cfg := testConfig(t.TempDir())
	start(t, cfg).stop()
	path := filepath.Join(cfg.Dir, fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		damage func(*file)
	}{
		{"another version", func(f *file) { f.Version = 9 }},
		{"a cluster id that is none", func(f *file) { f.Cluster = "abc" }},
		{"no nodes", func(f *file) { f.Nodes = 0 }},
		{"too many nodes", func(f *file) { f.Nodes = 17 }},
		{"no replicas", func(f *file) { f.Replicas = 0 }},
		{"more replicas than nodes", func(f *file) { f.Replicas = 4 }},
		{"no partitions", func(f *file) { f.Partitions = 0 }},
		{"partitions that are no power of two", func(f *file) { f.Partitions = 100 }},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			var f file
			if err := json.Unmarshal(whole, &f); err != nil {
				t.Fatal(err)
			}
			test.damage(&f)
			damaged, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			refuses(t, cfg, path, damaged)
		})
	}
	for n := 0; n < len(whole)-1; n += len(whole) / 7 {
		refuses(t, cfg, path, whole[:n])
	}
}

// refuses demands that a cluster file is called damaged and not touched.
func refuses(t *testing.T, cfg Config, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	cluster, err := Open(t.Context(), cfg, zap.NewNop())
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("opened with %v, want ErrDamaged", err)
		if err == nil {
			t.Error(cluster.Close())
		}
	}
	if left, err := os.ReadFile(path); err != nil || string(left) != string(content) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestClusterThatWasBegunAndNeverOpenedIsOpened(t *testing.T) {
	cfg := testConfig(t.TempDir())
	if _, err := openFile(cfg); err != nil {
		t.Fatal(err)
	}
	l := start(t, cfg) // as after a crash between the file and the nodes
	l.at(1).put("k", "v", nil)
	l.at(2).has("k", kv.LevelAll, "v")
}

// A first node whose directory is gone must not found a second cluster (I1).
func TestFirstNodeWithAnEmptyDirectoryFoundsNoSecondCluster(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	cluster := status(t, l.at(2)).Cluster
	l.at(1).put("k", "v", nil)
	l.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n1")); err != nil {
		t.Fatal(err)
	}
	l = start(t, cfg)
	refused(t, l, "n1", "directory is empty")
	if got := status(t, l.at(1)).Cluster; got != cluster {
		t.Errorf("n1 is of cluster %s, the others are of %s", got, cluster)
	}
	l.at(2).has("k", kv.LevelQuorum, "v")
}

func TestReadyDoesNotWaitForNodesThatAreStopped(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	stopNode(t, l, "n2")
	wait, done := context.WithTimeout(t.Context(), 5*time.Second)
	defer done()
	if refused, err := l.cluster.Ready(wait); err != nil || len(refused) > 0 {
		t.Errorf("refused %v, %v", refused, err)
	}
}

func TestOthersSeeThatAStoreIsRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	start(t, cfg).stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n2")); err != nil {
		t.Fatal(err)
	}
	l := start(t, cfg)
	eventually(t, "n1 shows n2 as up and not ready, and n3 as ready", func() bool {
		m := statusByName(t, l.at(1))
		return m["n2"].State == wire.StateUp && !m["n2"].Ready && !m["n2"].Confirmed &&
			m["n2"].Reason != "" && m["n3"].Ready && m["n3"].Confirmed
	})
}

// statusByName are the members as a node sees them.
func statusByName(t *testing.T, s *session) map[string]wire.MemberStatus {
	t.Helper()
	members := make(map[string]wire.MemberStatus)
	for _, m := range status(t, s).Members {
		members[m.Name] = m
	}
	return members
}

// status is cluster.status as a node answers it.
func status(t *testing.T, s *session) wire.ClusterStatusResult {
	t.Helper()
	b, err := s.call(wire.MethodClusterStatus, func(dst []byte) []byte {
		return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{})
	})
	if err != nil {
		t.Fatal(err)
	}
	var result wire.ClusterStatusResult
	if err := wire.DecodeClusterStatusResult(b, &result); err != nil {
		t.Fatal(err)
	}
	return result
}
