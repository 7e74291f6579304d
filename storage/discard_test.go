// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestALongReadSeesItsMomentWhateverIsDiscarded is I7: a read stays open while every
// key is overwritten many times, the discard timestamp is pushed as fast as it goes,
// and the engine compacts. It must see what it saw at first. The memory engine also
// fails every read below the discard timestamp.
func TestALongReadSeesItsMomentWhateverIsDiscarded(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		cfg := testConfig()
		cfg.TendEvery = time.Millisecond
		cfg.CacheBytes = 0
		r := start(t, cfg, e)
		const keys = 64
		overwriteAll := func(value string) {
			var group sync.WaitGroup
			for i := range keys {
				group.Go(func() {
					if res := r.overwrite(fmt.Sprint(i), value); res.Err != nil {
						t.Error(res.Err)
					}
				})
			}
			group.Wait()
		}
		overwriteAll(big("0", 2<<10))
		generation := r.reads.enter()
		ts := r.shards[0].overlay.readableAt()
		before := list(t, e, ts, "o", "")
		for round := range 200 { // 26 MB: some memtables of the Badger under test
			overwriteAll(big(string(rune('a'+round%26)), 2<<10))
		}
		for range 3 {
			if after := list(t, e, ts, "o", ""); len(after) != keys || !slices.Equal(after, before) {
				t.Fatalf("the read sees %d keys, and not what it saw at first", len(after))
			}
			for i := range keys {
				if _, found, err := e.Get(recordKey(fmt.Sprint(i)), ts); !found || err != nil {
					t.Fatalf("key %d: found %t, %v", i, found, err)
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
		r.reads.leave(generation)
		for deadline := time.Now().Add(10 * time.Second); ; {
			if discarded := r.reads.start.Load(); discarded > ts {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("nothing is discarded although the read is over")
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// TestReadsUnderLoadAreNeverBelowTheDiscardTimestamp hammers a memory engine, which
// fails such reads, from all sides.
func TestReadsUnderLoadAreNeverBelowTheDiscardTimestamp(t *testing.T) {
	m := NewMemory()
	cfg := testConfig()
	cfg.TendEvery = 50 * time.Microsecond
	cfg.CacheBytes = 0
	r := start(t, cfg, m)
	end := time.Now().Add(300 * time.Millisecond)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				key := fmt.Sprint(i % 10)
				if res := r.overwrite(key, "v"); res.Err != nil {
					t.Error(res.Err)
				}
				if got, state := r.values(key); len(got) != 1 || state != StatePresent {
					t.Errorf("%s is %q, %s", key, got, state)
				}
				if _, _, err := r.Scan(uint16(w), 1, nil, nil, 100, 1<<20, ModeFull); err != nil {
					t.Error(err)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	group.Wait()
}
