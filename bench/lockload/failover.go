// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
)

// failoverMost is how long a client tries to get a lock after the leader's death.
const failoverMost = time.Minute

// Failover kills the leader, has all clients ask for locks of their own at once, and
// measures how long it takes until the first of them has it, and the last. Then the server
// is started again.
func Failover(ctx context.Context, cfg Config, s Service, c Cluster) (*Report, error) {
	err := cfg.Validate()
	if cfg.Clients > maxClients || cfg.Rounds < 1 || cfg.Rounds > maxRounds {
		err = errors.Join(err, fmt.Errorf("%d clients and %d rounds, must be at most %d, and 1 to %d",
			cfg.Clients, cfg.Rounds, maxClients, maxRounds))
	}
	if err != nil {
		return nil, err
	}
	cfg.ServerPIDs = nil // they do not live long
	from, err := read(&cfg)
	if err != nil {
		return nil, err
	}
	sessions, err := openAll(ctx, &cfg, s)
	if err != nil {
		return nil, err
	}
	defer closeAll(&cfg, sessions)
	r := newReport(&cfg, "failover")
	first, last, failed := load.NewTimes(), load.NewTimes(), make(failures)
	for round := range cfg.Rounds {
		start, err := c.Kill(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: kill the leader: %w", round+1, err)
		}
		took, err := grants(ctx, &cfg, s, sessions, round, failed)
		if err == nil {
			first.Add(slices.Min(took))
			last.Add(slices.Max(took))
			r.Count += uint64(len(took))
		}
		if err = errors.Join(err, start(ctx)); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	to, err := read(&cfg)
	if err != nil {
		return nil, err
	}
	r.Lost, r.Failures = lost(sessions), failed.list()
	r.spent(&cfg, from, to)
	r.Rate = 0
	r.Failover, r.FailoverLast = latencyOf(first), latencyOf(last)
	return r, nil
}

// grants has every client get and give back a lock, and is how long that took each of them.
func grants(
	ctx context.Context, cfg *Config, s Service, sessions []Session, round int, failed failures,
) ([]time.Duration, error) {
	died := time.Now()
	ctx, cancel := context.WithTimeout(ctx, failoverMost)
	defer cancel()
	took, errs := make([]time.Duration, len(sessions)), make([]error, len(sessions))
	var mu sync.Mutex // guards failed
	fail := func(kind string, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed.add(kind, s.Code(err))
	}
	var all sync.WaitGroup
	for i := range sessions {
		all.Go(func() {
			name := fmt.Sprintf("%s%d/%d", cfg.Prefix, round, i)
			took[i], errs[i] = grantOne(ctx, cfg, sessions[i], name, died, fail)
		})
	}
	all.Wait()
	return took, errors.Join(errs...)
}

// grantOne gets a lock, however often it must be asked for, and gives it back.
func grantOne(
	ctx context.Context, cfg *Config, s Session, name string, died time.Time,
	fail func(string, error),
) (time.Duration, error) {
	for {
		unlock, err := try(ctx, cfg, s, name)
		if err == nil {
			took := time.Since(died)
			if err = unlock(ctx); err != nil {
				fail("unlock", err)
			}
			return took, nil
		}
		select {
		case <-s.Done():
			return 0, fmt.Errorf("a session was lost with the leader: %w", err)
		case <-ctx.Done():
			return 0, fmt.Errorf("no lock within %v: %w", failoverMost, err)
		default:
		}
		fail("lock", err)
		pause(ctx, failurePause)
	}
}

func try(ctx context.Context, cfg *Config, s Session, name string) (Unlock, error) {
	if cfg.Try > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, cfg.Try)
		defer cancel()
	}
	_, unlock, err := s.Lock(ctx, name)
	return unlock, err
}
