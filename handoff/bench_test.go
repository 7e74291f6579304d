// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
)

// BenchmarkDelivery delivers 100,000 hints of 1 KiB to a member that is back. Engines are in
// memory, and a sync takes a millisecond on either side.
func BenchmarkDelivery(b *testing.B) {
	const hints, bytes = 100_000, 1 << 10
	for range b.N {
		b.StopTimer()
		n := newNet(b)
		f := n.nodes[4]
		filled := fillHints(b, f, hints, bytes)
		f.engine.SetSyncTime(time.Millisecond)
		for _, m := range n.nodes {
			m.engine.SetSyncTime(time.Millisecond)
		}
		b.StartTimer()
		began := time.Now()
		f.deliver()
		for f.kept() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(filled)/time.Since(began).Seconds(), "hints/s")
		b.StopTimer()
		f.undeliver()
		for _, m := range n.nodes {
			_ = m.stop()
		}
	}
	b.SetBytes(hints * bytes)
}

// fillHints has a node keep hints, all for the members of the second slots.
func fillHints(b *testing.B, f *node, hints, bytes int) int {
	b.Helper()
	r := f.net.ring.Load()
	value := make([]byte, bytes)
	results := make(chan storage.Result, 256)
	open, stored := 0, 0
	for i := 0; stored < hints; i++ {
		key := []byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		p := r.PartitionOf(1, key)
		if _, member := r.SlotOf(p, f.id); member {
			continue
		}
		v := kv.Version{Dot: vclock.Dot{Actor: 2<<48 | 9, Counter: uint64(i + 1)}, Kind: kv.KindValue, Value: value}
		o, err := kv.Object{}.Put(v.Sealed(), vclock.Context{})
		if err != nil {
			b.Fatal(err)
		}
		if open == cap(results) {
			<-results
			open--
		}
		err = f.store.Do(&storage.Op{
			Space: storage.HintsFor(1), Partition: p, Bucket: 1, Key: key,
			Apply: func(storage.Current) storage.Next { return storage.Put(o, nil, nil) },
			Done:  func(res storage.Result) { results <- res },
		})
		if err != nil {
			b.Fatal(err)
		}
		open++
		stored++
	}
	for ; open > 0; open-- {
		if res := <-results; res.Err != nil {
			b.Fatal(res.Err)
		}
	}
	return stored
}
