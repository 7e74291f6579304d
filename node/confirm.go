// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
)

// confirm asks the group about this opening until it has answered. Each attempt is
// bounded, so that a group which does not answer does not keep the store from serving
// what needs no group. Then it watches that the group does not accept another opening: a
// copy of this directory that runs elsewhere.
func (n *Node) confirm(ctx context.Context) error {
	m := n.membership.Load()
	last := kv.Verdict(0)
	for first := true; ; first = false {
		if again, err := n.tryRejoin(ctx, m); err != nil {
			return err
		} else if again {
			select {
			case <-time.After(n.cfg.ConfirmEvery):
			case <-ctx.Done():
				return nil
			}
			continue
		}
		if n.superseded(m) {
			return n.giveUp(m)
		}
		verdict, err := n.askGroup(ctx, m, first)
		switch {
		case err != nil:
			return fmt.Errorf("node: confirm this opening: %w", err)
		case ctx.Err() != nil:
			return nil
		case n.cfg.Rejoin && m.meta != nil &&
			(verdict == kv.VerdictLost || verdict == kv.VerdictForked) && !n.isSettled():
			m.opening.refused = true
			continue // and begins a new life
		case verdict == kv.VerdictUnknown && m.opening.refused:
			// Refused before: it is judged already.
		case verdict != last:
			_ = n.cfg.Points.Hit(PointJudged) // it has been judged, whoever fails
			n.judge(verdict)
			last = verdict
		}
		if verdict != kv.VerdictUnknown {
			n.settleNow()
		}
		if verdict == kv.VerdictLost && n.cfg.RefuseLost {
			return n.nameTaken(m.identity.Cluster)
		}
		if verdict == kv.VerdictConfirmed {
			return n.guard(ctx, m)
		}
		if verdict != kv.VerdictUnknown {
			return nil
		}
		select {
		case <-time.After(n.cfg.ConfirmEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// guard looks whether the group has accepted another opening than this one: then a copy
// of this directory runs elsewhere, and of the two this one is it no more.
func (n *Node) guard(ctx context.Context, m *membership) error {
	present := m.opening.past.Present()
	every := time.NewTicker(n.cfg.ConfirmEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-n.filled:
			if err := n.full(m); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			return nil
		}
		if n.superseded(m) {
			return n.giveUp(m)
		}
		accepted := m.group.Accepted(m.identity.Node)
		if accepted.Seq < present.Seq || accepted == present {
			continue // the group's state here may be behind
		}
		n.log.Error("another process was accepted as this node",
			zap.Uint64("opening", accepted.Seq), zap.Uint64("this-opening", present.Seq))
		return n.giveUp(m)
	}
}

// giveUp makes the store one that is refused: another one stands in its place.
func (n *Node) giveUp(m *membership) error {
	if err := m.opening.refuse(); err != nil {
		return err
	}
	n.judge(kv.VerdictForked)
	return nil
}

// judge makes the store stand as the group says.
func (n *Node) judge(v kv.Verdict) {
	n.judging.Lock()
	n.verdict = v
	d := n.data.Load()
	if d != nil {
		d.replica.Confirm(v)
	}
	n.judging.Unlock()
	if d != nil {
		n.tellState(d)
	}
}

// askGroup makes one attempt; only the first that fails is worth a warning.
func (n *Node) askGroup(ctx context.Context, m *membership, first bool) (kv.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.ConfirmTimeout)
	defer cancel()
	log := n.log
	if !first {
		log = log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))
	}
	return m.opening.confirm(ctx, m.group, log)
}
