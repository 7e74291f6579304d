// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// BenchmarkLockPair measures a lock taken and given back, each client its own, through a
// client of the group of four members in one process, without a disk.
func BenchmarkLockPair(b *testing.B) {
	for _, clients := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			r := newGroupRig(b, 4, nil)
			r.net.SetDefaults(memnet.Faults{})
			for i := range clients {
				r.members[i%4].do(state.SessionOpen{
					ID: locks.SessionID{1, byte(i), byte(i >> 8)}, TTL: time.Hour,
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var runs sync.WaitGroup
			for i := range clients {
				runs.Go(func() {
					id, m := locks.SessionID{1, byte(i), byte(i >> 8)}, r.members[i%4]
					name := fmt.Sprintf("lock/%d", i)
					for holder := uint64(1); left.Add(-1) >= 0; holder++ {
						a := wants(id, holder, name, 0)
						a.DoneThrough = holder - 1
						got := m.acquire(a, 0)
						m.do(state.Release{Session: id, Holder: holder, Name: name, Fence: got.Fence})
					}
				})
			}
			runs.Wait()
			b.StopTimer()
		})
	}
}
