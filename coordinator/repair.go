// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// repair sends the merged object to those of the contacted owners that are behind,
// after the client was answered. It is help, not duty: at the bound it is left out, and a
// tombstone for who has nothing too. Whoever has just purged it would hold it again (TRAPS
// G4); whoever never had it is given it by the exchange, which knows of rounds.
func (c *Coordinator) repair(
	p *plan, merged kv.Object, epoch kv.PurgeEpoch, counted []readEvent,
) {
	for i := range counted {
		e := &counted[i]
		if e.target.Role != kv.RoleOwner || same(&e.reply.Object, &merged) ||
			merged.Deleted() && e.reply.Object.IsZero() {
			continue
		}
		if c.cfg.Points.Dropped(PointRepair) {
			c.skipped.Add(1)
			continue
		}
		if c.repairing.Add(1) > int64(c.cfg.MaxRepairs) {
			c.repairing.Add(-1)
			c.skipped.Add(1)
			continue
		}
		if mutant.On(mutant.RepairWrongContext) {
			merged.Versions = e.reply.Object.Versions
		}
		c.repairs.Add(1)
		deadline := time.Now().Add(c.cfg.SendTimeout)
		c.copyTo(p, e.target, merged, epoch, deadline, func(wire.StoreReply, error) {
			c.repairing.Add(-1)
		})
	}
}

// writeBack has the merged object on r confirmed owners before an atomic read answers
// (Attiya, Bar-Noy, Dolev, "Sharing Memory Robustly", 1995).
func (c *Coordinator) writeBack(
	ctx context.Context, p *plan, merged kv.Object, epoch kv.PurgeEpoch, counted []readEvent,
) error {
	if merged.IsZero() || mutant.On(mutant.NoWriteBack) {
		return nil // nothing was ever written, so nothing can be gone back behind
	}
	round, err := quorum.NewWriteBack(p.spec)
	if err != nil {
		return invalid(err)
	}
	type event struct {
		target quorum.Target
		reply  wire.StoreReply
		err    error
	}
	events := make(chan event, 2*len(p.spec.Slots)) // one answer of each member
	deadline := time.Now().Add(c.cfg.SendTimeout)
	var behind []quorum.Target
	decision := round.Decision()
	for {
		target, more := round.Next()
		if !more {
			break
		}
		if s, holds := held(counted, target.Node, &merged); holds {
			decision = round.Add(replyOf(target, s, wire.ReplicaOK, "", quorum.ResultStored))
		} else {
			behind = append(behind, target)
		}
	}
	switch {
	case decision == quorum.Reached:
		return nil // r confirmed owners agree already
	case !merged.HasValues():
		return errDiffer // what has to be sent must be read whole first
	}
	for _, target := range behind {
		if err := c.hitSend(PointWriteBack); err != nil {
			events <- event{target: target, err: err}
			continue
		}
		c.copyTo(p, target, merged, epoch, deadline, func(reply wire.StoreReply, err error) {
			events <- event{target, reply, err}
		})
	}
	stale := false
	for decision == quorum.Pending {
		select {
		case e := <-events:
			stale = stale || e.err == nil && e.reply.Code == wire.ReplicaStaleEpoch
			decision = round.Add(stored(e.target, e.reply, e.err))
		case <-ctx.Done():
			return overdue(ctx, p.textOf(round.Tally(), round.Entries()))
		}
	}
	switch {
	case decision == quorum.Unreachable && stale:
		return errDiffer // a purge went by since it was read: it is read again (TRAPS S11)
	case decision == quorum.Unreachable:
		return &Error{
			Code: wire.CodeQuorum,
			Text: "write-back of an atomic read: " + p.textOf(round.Tally(), round.Entries()),
		}
	}
	return nil
}

// copyTo sends data that was read before to one owner, this node included, as
// replicated data, which promises do not gate.
func (c *Coordinator) copyTo(
	p *plan, target quorum.Target, object kv.Object, epoch kv.PurgeEpoch, deadline time.Time,
	done func(wire.StoreReply, error),
) {
	req := &wire.StoreRequest{
		Target: p.target(target, time.Until(deadline).Milliseconds()), Role: kv.RoleOwner,
		Class: kv.ClassReplicated, Epoch: epoch, Object: object,
	}
	ticket := c.open.add()
	finish := func(reply wire.StoreReply, err error) {
		done(reply, err)
		c.open.done(ticket)
	}
	if target.Node == c.cfg.Node {
		c.local.Store(replica.StoreRequest{
			StoreRequest: req, Deadline: deadline,
			Done: func(reply wire.StoreReply) { finish(reply, nil) },
		})
		return
	}
	c.peers.Store(target.Node, req, deadline, finish)
}
