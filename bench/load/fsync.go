// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// NoDisk is the fsync time below which a directory is no disk: it is in memory, or the
// device lies. Figures of durable writes that were taken there do not count.
const NoDisk = 20 * time.Microsecond

// Fsync is how long a directory takes to make 4 KiB durable.
type Fsync struct {
	Dir       string  `json:"dir"`
	P50Micros float64 `json:"p50_us"`
	P99Micros float64 `json:"p99_us"`
	// Counts is false where the median is below NoDisk.
	Counts bool `json:"counts"`
}

// MeasureFsync appends 4 KiB to a new file in dir and syncs, 300 times, and removes it.
func MeasureFsync(dir string) (f Fsync, err error) {
	const rounds = 300
	file, err := os.CreateTemp(dir, ".fsync-*")
	if err != nil {
		return f, fmt.Errorf("measure fsync: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	block := make([]byte, 4<<10)
	times := make([]time.Duration, 0, rounds)
	for range rounds {
		if _, err := file.Write(block); err != nil {
			return f, fmt.Errorf("measure fsync: %w", err)
		}
		began := time.Now()
		if err := file.Sync(); err != nil {
			return f, fmt.Errorf("measure fsync: %w", err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	p50, p99 := times[rounds/2], times[rounds*99/100]
	return Fsync{
		Dir: dir, P50Micros: micros(p50), P99Micros: micros(p99), Counts: p50 >= NoDisk,
	}, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
