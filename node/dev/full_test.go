// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
)

// An engine that is opened writes, and one that writes to a full disk takes the process
// with it: the disk is looked at before.
func TestDiskBelowItsReserveIsRefusedBeforeAnEngineIsOpened(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Node.Storage.LowWater, cfg.Node.Storage.HighWater = 1<<62, 1<<62
	if _, err := Open(t.Context(), cfg, zap.NewNop()); !errors.Is(err, storage.ErrDiskFull) {
		t.Fatalf("opened with %v, want ErrDiskFull", err)
	}
	files := 0
	err := filepath.WalkDir(cfg.Dir, func(path string, d os.DirEntry, err error) error {
		if name := filepath.Ext(path); err == nil && (name == ".mem" || name == ".vlog") {
			files++
		}
		return err
	})
	if err != nil || files > 0 {
		t.Errorf("%d files of an engine are there, %v", files, err)
	}
	cfg.Node.Storage.LowWater, cfg.Node.Storage.HighWater = 0, 0
	start(t, cfg).at(1).put("k", "v", nil)
}

func TestOpeningThatCanNotBeWrittenIsTriedAgain(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Node.ConfirmEvery = 20 * time.Millisecond
	start(t, cfg).stop()
	cluster, err := Open(t.Context(), cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(cfg.Dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(cfg.Dir, fileName+".new")
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{t: t, cluster: cluster, cancel: cancel, ended: make(chan error, 1)}
	go func() { l.ended <- cluster.Run(ctx) }()
	defer l.stop()
	wait, done := context.WithTimeout(ctx, time.Second)
	defer done()
	_, err = cluster.Ready(wait)
	if err == nil || !strings.Contains(err.Error(), "n2: its start could not be written") {
		t.Errorf("ready without being confirmed: %v", err)
	}
	l.at(1).put("k", "v", nil) // what needs no confirmation goes on
	after, err := os.ReadFile(filepath.Join(cfg.Dir, fileName))
	if err != nil || string(after) != string(before) {
		t.Errorf("the file was changed, %v", err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, l)
	l.at(2).has("k", kv.LevelAll, "v")
	l.stop()
	start(t, cfg).at(3).has("k", kv.LevelAll, "v")
}

func TestDirectoryIsMadeWithAllAboveIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := prepareDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
}
