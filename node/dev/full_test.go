// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

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
