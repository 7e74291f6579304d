// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"sync"
	"time"
)

// Shared is a budget that many goroutines take from.
type Shared struct {
	mu     sync.Mutex // guards bucket; never held over a wait
	bucket *Bucket
}

// New returns a budget.
func New(cfg Config) (*Shared, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Shared{bucket: NewBucket(cfg)}, nil
}

// Take waits until bytes may be moved, or returns the error with which ctx ended. Each
// caller's share is granted when it asks: whoever came before is served before (I3).
func (s *Shared) Take(ctx context.Context, bytes int) error {
	s.mu.Lock()
	wait := s.bucket.Take(time.Now(), bytes)
	s.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Look shows the budget how long clients waited since the look before.
func (s *Shared) Look(p99 time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bucket.Look(p99)
}

// Rate is how many bytes a second may be moved at present.
func (s *Shared) Rate() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket.Rate()
}
