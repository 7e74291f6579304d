// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"math/bits"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/internal/tally"
	"github.com/dyno-kv/dyno/kv"
)

const (
	// tryFloor and tryCeiling bound the per-try time of a read; writes have a floor of
	// their own, Config.HintAfter. Below the floor a garbage collection would look like a
	// dead node; above the ceiling a client with the default deadline of 5 s would see no
	// replacement at all.
	tryFloor   = 20 * time.Millisecond
	tryCeiling = time.Second

	latencyBuckets = 24   // of microseconds, doubling: 1 us to 8 s
	latencyWindow  = 4096 // samples after which older ones weigh half
	latencyWarm    = 128  // samples below which a quantile of 99.9 % says nothing
)

// latencies are what is known of a peer's answering times. Stores wait for its disk, and
// reads seldom do.
type latencies struct {
	reads, stores latency
}

// AnswerStats is how long a member took to answer.
type AnswerStats struct {
	Node          kv.NodeID
	Reads, Stores *tally.Doubling
}

// Answers tells how long the members took to answer since the start, those that gave no
// answer left out.
func (c *Coordinator) Answers() []AnswerStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]AnswerStats, 0, len(c.tries))
	for node, l := range c.tries {
		list = append(list, AnswerStats{Node: node, Reads: &l.reads.all, Stores: &l.stores.all})
	}
	return list
}

// latency estimates the 99.9th percentile of a peer's answers, so that a try that
// takes longer is replaced by the next replica (ARCHITECTURE 4). It is a histogram
// of doubling buckets that halves its counts every latencyWindow samples.
type latency struct {
	all tally.Doubling // of all time, for who looks from outside

	mu     sync.Mutex // guards counts and total; never held over a wait
	counts [latencyBuckets]uint32
	total  uint32
}

// observe adds a sample.
func (l *latency) observe(d time.Duration) {
	l.all.ObserveTime(d)
	bucket := min(bits.Len64(uint64(max(0, d.Microseconds()))), latencyBuckets-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[bucket]++
	l.total++
	if l.total < latencyWindow {
		return
	}
	l.total = 0
	for i := range l.counts {
		l.counts[i] /= 2
		l.total += l.counts[i]
	}
}

// try is how long to wait for one answer before the next replica is asked as well, and
// floor at least.
func (l *latency) try(floor time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total < latencyWarm {
		return max(tryCeiling/4, floor)
	}
	rest := l.total / 1000 // how many samples may lie above the quantile
	for i := latencyBuckets - 1; i >= 0; i-- {
		if l.counts[i] > rest {
			// Twice the bucket's upper bound: the quantile is known to a factor of two.
			upper := time.Duration(1<<i) * time.Microsecond
			return max(min(2*upper, tryCeiling), floor)
		}
		rest -= l.counts[i]
	}
	return floor
}
