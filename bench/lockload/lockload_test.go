// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// toy is a lock service in memory: a lock takes 2 ms, an unlock 1 ms.
type toy struct {
	mu     sync.Mutex // guards all below
	fence  uint64
	locks  map[string]chan struct{}
	opens  int
	open   int
	dead   time.Time // no answers until then
	refuse int       // so many openings
	stuck  bool      // fences do not grow
}

var errToy = errors.New("toy: refused")

func newToy() *toy { return &toy{locks: make(map[string]chan struct{})} }

func (s *toy) Open(context.Context, time.Duration) (Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opens++; s.opens <= s.refuse {
		return nil, errToy
	}
	s.open++
	return &toySession{s, make(chan struct{})}, nil
}

func (s *toy) Code(err error) string {
	if errors.Is(err, errToy) {
		return "refused"
	}
	return "other"
}

func (s *toy) lock(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks[name] == nil {
		s.locks[name] = make(chan struct{}, 1)
	}
	return s.locks[name]
}

type toySession struct {
	toy  *toy
	done chan struct{}
}

func (t *toySession) Lock(ctx context.Context, name string) (uint64, Unlock, error) {
	s := t.toy
	s.mu.Lock()
	dead := time.Until(s.dead)
	s.mu.Unlock()
	pause(ctx, max(dead, 0))
	l := s.lock(name)
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	select {
	case l <- struct{}{}:
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	time.Sleep(2 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stuck {
		s.fence++
	}
	return s.fence + 1, func(context.Context) error {
		time.Sleep(time.Millisecond)
		<-l
		return nil
	}, nil
}

func (t *toySession) Done() <-chan struct{} { return t.done }

func (t *toySession) Close(context.Context) error {
	t.toy.mu.Lock()
	defer t.toy.mu.Unlock()
	t.toy.open--
	return nil
}

// Kill implements Cluster: for 3 s nobody answers.
func (s *toy) Kill(context.Context) (func(context.Context) error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = time.Now().Add(3 * time.Second)
	return func(context.Context) error { return nil }, nil
}

func config(clients int) Config {
	return Config{
		System: "toy", Clients: clients, Prefix: "p", TTL: 5 * time.Second, WarmUp: time.Second,
		Duration: 3 * time.Second, Rounds: 2, Timeout: time.Second,
	}
}

func about(got, want float64) bool { return got > 0.9*want && got < 1.1*want }

func TestPairsCountsWhatEndsWhileItMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newToy()
		s.refuse = 3 // are asked for again
		r, err := Pairs(t.Context(), config(4), s)
		if err != nil {
			t.Fatal(err)
		}
		if !about(r.Rate, 4*1000/3) || !about(r.Seconds, 3) || !about(r.Pair.P50, 3) ||
			!about(r.Lock.P50, 2) || !about(r.Unlock.P50, 1) || r.Handover != nil {
			t.Errorf("%+v, pair %+v", r, r.Pair)
		}
		if s.open != 0 || s.opens != 7 {
			t.Errorf("%d sessions are open after %d openings", s.open, s.opens)
		}
	})
}

func TestHandoverIsFromUnlockToTheNextGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Handover(t.Context(), config(20), newToy())
		if err != nil {
			t.Fatal(err)
		}
		// 1 ms until it is free, 2 ms until the next one has it.
		if !about(r.Handover.P50, 3) || !about(r.Rate, 1000/3) || r.Pair != nil {
			t.Errorf("%+v, %+v", r, r.Handover)
		}
	})
}

func TestFailoverIsFromTheDeathToAGrant(t *testing.T) {
	for _, try := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(3)
			cfg.Try = try
			r, err := Failover(t.Context(), cfg, newToy(), newToy())
			if err != nil || r.Failover.Max > 100 {
				t.Errorf("a leader of another cluster died: %v, %+v", err, r)
			}
			s := newToy()
			if r, err = Failover(t.Context(), cfg, s, s); err != nil {
				t.Fatal(err)
			}
			if !about(r.Failover.P50, 3000) || !about(r.FailoverLast.Max, 3000) || r.Count != 6 {
				t.Errorf("%+v, %+v", r, r.Failover)
			}
			if (try > 0) != (len(r.Failures) > 0) {
				t.Errorf("try %v: failures %v", try, r.Failures)
			}
		})
	}
}

func TestKeepCountsSessionsAndWhatTheirServerTakes(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("processes are watched through /proc, which this system does not have")
	}
	cfg := config(200)
	cfg.TTL, cfg.WarmUp, cfg.Duration = time.Second, 0, 100*time.Millisecond
	cfg.ServerPIDs, cfg.LeaderPID = []int{os.Getpid()}, os.Getpid()
	r, err := Keep(t.Context(), cfg, newToy())
	if err != nil {
		t.Fatal(err)
	}
	if r.Count != 200 || r.Lost != 0 || len(r.Servers) != 1 || !r.Servers[0].Leader ||
		r.Servers[0].RSS == 0 || r.LeaderCPU != r.ServerCPU {
		t.Errorf("%+v", r)
	}
	text, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"system":"toy","scenario":"keep"`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestFencesThatDoNotGrowEndARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newToy()
		s.stuck = true
		if _, err := Pairs(t.Context(), config(1), s); err == nil || !strings.Contains(err.Error(), "fence") {
			t.Errorf("got %v", err)
		}
	})
}

func TestARunThatIsCutOffSaysSoAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s := newToy()
		if _, err := Handover(ctx, config(5), s); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s.open != 0 {
			t.Errorf("%d sessions are open", s.open)
		}
	})
}

func TestConfigurationsThatCanNotBeAreRefused(t *testing.T) {
	for i, spoil := range []func(*Config){
		func(c *Config) { c.Clients = 0 },
		func(c *Config) { c.Clients = maxClients + 1 },
		func(c *Config) { c.TTL = 0 },
		func(c *Config) { c.WarmUp = -1 },
		func(c *Config) { c.Timeout = 0 },
		func(c *Config) { c.Try = -1 },
	} {
		cfg := config(1)
		spoil(&cfg)
		if _, err := Pairs(t.Context(), cfg, newToy()); err == nil {
			t.Errorf("configuration %d was taken", i)
		}
		if _, err := Failover(t.Context(), cfg, newToy(), newToy()); err == nil {
			t.Errorf("configuration %d was taken by Failover", i)
		}
	}
	cfg := config(1)
	cfg.Duration = 0
	if _, err := Keep(t.Context(), cfg, newToy()); err == nil {
		t.Error("no duration was taken")
	}
	cfg.Rounds = 0
	if _, err := Failover(t.Context(), cfg, newToy(), newToy()); err == nil {
		t.Error("no round was taken")
	}
}
