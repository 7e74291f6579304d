// SPDX-License-Identifier: Apache-2.0

package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Usage is what a process has taken so far.
type Usage struct {
	CPU     time.Duration
	RSS     uint64 // bytes, now
	RSSPeak uint64
}

// ReadUsage reads what a process has taken so far (Linux).
func ReadUsage(pid int) (Usage, error) {
	u, err := readUsage("/proc", pid)
	return Usage{CPU: u.cpu, RSS: u.rss, RSSPeak: u.rssPeak}, err
}

// OwnCPU is the processor time of this process so far.
func OwnCPU() time.Duration { return ownCPU() }

// Times collects durations, from 1 µs to ten minutes. It is for one goroutine.
type Times struct{ h *hdrhistogram.Histogram }

// NewTimes returns an empty collection.
func NewTimes() Times { return Times{newHistogram()} }

// Add takes one duration.
func (t Times) Add(d time.Duration) {
	_ = t.h.RecordValue(clamp(d)) // within the histogram's range
}

// Join takes all of another collection.
func (t Times) Join(other Times) { t.h.Merge(other.h) }

// Count is how many there are.
func (t Times) Count() uint64 { return uint64(t.h.TotalCount()) }

// Latency is their distribution.
func (t Times) Latency() Latency { return latency(t.h) }
