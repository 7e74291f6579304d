// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/storage/enginetest"
)

func TestMemoryIsAnEngine(t *testing.T) {
	enginetest.Run(t, func(testing.TB) *enginetest.Subject {
		m := storage.NewMemory()
		return &enginetest.Subject{Engine: m, Restart: func(testing.TB) storage.Engine {
			m = m.Crash(nil) // what is durable is all there is to find
			return m
		}}
	})
}

// TestBadgerIsAnEngine with a product's options and with those of the test rig.
func TestBadgerIsAnEngine(t *testing.T) {
	for name, cfg := range map[string]storage.BadgerConfig{
		"product": {Memtable: storage.MinMemtable},
		"small": {
			Memtable: storage.RigMemtable, Rig: storage.BadgerRig{Small: true, KeepPages: true},
		},
		"in memory": {Memtable: storage.MinMemtable, Rig: storage.BadgerRig{InMemory: true}},
		"small, in memory": {
			Memtable: storage.RigMemtable, Rig: storage.BadgerRig{InMemory: true, Small: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, func(t testing.TB) *enginetest.Subject { return badger(t, cfg) })
		})
	}
}

// badger opens a Badger; one that has a directory can restart.
func badger(t testing.TB, cfg storage.BadgerConfig) *enginetest.Subject {
	t.Helper()
	if !cfg.Rig.InMemory {
		cfg.Dir = filepath.Join(ramDir(t), "data")
	}
	var b *storage.Badger
	open := func(t testing.TB) storage.Engine {
		t.Helper()
		var err error
		if b, err = storage.OpenBadger(cfg, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))); err != nil {
			t.Fatalf("open: %v", err)
		}
		return b
	}
	end := func(t testing.TB) {
		t.Helper()
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	s := &enginetest.Subject{Engine: open(t)}
	t.Cleanup(func() { end(t) })
	if !cfg.Rig.InMemory {
		s.Restart = func(t testing.TB) storage.Engine { end(t); return open(t) }
	}
	return s
}

// ramDir is a directory in memory where the machine has that.
func ramDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dyno-engines-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
