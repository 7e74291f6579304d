// SPDX-License-Identifier: Apache-2.0

package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms hold microseconds with three digits, from 1 µs to ten minutes.
const (
	lowest  = 1
	highest = int64(10 * time.Minute / time.Microsecond)
	digits  = 3
)

// shards is how many histograms of a kind clients share, so that they seldom wait for
// each other. A histogram takes 150 kB: one for each of 256 clients would be too much.
const shards = 8

// Kind is a kind of request.
type Kind uint8

const (
	// Get reads a key.
	Get Kind = iota
	// Put writes a key.
	Put
	kinds
)

func (k Kind) String() string {
	if k == Put {
		return "put"
	}
	return "get"
}

// FailureKey groups failures.
type FailureKey struct {
	Kind    Kind
	Code    string
	Unknown bool
}

// recorder collects what clients measure (I1).
type recorder struct {
	interval int64         // expected between a client's requests, µs; 0: not corrected
	done     atomic.Uint64 // requests that have ended, warm-up included
	resolved atomic.Uint64 // reads that had to come before a write
	shards   [shards]shard
}

type shard struct {
	mu       sync.Mutex    // guards all below
	count    [kinds]uint64 // requests; a corrected histogram holds more values
	took     [kinds]*hdrhistogram.Histogram
	failed   *hdrhistogram.Histogram
	failures map[FailureKey]uint64
	siblings int // the most seen of one key
}

func newRecorder(interval time.Duration) *recorder {
	r := &recorder{interval: interval.Microseconds()}
	for i := range r.shards {
		s := &r.shards[i]
		s.failed, s.failures = newHistogram(), make(map[FailureKey]uint64)
		for k := range s.took {
			s.took[k] = newHistogram()
		}
	}
	return r
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// success records a request that was answered.
func (r *recorder) success(client int, kind Kind, took time.Duration, siblings int) {
	s := &r.shards[client%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[kind]++
	value := clamp(took)
	// The value is within the histogram's range, so that neither call can fail.
	if r.interval > 0 {
		_ = s.took[kind].RecordCorrectedValue(value, r.interval)
	} else {
		_ = s.took[kind].RecordValue(value)
	}
	s.siblings = max(s.siblings, siblings)
}

// failure records a request that failed.
func (r *recorder) failure(client int, key FailureKey, took time.Duration) {
	s := &r.shards[client%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.failed.RecordValue(clamp(took)) // within range
	s.failures[key]++
}

func clamp(d time.Duration) int64 { return min(max(d.Microseconds(), lowest), highest) }

// result is everything that was recorded.
type result struct {
	count    [kinds]uint64
	took     [kinds]*hdrhistogram.Histogram
	failed   *hdrhistogram.Histogram
	failures map[FailureKey]uint64
	siblings int
}

func (r *recorder) result() result {
	out := result{failed: newHistogram(), failures: make(map[FailureKey]uint64)}
	for k := range out.took {
		out.took[k] = newHistogram()
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for k := range s.took {
			out.took[k].Merge(s.took[k])
			out.count[k] += s.count[k]
		}
		out.failed.Merge(s.failed)
		for key, n := range s.failures {
			out.failures[key] += n
		}
		out.siblings = max(out.siblings, s.siblings)
		s.mu.Unlock()
	}
	return out
}
