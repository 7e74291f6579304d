// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// benchKeys is over how many keys the benchmarks put: all their versions are cached, so
// that a put is as cheap as it gets and what trees add to it weighs most.
const benchKeys = 20_000

// benchLife is a confirmed store on a directory, with or without trees, in which every key
// has been written once.
func benchLife(b *testing.B, trees bool, keys int64) *life {
	b.Helper()
	engine, err := storage.OpenBadger(
		storage.DefaultBadgerConfig(filepath.Join(b.TempDir(), "data")), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	l := begin(b, setup{onEngine: engine, shards: 4, verdict: kv.VerdictConfirmed})
	b.Cleanup(func() { _ = l.end() })
	if trees {
		for p := range uint16(partitions) {
			if err := l.RebuildTree(context.Background(), p); err != nil {
				b.Fatal(err)
			}
		}
	}
	var n atomic.Int64
	benchPuts(b, l, func() int64 { return n.Add(1) - 1 }, keys, keys)
	return l
}

// benchPut is a put of 1 KiB over whatever stands there.
func benchPut(l *life, n int64, done chan<- MintReply) *MintRequest {
	value := make([]byte, 1<<10)
	for i := 0; i < len(value); i += 8 {
		binary.BigEndian.PutUint64(value[i:], uint64(n+1)*0x9e3779b97f4a7c15+uint64(i))
	}
	return &MintRequest{
		Target: l.target(fmt.Sprintf("key-%08d", n)), Role: kv.RoleOwner, Kind: kv.KindValue,
		Value: value, LWW: true, Done: func(m MintReply) { done <- m },
	}
}

// benchPuts mints values over keys, of 64 waiters at a time, until next gives a number that
// is not below until.
func benchPuts(b *testing.B, l *life, next func() int64, until, keys int64) {
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			done := make(chan MintReply, 1)
			for n := next(); n < until; n = next() {
				l.Mint(benchPut(l, n*7919%keys, done))
				if m := <-done; m.Code != wire.ReplicaOK {
					b.Errorf("code %d, %s", m.Code, m.Detail)
					return
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkPut is a put at the owner that coordinates it, without and with trees; the
// goal is 5 % of CPU time more. Compare many short runs that alternate:
//
//	for i in $(seq 10); do go test -run - -bench Put -benchtime 40000x ./replica; done
func BenchmarkPut(b *testing.B) {
	for _, trees := range []bool{false, true} {
		b.Run(fmt.Sprintf("trees=%t", trees), func(b *testing.B) {
			l := benchLife(b, trees, benchKeys)
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			before, began := cpu(), time.Now()
			benchPuts(b, l, func() int64 { return n.Add(1) - 1 }, int64(b.N), benchKeys)
			spent, took := cpu()-before, time.Since(began)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/took.Seconds(), "puts/s")
			b.ReportMetric(float64(spent.Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
			b.ReportMetric(0, "ns/op")
			if known := l.TreeStats().Known; (known == partitions) != trees {
				b.Errorf("%d trees are there", known)
			}
		})
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

// BenchmarkRebuild is the time in which the trees of a store come to be, for a million keys,
// while 16 writers go on, and how long their puts take meanwhile and without it. It fills a
// store with 200 MiB first:
//
//	go test -run - -bench Rebuild -benchtime 1x ./replica
func BenchmarkRebuild(b *testing.B) {
	const keys = 200_000
	l := benchLife(b, false, keys)
	var stop atomic.Bool
	var waits [16][]time.Duration
	var took time.Duration // of the last rebuild
	put := func(w int) {
		rng, done := rand.New(rand.NewPCG(1, uint64(w))), make(chan MintReply, 1)
		for !stop.Load() {
			began := time.Now()
			l.Mint(benchPut(l, rng.Int64N(keys), done))
			if m := <-done; m.Code != wire.ReplicaOK {
				b.Errorf("code %d, %s", m.Code, m.Detail)
				return
			}
			waits[w] = append(waits[w], time.Since(began))
		}
	}
	var metrics []func() // to be told at the end: a loop forgets what was told before
	during := func(what string, do func()) {
		stop.Store(false)
		var group sync.WaitGroup
		for w := range waits {
			waits[w] = nil
			group.Go(func() { put(w) })
		}
		began := time.Now()
		do()
		took := time.Since(began)
		stop.Store(true)
		group.Wait()
		all := slices.Sorted(func(yield func(time.Duration) bool) {
			for _, row := range waits {
				for _, d := range row {
					if !yield(d) {
						return
					}
				}
			}
		})
		metrics = append(metrics, func() {
			b.ReportMetric(float64(len(all))/took.Seconds(), "puts/s-"+what)
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1e3, "p99-ms-"+what)
		})
	}
	during("alone", func() { time.Sleep(5 * time.Second) })
	for b.Loop() {
		during("rebuild", func() {
			began := time.Now()
			for p := range uint16(partitions) {
				if err := l.RebuildTree(context.Background(), p); err != nil {
					b.Error(err)
				}
			}
			took = time.Since(began)
		})
	}
	for _, tell := range metrics {
		tell()
	}
	b.ReportMetric(took.Seconds()*1e6/keys, "s/Mkeys")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTreeChange is what a tree adds to a put: all that the shard does for it.
func BenchmarkTreeChange(b *testing.B) {
	l := benchLife(b, true, benchKeys)
	op := &storage.Op{Bucket: 1, Key: []byte("key-00000001")}
	old := foreign(1, "old", kv.Object{}, vclock.Context{})
	states := [2]storage.Current{
		{State: storage.StatePresent, Object: old},
		{State: storage.StatePresent, Object: foreign(2, "new", old, old.Context)},
	}
	if err := l.end(); err != nil { // the shards have ended: the trees are free
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Changed(op, &states[0], &states[1])
		states[0], states[1] = states[1], states[0]
	}
}
