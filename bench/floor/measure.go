// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// measureFsync appends 4 KiB and syncs, 400 times.
func measureFsync(dir string) (p50, p99 float64, err error) {
	const rounds = 400
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	block := make([]byte, 4<<10)
	times := make([]time.Duration, 0, rounds)
	for range rounds {
		if _, err := file.Write(block); err != nil {
			return 0, 0, err
		}
		began := time.Now()
		if err := file.Sync(); err != nil {
			return 0, 0, err
		}
		times = append(times, time.Since(began))
	}
	p50, p99 = quantiles(times)
	return p50, p99, nil
}

// open opens a store that is tuned as a store without group commit would be: what
// costs most in Badger's defaults is off, so that the comparison is about the commit.
func open(dir string) (*badger.DB, error) {
	return badger.Open(badger.DefaultOptions(dir).
		WithLogger(nil).
		WithSyncWrites(true).
		WithMetricsEnabled(false).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithNumLevelZeroTables(8).
		WithNumLevelZeroTablesStall(20))
}

// measurePuts lets goroutines put new keys for a while.
func measurePuts(dir string, waiters int, last time.Duration, size int) (r row, err error) {
	path, err := os.MkdirTemp(dir, "db-")
	if err != nil {
		return r, err
	}
	db, err := open(path)
	if err != nil {
		return r, fmt.Errorf("open badger: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var (
		group  sync.WaitGroup
		next   atomic.Uint64
		mu     sync.Mutex
		times  []time.Duration // guarded by mu
		failed error           // guarded by mu
	)
	before, began := cpu(), time.Now()
	for w := range waiters {
		group.Go(func() {
			mine, err := putUntil(db, &next, began.Add(last), newValue(uint64(w), size))
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	took, spent := time.Since(began), cpu()-before
	if failed != nil {
		return r, failed
	}
	r = row{Waiters: waiters, PutsPerS: float64(len(times)) / took.Seconds()}
	r.CPUMicros = float64(spent.Microseconds()) / float64(max(1, len(times)))
	r.P50Micros, r.P99Micros = quantiles(times)
	return r, nil
}

func putUntil(
	db *badger.DB, next *atomic.Uint64, end time.Time, value []byte,
) (times []time.Duration, err error) {
	for {
		began := time.Now()
		if began.After(end) {
			return times, nil
		}
		// Multiplying by an odd number scatters the keys and repeats none.
		key := binary.BigEndian.AppendUint64(nil, next.Add(1)*0x9e3779b97f4a7c15)
		err := db.Update(func(txn *badger.Txn) error { return readMergeWrite(txn, key, value) })
		if err != nil {
			return times, fmt.Errorf("put: %w", err)
		}
		times = append(times, time.Since(began))
	}
}

// readMergeWrite stands for the merge of an object: what is there is read, and one
// byte of it goes into what is written.
func readMergeWrite(txn *badger.Txn, key, value []byte) error {
	merged := slices.Clone(value)
	item, err := txn.Get(key)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
	case err != nil:
		return err
	default:
		err := item.Value(func(old []byte) error {
			if len(old) > 0 && len(merged) > 0 {
				merged[0] ^= old[0]
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return txn.Set(key, merged)
}

// newValue is random, so that no layer below can make it smaller.
func newValue(seed uint64, size int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(rng.Uint32())
	}
	return value
}

func quantiles(times []time.Duration) (p50, p99 float64) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))].Nanoseconds()) / 1e3
	}
	return at(0.50), at(0.99)
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
