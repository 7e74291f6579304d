// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// TestASmallEngineFlushesAndCompacts within a minute and 4 MiB, and takes little room.
func TestASmallEngineFlushesAndCompacts(t *testing.T) {
	for name, cfg := range map[string]BadgerConfig{
		"directory": {Dir: filepath.Join(ramDir(t), "data"), Rig: BadgerRig{Small: true}},
		"in memory": {Rig: BadgerRig{Small: true, InMemory: true}},
	} {
		cfg.Memtable = RigMemtable
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, err := OpenBadger(cfg, zapTest(t))
				if err != nil {
					t.Fatal(err)
				}
				for ts := uint64(1); ts <= 1000; ts++ {
					mustCommit(t, b, ts, set(fmt.Sprintf("k%d", ts%100), strings.Repeat("v", 4<<10)))
					b.SetDiscard(ts)
					time.Sleep(60 * time.Millisecond)
				}
				tables := b.db.Tables()
				merged := slices.ContainsFunc(tables, func(t badger.TableInfo) bool { return t.Level > 0 })
				if !merged {
					t.Errorf("nothing was compacted: %d tables", len(tables))
				}
				if size := b.Size(); size < RigMemtable || size > 4<<20 {
					t.Errorf("400 KiB of values take %d bytes", size)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestABadgerHasADirectoryOrIsInMemory(t *testing.T) {
	for name, cfg := range map[string]BadgerConfig{
		"neither": {Memtable: MinMemtable},
		"both":    {Memtable: MinMemtable, Dir: t.TempDir(), Rig: BadgerRig{InMemory: true}},
		"tiny":    {Memtable: RigMemtable - 1, Rig: BadgerRig{InMemory: true, Small: true}},
		"small":   {Memtable: RigMemtable, Rig: BadgerRig{InMemory: true}},
	} {
		if b, err := OpenBadger(cfg, zapTest(t)); err == nil {
			t.Errorf("%s: opened", name)
			_ = b.Close()
		}
	}
}
