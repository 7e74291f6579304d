// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestZipfianKeysFollowTheLaw(t *testing.T) {
	const keys, draws = 1000, 400_000
	rng := rand.New(rand.NewPCG(1, 2))
	z := newZipf(keys)
	counts := make([]int, keys)
	for range draws {
		counts[z.draw(rng)]++
	}
	for _, rank := range []int{0, 1, 2, 9, 99} {
		want := draws / math.Pow(float64(rank+1), theta) / z.zetaN
		// The method is exact for the first two ranks and an approximation after them.
		if got := float64(counts[rank]); got < 0.75*want || got > 1.35*want {
			t.Errorf("rank %d drawn %v times, want about %.0f", rank, got, want)
		}
	}
}

func TestEveryKeyIsInTheSpace(t *testing.T) {
	for _, d := range []Distribution{Uniform, Zipfian} {
		for _, keys := range []uint64{1, 2, 3, 1000} {
			rng, c := rand.New(rand.NewPCG(3, 4)), newChooser(d, keys)
			for range 10_000 {
				if n := c.draw(rng); n >= keys {
					t.Fatalf("%s of %d keys drew %d", d, keys, n)
				}
			}
		}
	}
}

func TestHotKeysAreScattered(t *testing.T) {
	rng, c := rand.New(rand.NewPCG(5, 6)), newChooser(Zipfian, 10_000)
	counts := make([]int, 10_000)
	for range 100_000 {
		counts[c.draw(rng)]++
	}
	hottest := slices.Max(counts)
	if first := slices.Index(counts, hottest); first < 10 {
		t.Errorf("the hottest key is number %d", first)
	}
	if hottest < 5_000 {
		t.Errorf("the hottest key was drawn %d times in 100,000: no skew", hottest)
	}
}

func TestStatIsReadPastNamesWithParentheses(t *testing.T) {
	stat := "42 (a b) c) 3) S 1 42 42 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 9 0 1 2 3"
	cpu, err := parseStat([]byte(stat))
	if err != nil || cpu != 4*time.Second {
		t.Errorf("%v, %v; want 4s", cpu, err)
	}
	if _, err := parseStat([]byte("42 (x) S 1 2")); err == nil {
		t.Error("a short line was accepted")
	}
}

func TestMemoryIsReadFromStatus(t *testing.T) {
	status := []byte("Name:\tdyno\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
	if rss, peak := statusKB(status, "VmRSS:"), statusKB(status, "VmHWM:"); rss != 1<<20 ||
		peak != 2<<20 || statusKB(status, "VmSwap:") != 0 {
		t.Errorf("rss %d, peak %d", rss, peak)
	}
}

func TestFsyncIsMeasured(t *testing.T) {
	f, err := MeasureFsync(t.TempDir())
	if err != nil || f.P50Micros <= 0 || f.P99Micros < f.P50Micros {
		t.Errorf("%+v, %v", f, err)
	}
	if f.Counts != (f.P50Micros >= 20) {
		t.Errorf("%+v counts", f)
	}
	if _, err := MeasureFsync("/nowhere"); err == nil {
		t.Error("a directory that is not there was measured")
	}
}
