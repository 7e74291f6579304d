// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkLockAndRelease is a pair on a free lock, beside what else there is.
func BenchmarkLockAndRelease(b *testing.B) {
	for _, sessions := range []int{1, 1_000, 50_000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			t := newBulk(b, sessions)
			for n := 1; n <= sessions; n++ {
				t.want(CodeOK, take(n, 1, fmt.Sprint("lock/", n)))
			}
			numbers := make([]uint64, sessions+1)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				n := 1 + i%sessions
				numbers[n]++
				c := take(n, numbers[n]+1, "lock/mine")
				r := t.want(CodeOK, c)
				t.want(CodeOK, release(n, c.Holder, c.Name, r.Fence))
			}
		})
	}
}

// BenchmarkHandOver is a release that grants the next of many, who comes again: the cost
// must not grow with the queue.
func BenchmarkHandOver(b *testing.B) {
	for _, waiters := range []int{10, 1_000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			t := newBulk(b, waiters)
			for n := 1; n <= waiters; n++ {
				t.at.Index++
				t.table.Acquire(t.at, take(n, 1, "a"))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				n, number := 1+i%waiters, uint64(1+i/waiters)
				t.at.Index++
				r := t.table.Release(t.at, release(n, number, "a", t.table.Fence()))
				if !r.Released {
					b.Fatalf("%d of session %d", number, n)
				}
				t.want(CodeQueued, take(n, number+1, "a"))
				if i%1024 == 0 {
					t.table.TakeEvents()
				}
			}
		})
	}
}

// BenchmarkAskAgain is a waiter in the middle of a queue that repeats its request.
func BenchmarkAskAgain(b *testing.B) {
	for _, waiters := range []int{10, 10_000, 50_000} {
		b.Run(fmt.Sprintf("waiters=%d", waiters), func(b *testing.B) {
			t := newBulk(b, waiters)
			for n := 1; n <= waiters; n++ {
				t.at.Index++
				t.table.Acquire(t.at, take(n, 1, "a"))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				t.want(CodeQueued, take(waiters/2, 1, "a"))
			}
		})
	}
}

// BenchmarkSessionEnds ends sessions that each wait in ten queues of a thousand.
func BenchmarkSessionEnds(b *testing.B) {
	const sessions, queues = 1_000, 10
	b.ReportAllocs()
	for range b.N {
		b.StopTimer()
		t := newBulk(b, sessions)
		for n := 1; n <= sessions; n++ {
			for q := range uint64(queues) {
				t.at.Index++
				t.table.Acquire(t.at, take(n, q+1, fmt.Sprint(q)))
			}
		}
		ids := make([]SessionID, sessions)
		for n := range ids {
			ids[n] = sid(n + 1)
		}
		b.StartTimer()
		t.want(CodeOK, SessionExpire{IDs: ids, Term: 1})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions/queues, "ns/waiter")
}

// BenchmarkRenew keeps 50,000 sessions alive, with a look for what is due every 10,000.
func BenchmarkRenew(b *testing.B) {
	const sessions = 50_000
	l := NewLeases()
	for n := range sessions {
		l.Note(Event{Kind: EventOpened, Session: sid(n), Span: ttl}, start)
	}
	now := start
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		now = now.Add(ttl / 6 / sessions) // each of them six times in a TTL
		if got := l.Renew(sid(i%sessions), now); got != RenewalTaken {
			b.Fatal(got)
		}
		if i%10_000 == 0 && l.Due(now, MaxExpire) != nil {
			b.Fatal("a session is due")
		}
	}
}

// BenchmarkExportAndImport is the whole of a large table: what a snapshot costs beside
// its encoding.
func BenchmarkExportAndImport(b *testing.B) {
	const sessions = 50_000
	t := newBulk(b, sessions)
	for n := 1; n <= sessions; n++ {
		t.at.Index++
		t.table.Acquire(t.at, take(n, 1, fmt.Sprint("lock/", n%10_000)))
	}
	b.Run("export", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			t.table.Export()
		}
	})
	d := t.table.Export()
	b.Run("import", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := Import(d); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestManyWaitersCostNoMoreEachThanFew fails where a command walks through a queue: it
// compares times within one run, with much room.
func TestManyWaitersCostNoMoreEachThanFew(t *testing.T) {
	handOver := func(waiters int) time.Duration {
		b := newBulk(t, waiters)
		for n := 1; n <= waiters; n++ {
			b.at.Index++
			b.table.Acquire(b.at, take(n, 1, "a"))
		}
		const rounds = 2_000
		began := time.Now()
		for i := range rounds {
			n, number := 1+i%waiters, uint64(1+i/waiters)
			b.want(CodeOK, release(n, number, "a", b.table.Fence()))
			b.want(CodeQueued, take(n, number+1, "a"))
			b.want(CodeQueued, take(n, number+1, "a"))
		}
		return time.Since(began) / rounds
	}
	few, many := handOver(100), handOver(50_000)
	t.Logf("%v with 100 waiters, %v with 50,000", few, many)
	if many > 20*few+100*time.Microsecond {
		t.Errorf("a hand-over takes %v with 100 waiters, %v with 50,000", few, many)
	}
}
