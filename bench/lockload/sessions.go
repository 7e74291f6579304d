// SPDX-License-Identifier: Apache-2.0

package lockload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// openers is how many sessions are opened, or closed, at a time.
	openers = 64
	// openTries is how often the opening of one is tried.
	openTries = 10
	// failurePause keeps a client from spinning while every request fails at once.
	failurePause = 10 * time.Millisecond
)

// openAll opens as many sessions as there are clients.
func openAll(ctx context.Context, cfg *Config, s Service) ([]Session, error) {
	sessions := make([]Session, cfg.Clients)
	err := each(cfg.Clients, func(i int) error {
		var err error
		for range openTries {
			if err = ctx.Err(); err != nil {
				return err
			}
			if sessions[i], err = open(ctx, cfg, s); err == nil {
				return nil
			}
			pause(ctx, time.Second)
		}
		return fmt.Errorf("open session %d of %d: %w", i+1, cfg.Clients, err)
	})
	if err != nil {
		closeAll(cfg, sessions)
		return nil, err
	}
	return sessions, nil
}

func open(ctx context.Context, cfg *Config, s Service) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	return s.Open(ctx, cfg.TTL)
}

// closeAll closes those that are there. What can not be closed ends by its time to live.
func closeAll(cfg *Config, sessions []Session) {
	_ = each(len(sessions), func(i int) error {
		if sessions[i] == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), cfg.Timeout)
		defer cancel()
		return sessions[i].Close(ctx)
	})
}

// each does something n times, several at once, and returns the errors.
func each(n int, do func(i int) error) error {
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		errs    []error // guarded by mu
		next    = make(chan int)
	)
	for range min(openers, n) {
		workers.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	if len(errs) > 3 { // they tell the same
		errs = append(errs[:3], fmt.Errorf("and %d more", len(errs)-3))
	}
	return errors.Join(errs...)
}

// lost counts the sessions that are over.
func lost(sessions []Session) int {
	n := 0
	for _, s := range sessions {
		select {
		case <-s.Done():
			n++
		default:
		}
	}
	return n
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
