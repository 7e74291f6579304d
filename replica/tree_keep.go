// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
)

const (
	// treeEvery is how often it is looked whether a tree is missing.
	treeEvery = time.Second
	// treeRetry is how long a partition is let alone after a build that failed, and how often
	// one is scanned again in which records turn out to be damaged.
	treeRetry = time.Minute
)

// KeepTrees builds the trees that are missing, one after another, and those of partitions
// in which a damaged record was met, until ctx or the store ends. It is for the background.
// A partition that this node owns no more loses its tree.
func (r *Replica) KeepTrees(ctx context.Context) error {
	next := make([]time.Time, len(r.parts)) // not before
	for {
		for p := range r.parts {
			number := uint16(p)
			var err error
			switch {
			case !r.owns(number):
				err = r.dropTree(ctx, number)
			case r.wantsTree(number) && !time.Now().Before(next[p]):
				err = r.renewTree(ctx, number)
				next[p] = time.Now().Add(treeRetry)
			}
			switch {
			case err == nil:
			case ctx.Err() != nil, errors.Is(err, storage.ErrClosed), errors.Is(err, storage.ErrFailed):
				return nil // whoever runs the store hears of it there
			default:
				r.log.Warn("tree not kept", zap.Uint16("partition", number), zap.Error(err))
			}
		}
		if err := sleep(ctx, treeEvery); err != nil {
			return nil
		}
	}
}

// wantsTree reports whether the tree of a partition is missing, or may be wrong of what is
// damaged.
func (r *Replica) wantsTree(number uint16) bool {
	t := &r.parts[number].tree
	return !t.known.Load() || t.suspect.Load()
}

func (r *Replica) renewTree(ctx context.Context, number uint16) error {
	suspect := &r.parts[number].tree.suspect
	suspect.Store(false) // what is met from here on may be behind the scan
	err := r.RebuildTree(ctx, number)
	if err != nil {
		suspect.Store(true)
	}
	return err
}

// dropTree forgets the tree of a partition that others own.
func (r *Replica) dropTree(ctx context.Context, number uint16) error {
	if !r.parts[number].tree.known.Load() {
		return nil
	}
	_, err := ask(ctx, r, number, func(part *partition) struct{} {
		part.tree.build = nil
		part.tree.setWhole(nil)
		return struct{}{}
	})
	return err
}

// owns reports whether this node is a member of one of the partition's slots.
func (r *Replica) owns(number uint16) bool {
	current := r.cfg.Ring()
	if current == nil {
		return false
	}
	for _, slot := range current.Placement(number).Slots {
		if slot.Has(r.cfg.Node) {
			return true
		}
	}
	return false
}
