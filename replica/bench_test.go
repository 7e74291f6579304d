// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
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
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// benchKeys is over how many keys the benchmarks put: all their versions are cached, so
// that a put is as cheap as it gets and what trees add to it weighs most.
const benchKeys = 20_000

// benchLife is a confirmed store on a directory, with or without trees, in which every key
// has been written once.
func benchLife(b *testing.B, trees bool) *life {
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
	benchPuts(b, l, func() int64 { return n.Add(1) - 1 }, benchKeys)
	return l
}

// benchPuts mints values of 1 KiB, of 64 waiters at a time, until next gives a number that
// is not below until.
func benchPuts(b *testing.B, l *life, next func() int64, until int64) {
	value := make([]byte, 1<<10)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			done := make(chan MintReply, 1)
			for n := next(); n < until; n = next() {
				key := fmt.Sprintf("key-%08d", (n*7919)%benchKeys)
				req := &MintRequest{
					Target: l.target(key), Role: kv.RoleOwner, Kind: kv.KindValue, Value: value,
					LWW:  true,
					Seen: vclock.Context{}, Done: func(m MintReply) { done <- m },
				}
				l.Mint(req)
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
			l := benchLife(b, trees)
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			before, began := cpu(), time.Now()
			benchPuts(b, l, func() int64 { return n.Add(1) - 1 }, int64(b.N))
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

// BenchmarkRebuild is the time in which the trees of a store come to be, with the pauses
// that it leaves to others, for a million keys.
func BenchmarkRebuild(b *testing.B) {
	l := benchLife(b, false)
	b.ResetTimer()
	before := cpu()
	for b.Loop() {
		for p := range uint16(partitions) {
			if err := l.RebuildTree(context.Background(), p); err != nil {
				b.Fatal(err)
			}
		}
	}
	took, spent := b.Elapsed(), cpu()-before
	million := 1e6 / float64(benchKeys) / float64(b.N)
	b.ReportMetric(took.Seconds()*million, "s/Mkeys")
	b.ReportMetric(spent.Seconds()*million, "cpu-s/Mkeys")
}

// BenchmarkTreeChange is what a tree adds to a put: all that the shard does for it.
func BenchmarkTreeChange(b *testing.B) {
	l := benchLife(b, true)
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
