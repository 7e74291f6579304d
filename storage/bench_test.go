// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// BenchmarkReadMergeWrite is the commit path on a real directory: waiters put values of
// 1 KiB over whatever stands there, each waiting for the sync of its own.
func BenchmarkReadMergeWrite(b *testing.B) {
	for _, keys := range []int{0, 20_000} {
		for _, waiters := range []int{1, 16, 64, 256} {
			name := fmt.Sprintf("distinct/waiters=%d", waiters)
			if keys > 0 {
				name = fmt.Sprintf("keys=%d/waiters=%d", keys, waiters)
			}
			b.Run(name, func(b *testing.B) { benchPuts(b, waiters, keys) })
		}
	}
}

// benchPuts overwrites random ones of a number of keys; none means new keys only.
func benchPuts(b *testing.B, waiters, keys int) {
	cfg := DefaultBadgerConfig(filepath.Join(b.TempDir(), "data"))
	engine, err := OpenBadger(cfg, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	r := start(b, DefaultConfig(), engine)
	value := make([]byte, 1<<10)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	var next atomic.Int64
	actor, _ := vclock.NewActor(1, 1)
	var dots atomic.Uint64
	b.ReportAllocs()
	b.ResetTimer()
	before, began := cpu(), time.Now()
	var group sync.WaitGroup
	for w := range waiters {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			done := make(chan Result, 1)
			var key [16]byte
			op := Op{Bucket: 1, Key: key[:], Bytes: 1 << 10}
			op.Apply = func(c Current) Next {
				v := kv.Version{
					Dot:  vclock.Dot{Actor: actor, Counter: dots.Add(1)},
					Kind: kv.KindValue, Value: value,
				}.Sealed()
				object, err := c.Object.Put(v, c.Object.Context)
				if err != nil {
					b.Error(err)
				}
				return Put(object, nil, nil)
			}
			op.Done = func(res Result) { done <- res }
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				if keys > 0 {
					n = int64(rng.IntN(keys))
				}
				binary.BigEndian.PutUint64(key[:], uint64(n)*0x9e3779b97f4a7c15)
				op.Partition = uint16(key[0] >> 1)
				if err := r.Do(&op); err != nil {
					b.Error(err)
					return
				}
				if res := <-done; res.Err != nil {
					b.Error(res.Err)
					return
				}
			}
		})
	}
	group.Wait()
	spent, took := cpu()-before, time.Since(began)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took.Seconds(), "puts/s")
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/float64(r.Stats().Commits), "ops/commit")
	b.ReportMetric(0, "ns/op")
	if err := r.stop(); err != nil {
		b.Fatal(err)
	}
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkRead reads random ones of 20,000 keys, each of 1 KiB.
func BenchmarkRead(b *testing.B) {
	engine, err := OpenBadger(DefaultBadgerConfig(filepath.Join(b.TempDir(), "data")), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	r := start(b, DefaultConfig(), engine)
	const keys = 20_000
	var group sync.WaitGroup
	for w := range 64 {
		group.Go(func() {
			for i := w; i < keys; i += 64 {
				r.overwrite(fmt.Sprintf("key-%05d", i), string(make([]byte, 1<<10)))
			}
		})
	}
	group.Wait()
	for _, mode := range []struct {
		name string
		mode Mode
	}{{"full", ModeFull}, {"bare", ModeBare}} {
		b.Run(mode.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				rng := rand.New(rand.NewPCG(1, rand.Uint64()))
				for pb.Next() {
					key := fmt.Sprintf("key-%05d", rng.IntN(keys))
					c, err := r.Read(partitionOf(key), 1, []byte(key), mode.mode)
					if err != nil || c.State != StatePresent {
						b.Error(c.State, err)
					}
				}
			})
		})
	}
}
