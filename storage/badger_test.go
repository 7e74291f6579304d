// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestDeletedKeysStayDeletedThroughCompaction is TRAPS B3, after the regression test of
// dgraph-io/badger#2278: keys are written, pushed down the levels, deleted, and pushed
// down again, while others grow the levels between. A key that came back would spread
// over the cluster as a zombie.
func TestDeletedKeysStayDeletedThroughCompaction(t *testing.T) {
	b := openBadger(t, filepath.Join(ramDir(t), "data"))
	defer func() { _ = b.Close() }()
	rng := rand.New(rand.NewPCG(3, 4))
	value := make([]byte, 4<<10)
	ts := uint64(0)
	commit := func(writes ...Write) {
		ts++
		mustCommit(t, b, ts, writes...)
	}
	const keys, rounds = 300, 4
	doomed := func(i int) string { return fmt.Sprintf("doomed-%04d", i) }
	for range rounds {
		for i := 0; i < keys; i += 10 {
			var writes []Write
			for j := range 10 {
				for n := range value {
					value[n] = byte(rng.Uint32())
				}
				writes = append(writes, set(doomed(i+j), string(value)))
			}
			commit(writes...)
		}
		flushed(t, b, &ts)
	}
	for i := 0; i < keys; i += 2 {
		commit(del(doomed(i)))
	}
	b.SetDiscard(ts)
	for range 3 {
		flushed(t, b, &ts)
		b.SetDiscard(ts)
		if err := b.db.Flatten(2); err != nil {
			t.Fatal(err)
		}
		for i := range keys {
			got := get(t, b, doomed(i), ts)
			if alive := got != "-"; alive != (i%2 == 1) {
				t.Fatalf("key %d is there: %t", i, alive)
			}
		}
	}
}

// flushed writes other keys until a memtable has been flushed to a table.
func flushed(t *testing.T, b *Badger, ts *uint64) {
	t.Helper()
	before := len(b.db.Tables())
	value := strings.Repeat("f", 500<<10)
	for i := range 20 {
		*ts++
		mustCommit(t, b, *ts, set(fmt.Sprintf("filler-%d", i), value))
	}
	for end := time.Now().Add(5 * time.Second); len(b.db.Tables()) == before; {
		if time.Now().After(end) {
			return // compaction may have joined what the flush added
		}
		time.Sleep(time.Millisecond)
	}
}

// TestEverythingStandsInTheTree is TRAPS B5: no value of ours, the largest included,
// may go to Badger's value log.
func TestEverythingStandsInTheTree(t *testing.T) {
	for _, memtable := range []int64{MinMemtable, DefaultMemtable} {
		dir := filepath.Join(ramDir(t), "data")
		b, err := OpenBadger(BadgerConfig{Dir: dir, Memtable: memtable}, zapTest(t))
		if err != nil {
			t.Fatal(err)
		}
		limit := b.Limits().Value
		if limit < 600<<10 {
			t.Errorf("memtable %d: values up to %d bytes; a version of 512 KiB needs more", memtable, limit)
		}
		value := make([]byte, limit)
		for ts := uint64(1); ts < 20; ts++ {
			mustCommit(t, b, ts, Write{Key: fmt.Appendf(nil, "%d", ts), Value: value})
		}
		logs, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
		if err != nil || len(logs) != 1 {
			t.Fatalf("value logs: %q, %v", logs, err)
		}
		info, err := os.Stat(logs[0])
		if err != nil {
			t.Fatal(err)
		}
		if used := allocated(info); used > 64<<10 {
			t.Errorf("memtable %d: the value log takes %d bytes on disk", memtable, used)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnEmptyLogIsNoObstacle is what a kill -9 leaves behind when it hits Badger between
// two steps of making or removing a log. Badger itself does not open then.
func TestAnEmptyLogIsNoObstacle(t *testing.T) {
	dir := filepath.Join(ramDir(t), "data")
	b := openBadger(t, dir)
	mustCommit(t, b, 1, set("k", "v"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"00001.mem", "00007.mem", "000009.vlog"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b = openBadger(t, dir)
	defer b.Close()
	if got := get(t, b, "k", 1); got != "v" {
		t.Errorf("k is %q, want v", got)
	}
}

func TestATooSmallMemtableIsRefused(t *testing.T) {
	cfg := BadgerConfig{Dir: filepath.Join(t.TempDir(), "data"), Memtable: MinMemtable - 1}
	if _, err := OpenBadger(cfg, zapTest(t)); err == nil {
		t.Error("opened")
	}
}

func TestBadgersLogGoesToZap(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	l := badgerLog{zap.New(core), newBadgerFailure()}
	l.Errorf("no room on %s\n", "disk")
	l.Warningf("slow %d", 7)
	l.Infof("chatter")
	l.Debugf("chatter")
	all := logs.All()
	if len(all) != 2 || all[0].ContextMap()["text"] != "no room on disk" ||
		all[1].ContextMap()["text"] != "slow 7" || all[1].Level != zapcore.WarnLevel {
		t.Errorf("logged %v", all)
	}
}

// TestAStoreOnBadgerRunsInABubble is TESTING 2.1: engine, store and all their waits,
// with ten idle minutes that take no time.
func TestAStoreOnBadgerRunsInABubble(t *testing.T) {
	dir := ramDir(t)
	synctest.Test(t, func(t *testing.T) {
		d := openDir(t, filepath.Join(dir, "node"))
		for life := range 3 {
			engine, err := d.OpenData(zapTest(t))
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, testConfig(), engine)
			r.last = uint64(life) * 1000
			for i := range 30 {
				mustDo(t, r.overwrite(fmt.Sprint(i), big("x", 20<<10)))
			}
			time.Sleep(10 * time.Minute)
			for i := range 30 {
				if got, state := r.values(fmt.Sprint(i)); len(got) != 1 || state != StatePresent {
					t.Errorf("key %d: %d values, %s", i, len(got), state)
				}
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
