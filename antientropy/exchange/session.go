// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// session is one exchange: a partition, as two of its owners hold it.
type session struct {
	// Immutable.
	cfg       *Config
	counts    *Counters
	partition uint16
	placement kv.PlacementVersion
	shape     antientropy.Shape
	near, far *side  // this node, and the other
	from      uint16 // the leaf to begin with where there are too many
	// going returns errStopped where the exchange is to end; ending is closed when all are to.
	going  func() error
	ending <-chan struct{}
	// coming returns errComing where what differs is better left to hand-off.
	coming func(context.Context) error
	// damaged hears of keys that this node can not read.
	damaged func(partition uint16, at wire.TreePlace)
}

// run compares both sides and brings together what differs.
func (s *session) run(ctx context.Context) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Longest)
	defer cancel()
	differing, err := s.look(ctx, wire.TreeRoot, []uint16{0})
	if err != nil || len(differing) == 0 {
		return settledOr(err)
	}
	if err := s.coming(ctx); err != nil {
		return outcomeOf(err), err
	}
	branches, err := s.lookTwice(ctx, wire.TreeBranches, below([]uint16{0}, antientropy.Branches))
	if err != nil || len(branches) == 0 {
		return settledOr(err)
	}
	leaves, err := s.lookTwice(ctx, wire.TreeLeaves, below(branches, antientropy.Fanout))
	if err != nil || len(leaves) == 0 {
		return settledOr(err)
	}
	some := s.some(leaves)
	fates, err := s.mendLeaves(ctx, some)
	switch {
	case err != nil:
		return outcomeOf(err), err
	case fates.left() > 0:
		return Unfinished, fmt.Errorf("exchange: %d keys are left", fates.left())
	case len(some) < len(leaves):
		return Unfinished, fmt.Errorf("exchange: %d leaves are left", len(leaves)-len(some))
	case fates[fateRepaired] == 0:
		return InSync, nil // what differed was of a deleted bucket, or has come meanwhile
	}
	return Repaired, nil
}

// settledOr ends an exchange that found nothing, or an error.
func settledOr(err error) (Outcome, error) {
	if err != nil {
		return outcomeOf(err), err
	}
	return InSync, nil
}

// some is what one exchange takes on of differing leaves: at most MaxLeaves of them (M4),
// from anywhere on, so that leaves which can not be repaired never keep the others from it.
func (s *session) some(leaves []uint16) []uint16 {
	if len(leaves) <= antientropy.MaxLeaves {
		return leaves
	}
	set := antientropy.Choose(leaves, s.from, antientropy.MaxLeaves)
	chosen := make([]uint16, 0, antientropy.MaxLeaves)
	for _, leaf := range leaves {
		if set.Has(leaf) {
			chosen = append(chosen, leaf)
		}
	}
	return chosen
}

// below are the children of nodes that have so many each.
func below(nodes []uint16, each int) []uint16 {
	children := make([]uint16, 0, len(nodes)*each)
	for _, n := range nodes {
		for i := range each {
			children = append(children, n*uint16(each)+uint16(i))
		}
	}
	return children
}

// lookTwice returns the nodes that differ at both of two looks, a pause apart. The trees are
// those of two moments, so what is being written seems to differ, at one look or the
// other; what one side lacks differs at both (M3).
func (s *session) lookTwice(
	ctx context.Context, level wire.TreeLevel, nodes []uint16,
) ([]uint16, error) {
	first, err := s.look(ctx, level, nodes)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	if err := s.rest(ctx); err != nil {
		return nil, err
	}
	return s.look(ctx, level, first)
}

// look returns those of the nodes that differ.
func (s *session) look(
	ctx context.Context, level wire.TreeLevel, nodes []uint16,
) (differing []uint16, err error) {
	far, farEpoch, err := s.sums(ctx, s.far, level, nodes)
	if err != nil {
		return nil, err
	}
	near, nearEpoch, err := s.sums(ctx, s.near, level, nodes)
	if err != nil {
		return nil, err
	}
	if nearEpoch != farEpoch {
		// One has purged what the other has yet to purge: no difference to mend (TRAPS M8).
		return nil, notComparable("%s is at purge epoch %d, %s at %d",
			s.near.name, nearEpoch, s.far.name, farEpoch)
	}
	for i, node := range nodes {
		if near[i] != far[i] {
			differing = append(differing, node)
		}
	}
	return differing, nil
}

// sums asks one side.
func (s *session) sums(
	ctx context.Context, of *side, level wire.TreeLevel, nodes []uint16,
) ([]wire.TreeSum, kv.PurgeEpoch, error) {
	if err := s.going(); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	reply, err := of.sums(ctx, &wire.TreeSumsRequest{
		TreeTarget: s.tree(ctx, of), Level: level, Nodes: nodes,
	})
	if err == nil {
		err = s.fit(of, &reply.Standing, reply.Code, reply.Detail)
	}
	if err == nil && len(reply.Sums) != len(nodes) {
		err = fmt.Errorf("exchange: %s told %d sums of %d", of.name, len(reply.Sums), len(nodes))
	}
	return reply.Sums, reply.Epoch, err
}

// rest waits until what was on its way has arrived.
func (s *session) rest(ctx context.Context) error {
	timer := time.NewTimer(s.cfg.Pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ending:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return s.going()
}

// sleep waits, or returns the error with which ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
