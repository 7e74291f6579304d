// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

func TestStopAndStartKeepsEverything(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	contexts := make(map[string][]byte)
	for i := range 50 {
		key := fmt.Sprintf("k%d", i)
		contexts[key] = l.at(1+i%3).put(key, "v"+key, nil)
	}
	cluster := status(t, l.at(1)).Cluster
	l.stop()

	l = start(t, cfg)
	if got := status(t, l.at(1)).Cluster; got != cluster {
		t.Errorf("cluster %v became %v", cluster, got)
	}
	for key, context := range contexts {
		l.at(2).has(key, kv.LevelAll, "v"+key)
		grown := l.at(3).put(key, "again", context)
		l.at(1).has(key, kv.LevelAll, "again")
		// n3 may begin an incarnation of its own, but the one that wrote first was kept.
		if len(grown) > len(context)+12 {
			t.Errorf("%s: the context grew from %d to %d bytes", key, len(context), len(grown))
		}
	}
}

func TestRetryAfterARestartIsTheSameWrite(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	write := wire.PutRequest{Key: []byte("k"), Value: []byte("v")}
	write.RequestID = kv.RequestID{9}
	first, err := l.at(1).tryPut(write)
	if err != nil {
		t.Fatal(err)
	}
	l.at(1).put("k", "newer", first.Context)
	l.stop()

	l = start(t, cfg)
	if _, err := l.at(1).tryPut(write); err != nil {
		t.Fatal(err)
	}
	l.at(2).has("k", kv.LevelAll, "newer") // the late retry did not bring v back
}

func TestWipedStoreStaysNotReadyAndSaysSo(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	l.at(1).put("k", "v", nil)
	l.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n2")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again at the next start
		l = start(t, cfg)
		refused(t, l, "n2", "directory is empty")
		l.at(1).has("k", kv.LevelQuorum, "v")
		eventually(t, "n2 has connected to the others", func() bool {
			_, err := l.at(2).tryGet(wire.GetRequest{Key: []byte("k")})
			return err == nil
		})
		l.at(2).has("k", kv.LevelQuorum, "v")
		_, err := l.at(2).tryGet(wire.GetRequest{
			Key: []byte("k"), ReadOptions: wire.ReadOptions{R: kv.LevelAll},
		})
		if codeOf(err) != wire.CodeQuorum {
			t.Errorf("r=all with a refused store: %v, want QUORUM", err)
		}
		l.at(2).put("through n2", "v", nil) // another owner coordinates
		l.stop()
	}
}

func TestRestoredStoreIsRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	l.at(1).put("k", "old", nil)
	l.stop()
	backup := filepath.Join(t.TempDir(), "n2")
	if err := os.CopyFS(backup, os.DirFS(filepath.Join(cfg.Dir, "n2"))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l = start(t, cfg)
		l.at(2).put("k", "new", l.at(2).has("k", kv.LevelAll, "old"))
		l.at(2).put("k", "old", l.at(2).has("k", kv.LevelAll, "new"))
		l.stop()
	}
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "n2")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(cfg.Dir, "n2"), os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	l = start(t, cfg)
	refused(t, l, "n2", "older copy")
	l.at(1).has("k", kv.LevelQuorum, "old")
}

func TestDirectoryOfAnotherNodeIsRefused(t *testing.T) {
	cfg := testConfig(t.TempDir())
	start(t, cfg).stop()
	from, to := filepath.Join(cfg.Dir, "n1"), filepath.Join(cfg.Dir, "n2")
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), cfg, zap.NewNop())
	if !errors.Is(err, node.ErrOtherIdentity) {
		t.Errorf("error %v, want ErrOtherIdentity", err)
	}
}

func TestUnusableDirectoriesAreRefusedAndLeftAlone(t *testing.T) {
	foreign := t.TempDir()
	precious := filepath.Join(foreign, "thesis.tex")
	if err := os.WriteFile(precious, []byte("all of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), testConfig(foreign), zap.NewNop()); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign directory: %v, want ErrForeign", err)
	}
	if kept, err := os.ReadFile(precious); err != nil || string(kept) != "all of it" {
		t.Errorf("the foreign file: %q, %v", kept, err)
	}
	if all, err := os.ReadDir(foreign); err != nil || len(all) != 1 {
		t.Errorf("the foreign directory has %v, %v", all, err)
	}

	cfg := testConfig(t.TempDir())
	l := start(t, cfg)
	if _, err := Open(t.Context(), cfg, zap.NewNop()); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a second process: %v, want ErrLocked", err)
	}
	l.at(1).put("k", "v", nil)
	l.stop()

	other := cfg
	other.Partitions = 64
	if _, err := Open(t.Context(), other, zap.NewNop()); err == nil ||
		!strings.Contains(err.Error(), "128 partitions") {
		t.Errorf("other partitions: %v", err)
	}

	path := filepath.Join(cfg.Dir, fileName)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, zap.NewNop()); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged cluster file: %v, want ErrDamaged", err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	layout, err := addresses("127.0.0.1:0", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", layout[0].client)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	cfg := testConfig(t.TempDir())
	cfg.Listen, cfg.Nodes = taken.Addr().String(), 1
	_, err = Open(t.Context(), cfg, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v does not name %v", err, taken.Addr())
	}
}

func TestLastRunningNodeIsNotStopped(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Nodes = 1
	l := start(t, cfg)
	if err := l.cluster.StopNode(t.Context(), "n1"); err == nil {
		t.Error("the only node was stopped")
	}
	if err := l.cluster.StopNode(t.Context(), "n9"); err == nil ||
		!strings.Contains(err.Error(), "n1") {
		t.Errorf("an unknown node: %v", err)
	}
	if err := l.cluster.StartNode(t.Context(), "n1"); err == nil {
		t.Error("a running node was started again")
	}
	l.at(1).put("k", "v", nil)
}

func TestNodeThatIsAskedToStopItselfAnswersFirst(t *testing.T) {
	l := start(t, testConfig(t.TempDir()))
	one := l.at(1)
	_, err := one.call(wire.MethodNodeStop, func(dst []byte) []byte {
		return wire.AppendNameRequest(dst, &wire.NameRequest{Name: "n1"})
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "n1 is seen as stopped", func() bool {
		return statusByName(t, l.at(2))["n1"].State == wire.StateStopped
	})
}

// refused demands that exactly one node is not ready, for a reason.
func refused(t *testing.T, l *life, name, why string) {
	t.Helper()
	if len(l.refused) != 1 || l.refused[0].Name != name ||
		!strings.Contains(l.refused[0].Reason, why) {
		t.Fatalf("refused: %+v, want %s because %q", l.refused, name, why)
	}
}
