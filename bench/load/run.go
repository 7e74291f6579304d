// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// preloadTries is how often the write of a key is tried before the run is given up.
	preloadTries = 5
	// failurePause keeps a closed loop from spinning while every request fails at once.
	failurePause = 5 * time.Millisecond
)

// run is one run.
type run struct {
	cfg    *Config
	store  Store
	keys   chooser
	values values
	// seen[i] is what is known of key i; nil: nothing.
	seen []atomic.Pointer[memory]
	rec  *recorder
	pace *pace
	proc string
}

// memory is what is known of a key.
type memory struct {
	context []byte
	// resolve says that there are versions which context does not cover.
	resolve bool
}

// reading is the state of the clocks at one moment (I2).
type reading struct {
	at      time.Time
	done    uint64
	own     time.Duration
	servers []usage
}

// Run puts store under load and reports. Where ctx ends early it returns what was
// measured until then, together with the context's error. An error alone says that the
// run could not be made: a bad configuration, a failed preload, a server process that
// can not be watched.
func Run(ctx context.Context, cfg Config, store Store) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := newRun(&cfg, store)
	if _, err := r.read(); err != nil {
		return nil, err
	}
	if cfg.Preload {
		if err := r.preload(ctx); err != nil {
			return nil, err
		}
	}
	return r.measure(ctx, waitUntil)
}

func newRun(cfg *Config, store Store) *run {
	return &run{
		cfg: cfg, store: store, keys: newChooser(cfg.Distribution, cfg.Keys),
		values: newValues(cfg.ValueSize, cfg.Seed), seen: make([]atomic.Pointer[memory], cfg.Keys),
		rec: newRecorder(cfg.ExpectedInterval), proc: "/proc",
	}
}

// measure runs the clients, warm-up included. wait is how they wait for their turn.
func (r *run) measure(ctx context.Context, wait waiter) (*Report, error) {
	r.rec.done.Store(0)
	r.rec.resolved.Store(0)
	r.pace = newPace(r.cfg, time.Now(), wait)
	var clients sync.WaitGroup
	for id := range r.cfg.Clients {
		clients.Go(func() { r.client(ctx, id) })
	}
	ended := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		clients.Wait()
		close(ended)
	})
	from, to, err := r.watch(ended)
	all.Wait()
	if err != nil {
		return nil, err
	}
	return newReport(r.cfg, from, to, r.rec), ctx.Err()
}

// watch reads the clocks when the warm-up is over and when the time is, or when the
// clients have ended, and tells the progress meanwhile. After an error it waits for ended
// all the same: the run has its bound.
func (r *run) watch(ended <-chan struct{}) (from, to reading, err error) {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	warm := time.NewTimer(time.Until(r.pace.measureFrom))
	defer warm.Stop()
	over := make(<-chan time.Time) // never: only the number of requests ends the run
	if !r.pace.end.IsZero() {
		timer := time.NewTimer(time.Until(r.pace.end))
		defer timer.Stop()
		over = timer.C
	}
	from, err = r.read() // where the clients end before the warm-up does
	errs := []error{err}
	for finished := false; !finished; {
		select {
		case <-ticker.C:
			r.progress()
		case <-warm.C:
			from, err = r.read()
			errs = append(errs, err)
		case <-over:
			to, err = r.read()
			errs = append(errs, err)
		case <-ended:
			finished = true
		}
	}
	if to.at.IsZero() {
		to, err = r.read()
		errs = append(errs, err)
	}
	return from, to, errors.Join(errs...)
}

func (r *run) read() (reading, error) {
	out := reading{at: time.Now(), done: r.rec.done.Load(), own: ownCPU()}
	for _, pid := range r.cfg.ServerPIDs {
		u, err := readUsage(r.proc, pid)
		if err != nil {
			return out, err
		}
		out.servers = append(out.servers, u)
	}
	return out, nil
}

func (r *run) progress() {
	if r.cfg.Progress == nil {
		return
	}
	p := Progress{Phase: "measure", Done: r.rec.done.Load()}
	now := time.Now()
	switch {
	case now.Before(r.pace.measureFrom):
		p.Phase = "warm-up"
		p.Fraction = float64(now.Sub(r.pace.began)) / float64(r.cfg.WarmUp)
	case r.cfg.Duration > 0:
		p.Fraction = float64(now.Sub(r.pace.measureFrom)) / float64(r.cfg.Duration)
	default:
		p.Done, p.Of = min(r.pace.measured.Load(), r.cfg.Ops), r.cfg.Ops
		p.Fraction = float64(p.Done) / float64(p.Of)
	}
	p.Fraction = min(p.Fraction, 1)
	r.cfg.Progress(p)
}

// preload writes every key once.
func (r *run) preload(ctx context.Context) error {
	var (
		next    atomic.Uint64
		workers sync.WaitGroup
		mu      sync.Mutex
		failed  error // guarded by mu: the first
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for id := range r.cfg.Clients {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(r.cfg.Seed, uint64(id)))
			for n := next.Add(1) - 1; n < r.cfg.Keys && ctx.Err() == nil; n = next.Add(1) - 1 {
				if err := r.preloadKey(ctx, rng, n); err != nil {
					mu.Lock()
					if failed == nil {
						failed = fmt.Errorf("preload %s: %w", keyName(r.cfg.Prefix, n), err)
					}
					mu.Unlock()
					cancel()
				}
				r.rec.done.Add(1)
			}
		})
	}
	var watcher sync.WaitGroup
	ended := make(chan struct{})
	watcher.Go(func() { r.watchPreload(ended) })
	workers.Wait()
	close(ended)
	watcher.Wait()
	if failed != nil {
		return failed
	}
	return ctx.Err()
}

func (r *run) watchPreload(ended <-chan struct{}) {
	if r.cfg.Progress == nil {
		return
	}
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		done := r.rec.done.Load()
		r.cfg.Progress(Progress{
			Phase: "preload", Done: done, Of: r.cfg.Keys,
			Fraction: float64(done) / float64(r.cfg.Keys),
		})
		select {
		case <-ticker.C:
		case <-ended:
			return
		}
	}
}

func (r *run) preloadKey(ctx context.Context, rng *rand.Rand, number uint64) (err error) {
	for try := range preloadTries {
		if err = r.put(ctx, number, r.values.draw(rng), nil); err == nil {
			return nil
		}
		pause(ctx, time.Duration(try+1)*20*time.Millisecond)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
