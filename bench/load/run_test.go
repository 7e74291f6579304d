// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("down")

// fakeStore answers after a time that a function chooses.
type fakeStore struct {
	delay func(n uint64) time.Duration
	fails func(n uint64) bool
	calls atomic.Uint64

	mu       sync.Mutex
	versions map[string]byte // guarded by mu: contexts are one byte, the newest version
	blind    int             // guarded by mu: puts that did not cover the newest version
}

func (s *fakeStore) answer(ctx context.Context) error {
	n := s.calls.Add(1)
	if s.delay != nil {
		select {
		case <-time.After(s.delay(n)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.fails != nil && s.fails(n) {
		return errDown
	}
	return nil
}

func (s *fakeStore) Get(ctx context.Context, key string) (Reply, error) {
	if err := s.answer(ctx); err != nil {
		return Reply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return Reply{Context: []byte{s.versions[key]}, Siblings: 1}, nil
}

func (s *fakeStore) Put(ctx context.Context, key string, _, seen []byte) (Reply, error) {
	if err := s.answer(ctx); err != nil {
		return Reply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		s.versions = make(map[string]byte)
	}
	known, siblings := byte(0), 1
	if len(seen) == 1 {
		known = seen[0]
	}
	if known != s.versions[key] {
		s.blind++
		siblings = 2
	}
	s.versions[key]++
	return Reply{Context: []byte{s.versions[key]}, Siblings: siblings}, nil
}

func testConfig() Config {
	return Config{
		Clients: 4, Duration: 10 * time.Second, Keys: 1000, ValueSize: 10, PutShare: 0.5,
		Distribution: Uniform, Timeout: time.Second, Seed: 1,
		Classify: func(err error) (string, bool) {
			return strings.ToUpper(err.Error()), errors.Is(err, errDown)
		},
	}
}

// TestOpenLoopCountsEveryRequestThatAStallHeldUp: one client, 100 requests a second, one
// of which takes a second. The hundred that were due meanwhile waited half a second on
// average; a generator that measures from the send would show one slow request.
func TestOpenLoopCountsEveryRequestThatAStallHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{delay: func(n uint64) time.Duration {
			if n == 500 {
				return time.Second
			}
			return time.Millisecond
		}}
		cfg := testConfig()
		cfg.Clients, cfg.Rate, cfg.PutShare, cfg.Timeout = 1, 100, 0, 2*time.Second
		report := runSlept(t, cfg, store)
		if report.Total.Count != 1000 {
			t.Fatalf("%d requests, want 1000", report.Total.Count)
		}
		if p99 := report.Total.P99; p99 < 800 {
			t.Errorf("p99 %v ms: the stall of 1000 ms is hidden", p99)
		}
		// The queue drains in little more than the stall: about 110 requests were late.
		if report.Total.P50 > 2 || report.Total.P90 < 50 {
			t.Errorf("p50 %v ms, p90 %v ms", report.Total.P50, report.Total.P90)
		}
	})
}

// runSlept runs in a bubble, whose clock the kernel's timer does not know.
func runSlept(t *testing.T, cfg Config, store Store) *Report {
	t.Helper()
	r := newRun(&cfg, store)
	report, err := r.measure(t.Context(), func(_ context.Context, until time.Time) {
		time.Sleep(time.Until(until))
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestClosedLoopHidesAStallUnlessAnIntervalIsExpected(t *testing.T) {
	for _, tc := range []struct {
		name     string
		interval time.Duration
		hidden   bool
	}{{"uncorrected", 0, true}, {"corrected", 10 * time.Millisecond, false}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &fakeStore{delay: func(n uint64) time.Duration {
					if n == 500 {
						return time.Second
					}
					return 10 * time.Millisecond
				}}
				cfg := testConfig()
				cfg.Clients, cfg.PutShare, cfg.Timeout = 1, 0, 2*time.Second
				cfg.ExpectedInterval = tc.interval
				report := runSlept(t, cfg, store)
				if hidden := report.Total.P99 < 100; hidden != tc.hidden {
					t.Errorf("p99 %v ms, want hidden %v", report.Total.P99, tc.hidden)
				}
				if report.Total.Count != 901 {
					t.Errorf("%d requests, want 901: synthetic ones do not count", report.Total.Count)
				}
			})
		})
	}
}

func TestWarmUpIsNotMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		store := &fakeStore{delay: func(uint64) time.Duration {
			if time.Since(began) < 2*time.Second {
				return 500 * time.Millisecond
			}
			return time.Millisecond
		}}
		cfg := testConfig()
		cfg.WarmUp = 3 * time.Second
		report := runSlept(t, cfg, store)
		if report.Total.Max > 2 {
			t.Errorf("max %v ms: the warm-up is in the figures", report.Total.Max)
		}
		if report.Seconds < 9.9 || report.Seconds > 10.1 {
			t.Errorf("%v seconds measured, want 10", report.Seconds)
		}
	})
}

func TestNumberOfRequestsEndsARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{delay: func(uint64) time.Duration { return time.Millisecond }}
		cfg := testConfig()
		cfg.Duration, cfg.Ops = 0, 777
		report := runSlept(t, cfg, store)
		if report.Total.Count != 777 {
			t.Errorf("%d requests, want 777", report.Total.Count)
		}
	})
}

func TestFailuresAreCountedByCodeAndOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{
			delay: func(uint64) time.Duration { return time.Millisecond },
			fails: func(n uint64) bool { return n%10 == 0 },
		}
		cfg := testConfig()
		cfg.Duration, cfg.Ops, cfg.PutShare = 0, 100, 0
		report := runSlept(t, cfg, store)
		want := []Failures{{Kind: "get", Code: "DOWN", Outcome: "unknown", Count: 10}}
		if diff := cmp.Diff(want, report.Failures); diff != "" {
			t.Error(diff)
		}
		if report.Total.Count != 90 || report.Failed == nil {
			t.Errorf("%d successes, failed %v", report.Total.Count, report.Failed)
		}
	})
}

// TestWritersCoverWhatTheyHaveSeen: a lone client never leaves a sibling, whether keys
// were there before or not, and also after failures.
func TestWritersCoverWhatTheyHaveSeen(t *testing.T) {
	for _, preload := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{
				delay: func(uint64) time.Duration { return time.Millisecond },
				fails: func(n uint64) bool { return n > 100 && n%7 == 0 },
			}
			cfg := testConfig()
			cfg.Clients, cfg.Keys, cfg.Preload, cfg.PutShare = 1, 20, preload, 1
			report, err := Run(t.Context(), cfg, store)
			if err != nil {
				t.Fatal(err)
			}
			if store.blind != 0 {
				t.Errorf("%d puts left siblings", store.blind)
			}
			if report.Resolves == 0 {
				t.Error("no read came before a write, though writes failed")
			}
		})
	}
}

func TestPreloadWritesEveryKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{}
		cfg := testConfig()
		cfg.Keys, cfg.Preload, cfg.Fresh = 50, true, true
		r := newRun(&cfg, store)
		if err := r.preload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(store.versions) != 50 || store.calls.Load() != 50 {
			t.Errorf("%d keys, %d calls, want 50 each", len(store.versions), store.calls.Load())
		}
	})
}

func TestPreloadThatFailsEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Preload = true
		_, err := Run(t.Context(), cfg, &fakeStore{fails: func(uint64) bool { return true }})
		if !errors.Is(err, errDown) {
			t.Errorf("error %v, want %v", err, errDown)
		}
	})
}

func TestInterruptedRunReportsWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		store := &fakeStore{delay: func(uint64) time.Duration { return time.Millisecond }}
		report, err := Run(ctx, testConfig(), store)
		if !errors.Is(err, context.DeadlineExceeded) || report == nil {
			t.Fatalf("report %v, error %v", report, err)
		}
		if report.Total.Count == 0 || len(report.Failures) != 0 {
			t.Errorf("%d requests, failures %v", report.Total.Count, report.Failures)
		}
	})
}

func TestServersAreWatched(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("processes are watched through /proc, which this system does not have")
	}
	cfg := testConfig()
	cfg.Duration, cfg.ServerPIDs = 50*time.Millisecond, []int{os.Getpid()}
	store := &fakeStore{delay: func(uint64) time.Duration { return time.Millisecond }}
	report, err := Run(t.Context(), cfg, store)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Servers) != 1 || report.Servers[0].RSS < 1<<20 {
		t.Errorf("servers %+v", report.Servers)
	}
	cfg.ServerPIDs = []int{1 << 30}
	if _, err := Run(t.Context(), cfg, store); err == nil {
		t.Error("a process that is not there was accepted")
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	err := (&Config{Rate: 1, ExpectedInterval: 1, PutShare: 2, Distribution: "normal"}).Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"clients", "duration", "keys", "share of puts", "distribution", "expected interval",
		"timeout", "classifies",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in: %v", want, err)
		}
	}
}
