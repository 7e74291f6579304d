// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// sweepDelay stands between the news that a bucket was deleted, or a start, and the
	// removal of what is left: what was under way in the bucket is durable by then, and a
	// start has passed.
	sweepDelay = 10 * time.Second
	// sweepRetry is how long a removal that failed is let alone.
	sweepRetry = time.Minute
)

// sweeper removes what the store holds of deleted buckets, in the background.
type sweeper struct {
	// changed is poked when there may be other buckets than before.
	changed <-chan struct{}
	// deleted numbers the buckets that are gone: it changes whenever another one is.
	deleted func() uint64
	remove  func(context.Context) (int, error)
	log     *zap.Logger
}

// run removes after the start, and after each deletion, until ctx ends. What it left
// undone is done at the next start.
func (s *sweeper) run(ctx context.Context) error {
	swept, known := uint64(0), false
	timer := time.NewTimer(sweepDelay)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
			if known && s.deleted() != swept {
				known = false
				timer.Reset(sweepDelay)
			}
			continue
		case <-timer.C:
		}
		now := s.deleted()
		removed, err := s.remove(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Warn("deleted buckets not removed", zap.Error(err), zap.Int("removed", removed))
			timer.Reset(sweepRetry)
			continue
		case removed > 0:
			s.log.Info("deleted buckets removed", zap.Int("objects", removed))
		}
		if swept, known = now, true; s.deleted() != now {
			known = false
			timer.Reset(sweepDelay)
		}
	}
}

// sweep removes deleted buckets while this node serves data.
func (n *Node) sweep(ctx context.Context, d *data) error {
	m := n.membership.Load()
	if m.meta == nil {
		return nil // no bucket is ever deleted
	}
	changed, stop := m.group.Watch()
	defer stop()
	s := &sweeper{
		changed: changed, deleted: m.deletions, remove: d.replica.RemoveDeleted,
		log: n.log.Named("sweep"),
	}
	return s.run(ctx)
}

// deletions numbers the buckets that the group has deleted, as far as this node has heard.
func (m *membership) deletions() uint64 {
	v := m.meta.View()
	if v == nil {
		return 0
	}
	// A bucket that is created adds one to both, one that is deleted takes one off the second.
	return uint64(v.Generation)<<48 + uint64(v.BucketsIssued) - uint64(len(v.Buckets))
}
