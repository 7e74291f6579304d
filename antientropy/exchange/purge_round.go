// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// errNotNow ends a round that can not go on; the next one does its work again.
var errNotNow = errors.New("exchange: no purge round now")

// purgeRound is one round under way at the node that leads it.
type purgeRound struct {
	*Purger
	ring  *ring.Ring
	round antientropy.Round
}

// lead leads one round over candidates.
func (u *Purger) lead(ctx context.Context, p uint16, candidates []antientropy.Item) error {
	registered, err := u.group.Registered(ctx)
	if err != nil {
		return err
	}
	for _, node := range registered {
		if node != u.cfg.Node && !u.cfg.Alive(node) {
			return fmt.Errorf("%w: %s seems down", errNotNow, nameOf(u.cfg.Ring(), node))
		}
	}
	// What it asks for is a newer ring's, or the same: who knows another takes no step.
	r := &purgeRound{Purger: u, ring: u.cfg.Ring()}
	placement := r.ring.Placement(p)
	r.round = antientropy.Round{
		Partition: p, Placement: placement.Version, After: u.group.Purged(p),
	}
	if !r.round.Fits(placement.Version, placement.Slots) {
		return fmt.Errorf("%w: a slot moves", errNotNow)
	}
	// An epoch that somebody can not drain would stand in the way of sloppy reads and writes
	// for as long as that lasts: who is down, or keeps hints, is found out before.
	if err := r.look(ctx, registered); err != nil {
		return err
	}
	r.round.Epoch, err = u.group.BeginPurge(ctx, p, placement.Version, r.round.After)
	if err != nil {
		return err
	}
	var owners []kv.NodeID
	for _, slot := range placement.Slots {
		owners = append(owners, slot.Owner)
	}
	l := antientropy.Lead(r.round, owners, candidates)
	for _, phase := range []func(context.Context, *antientropy.Leading) error{
		r.confirm, r.commit, r.drain, r.purge,
	} {
		bound, cancel := context.WithTimeout(ctx, u.cfg.Longest)
		err := phase(bound, l)
		cancel()
		if err != nil || l.Phase() == antientropy.PhaseEnded {
			u.tell(l, err)
			return err
		}
	}
	return nil
}

func (u *Purger) tell(l *antientropy.Leading, err error) {
	items := len(l.Items())
	if err == nil && items > 0 {
		u.log.Info("tombstones purged", zap.Uint16("partition", l.Round().Partition),
			zap.Uint64("epoch", uint64(l.Round().Epoch)), zap.Int("keys", items))
	}
}

// look asks all members whether they could drain.
func (r *purgeRound) look(ctx context.Context, registered []kv.NodeID) error {
	for _, a := range r.ask(ctx, wire.MethodPurgeLook, registered, nil) {
		if a.reply.Step != wire.PurgeTaken {
			return r.notNow(&a)
		}
	}
	return nil
}

// confirm asks the owners what they hold.
func (r *purgeRound) confirm(ctx context.Context, l *antientropy.Leading) error {
	for _, a := range r.ask(ctx, wire.MethodPurgeConfirm, l.Ask(nil), l.Candidates()) {
		if a.reply.Step != wire.PurgeTaken {
			return r.notNow(&a)
		}
		l.Confirmed(a.node, a.reply.Holds)
	}
	return nil
}

func (r *purgeRound) commit(ctx context.Context, l *antientropy.Leading) error {
	if err := r.group.CommitPurge(ctx, r.round); err != nil {
		return err
	}
	l.Committed()
	return nil
}

// drain asks all members to adopt the epoch, until all who are registered have drained.
func (r *purgeRound) drain(ctx context.Context, l *antientropy.Leading) error {
	for {
		registered, err := r.group.Registered(ctx) // newer than all answers
		if err != nil {
			return err
		}
		if l.Barrier(registered); l.Phase() != antientropy.PhaseDrain {
			return nil
		}
		var open *purgeAnswer
		for _, a := range r.ask(ctx, wire.MethodPurgeAdopt, l.Ask(registered), nil) {
			switch a.reply.Step {
			case wire.PurgeTaken:
				l.Drained(a.node)
			case wire.PurgeOver, wire.PurgeMissed:
				return r.notNow(&a)
			default:
				open = &a
			}
		}
		if open != nil && rest(ctx, r.cfg.Rest) != nil {
			return r.notNow(open)
		}
	}
}

// purge asks the owners to delete, until all have.
func (r *purgeRound) purge(ctx context.Context, l *antientropy.Leading) error {
	for l.Phase() == antientropy.PhasePurge {
		var open *purgeAnswer
		for _, a := range r.ask(ctx, wire.MethodPurgeDelete, l.Ask(nil), l.Items()) {
			if a.reply.Step == wire.PurgeTaken {
				l.Purged(a.node)
			} else {
				open = &a
			}
		}
		if open != nil && rest(ctx, r.cfg.Rest) != nil {
			return r.notNow(open)
		}
	}
	return nil
}

// purgeAnswer is what one member answered.
type purgeAnswer struct {
	node  kv.NodeID
	reply wire.PurgeReply
	err   error
}

func (r *purgeRound) notNow(a *purgeAnswer) error {
	why := a.reply.Detail
	if a.err != nil {
		why = a.err.Error()
	}
	return fmt.Errorf("%w: %s, step %d: %s", errNotNow, nameOf(r.ring, a.node), a.reply.Step, why)
}

// ask has members take a step, all at once, and returns their answers in the order of the
// members.
func (r *purgeRound) ask(
	ctx context.Context, method string, members []kv.NodeID, items []antientropy.Item,
) []purgeAnswer {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	answers := make([]purgeAnswer, len(members))
	ended := make(chan struct{}, len(members)) // one for each
	for i, node := range members {
		req := r.request(ctx, node, items)
		go func() {
			a := &answers[i]
			a.node = node
			a.reply, a.err = r.askOne(ctx, method, node, req)
			ended <- struct{}{}
		}()
	}
	for range members {
		<-ended
	}
	return answers
}

func (r *purgeRound) askOne(
	ctx context.Context, method string, node kv.NodeID, req *wire.PurgeRequest,
) (wire.PurgeReply, error) {
	if node == r.cfg.Node {
		return r.Take(ctx, method, req), nil
	}
	return await(ctx, func(deadline time.Time, done func(wire.PurgeReply, error)) {
		r.peers.Purge(node, method, req, deadline, done)
	})
}

func (r *purgeRound) request(
	ctx context.Context, node kv.NodeID, items []antientropy.Item,
) *wire.PurgeRequest {
	req := &wire.PurgeRequest{
		Partition: r.round.Partition, Placement: r.round.Placement,
		Instance: r.ring.Instance(node), RemainingMS: max(1, remaining(ctx)/8*7),
		After: r.round.After, Epoch: r.round.Epoch,
	}
	for _, item := range items {
		req.Items = append(req.Items, wire.PurgeItem{
			TreePlace: wire.TreePlace{Bucket: item.Bucket, Key: item.Key}, Hash: item.Hash,
		})
	}
	return req
}
