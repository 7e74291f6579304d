// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/bench/load"
)

// Pairs measures clients that lock and unlock each a name of its own.
func Pairs(ctx context.Context, cfg Config, s Service) (*Report, error) {
	return measure(ctx, &cfg, s, "pairs", func(i int) string {
		return fmt.Sprintf("%s%d", cfg.Prefix, i)
	})
}

// Handover measures clients that all want one name, and give it back at once.
func Handover(ctx context.Context, cfg Config, s Service) (*Report, error) {
	return measure(ctx, &cfg, s, "handover", func(int) string { return cfg.Prefix + "one" })
}

// client is one client with what it has measured.
type client struct {
	run     *run
	session Session
	name    string
	lock    load.Times
	unlock  load.Times
	pair    load.Times
	gaps    load.Times
	failed  failures
	fence   uint64
}

// run is what the clients of a scenario share.
type run struct {
	cfg      *Config
	service  Service
	from, to atomic.Int64 // when is measured; 0: not yet
	// left is when the last unlock began, where all want one name.
	left atomic.Int64
	one  bool
}

func measure(
	ctx context.Context, cfg *Config, s Service, scenario string, name func(i int) string,
) (*Report, error) {
	if err := cfg.timed(maxClients); err != nil {
		return nil, err
	}
	if _, err := read(cfg); err != nil {
		return nil, err
	}
	sessions, err := openAll(ctx, cfg, s)
	if err != nil {
		return nil, err
	}
	defer closeAll(cfg, sessions)
	r := &run{cfg: cfg, service: s, one: scenario == "handover"}
	clients := make([]*client, len(sessions))
	working, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	errs := make([]error, len(sessions))
	for i := range clients {
		clients[i] = &client{
			run: r, session: sessions[i], name: name(i), lock: load.NewTimes(),
			unlock: load.NewTimes(), pair: load.NewTimes(), gaps: load.NewTimes(),
			failed: make(failures),
		}
		all.Go(func() { errs[i] = clients[i].work(working) })
	}
	from, to, err := r.wait(ctx)
	stop()
	all.Wait()
	if err = errors.Join(err, errors.Join(errs...), ctx.Err()); err != nil {
		return nil, err
	}
	report := newReport(cfg, scenario)
	report.Lost = lost(sessions)
	report.join(clients, r.one)
	report.spent(cfg, from, to)
	return report, nil
}

// wait waits for the end of the time that is measured.
func (r *run) wait(ctx context.Context) (from, to reading, err error) {
	pause(ctx, r.cfg.WarmUp)
	from, err = read(r.cfg)
	r.from.Store(from.at.UnixNano())
	pause(ctx, r.cfg.Duration)
	to, errTo := read(r.cfg)
	r.to.Store(to.at.UnixNano())
	return from, to, errors.Join(err, errTo)
}

// counts reports whether what ended at that time is measured.
func (r *run) counts(at time.Time) bool {
	from, to := r.from.Load(), r.to.Load()
	return from > 0 && at.UnixNano() >= from && (to == 0 || at.UnixNano() <= to)
}

// work locks and unlocks until ctx ends. An error says that the service broke its word.
func (c *client) work(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		fence, unlock, err := c.acquire(ctx)
		got := time.Now()
		if err != nil {
			c.fail(ctx, "lock", err)
			continue
		}
		if fence <= c.fence {
			return fmt.Errorf("lock %s was granted with fence %d after %d", c.name, fence, c.fence)
		}
		c.fence = fence
		if c.run.one {
			if left := c.run.left.Load(); left > 0 && c.run.counts(got) {
				c.gaps.Add(time.Duration(got.UnixNano() - left))
			}
			c.run.left.Store(time.Now().UnixNano())
		}
		leaving := time.Now()
		err = c.release(unlock)
		gone := time.Now()
		switch {
		case err != nil:
			c.run.left.Store(0) // nobody knows when the next one can have it
			c.fail(ctx, "unlock", err)
		case c.run.counts(gone):
			c.lock.Add(got.Sub(began))
			c.unlock.Add(gone.Sub(leaving))
			c.pair.Add(gone.Sub(began))
		}
	}
	return nil
}

// acquire waits for the lock. Where all want one name that takes as long as it takes.
func (c *client) acquire(ctx context.Context) (uint64, Unlock, error) {
	if !c.run.one {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, c.run.cfg.Timeout)
		defer cancel()
	}
	return c.session.Lock(ctx, c.name)
}

// release gives the lock back, also at the end: others wait for it.
func (c *client) release(unlock Unlock) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.run.cfg.Timeout)
	defer cancel()
	return unlock(ctx)
}

func (c *client) fail(ctx context.Context, kind string, err error) {
	if ctx.Err() != nil {
		return // cut off: nothing was learned
	}
	c.failed.add(kind, c.run.service.Code(err))
	pause(ctx, failurePause)
}

func (r *Report) join(clients []*client, one bool) {
	lock, unlock, pair, gaps := load.NewTimes(), load.NewTimes(), load.NewTimes(), load.NewTimes()
	failed := make(failures)
	for _, c := range clients {
		lock.Join(c.lock)
		unlock.Join(c.unlock)
		pair.Join(c.pair)
		gaps.Join(c.gaps)
		for key, n := range c.failed {
			failed[key] += n
		}
	}
	r.Count, r.Failures = pair.Count(), failed.list()
	r.Unlock = latencyOf(unlock)
	if r.Handover = latencyOf(gaps); one {
		return // how long a lock takes says how many wait
	}
	r.Lock, r.Pair = latencyOf(lock), latencyOf(pair)
}
