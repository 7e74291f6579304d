// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// missedPurge is why a partition is not ready.
const missedPurge = "not ready: the store has lost what it confirmed in a purge round of the " +
	"partition, and may hold what was deleted"

// purges is where this node stands in the purge rounds of a partition.
type purges struct {
	// at is replaced as a whole, and never before it is durable; nil: there was no round.
	at atomic.Pointer[antientropy.Purges]
	// missed: the group has committed a round that this store, an owner, has not recorded.
	missed atomic.Bool
	// since is when this life adopted the epoch of a round whose tombstones it has yet to
	// delete, in nanoseconds since 1970; 0: there is none.
	since atomic.Int64
}

// roundTime is how long after its epoch was adopted a round may yet delete: both of its last
// steps have half a minute.
const roundTime = time.Minute

// underWay reports whether a round may be about to delete at this owner: another one may
// have deleted already, and must not be given the tombstones again (TRAPS M8).
func (p *purges) underWay() bool {
	since := p.since.Load()
	return since != 0 && time.Since(time.Unix(0, since)) < roundTime
}

func (p *purges) stand() antientropy.Purges {
	if at := p.at.Load(); at != nil {
		return *at
	}
	return antientropy.Purges{}
}

// adoptPurges takes over where the last life stood.
func (r *Replica) adoptPurges(past []wire.Purges) {
	for _, p := range past {
		if int(p.Partition) < len(r.parts) {
			r.parts[p.Partition].at.Store(&antientropy.Purges{
				Recorded: p.Recorded, Adopted: p.Adopted, Drained: p.Drained, Floor: p.Floor,
			})
		}
	}
}

// purgeStep is one step of a round at this node.
type purgeStep func(antientropy.Purges) (antientropy.Purges, antientropy.Verdict)

// takeStep takes a step, durably. When it returns, whatever the shard applied before knew of
// it, or is over.
func (r *Replica) takeStep(ctx context.Context, p uint16, step purgeStep) (
	antientropy.Verdict, error,
) {
	select {
	case r.purging <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-r.purging }()
	next, verdict := step(r.parts[p].stand())
	if verdict != antientropy.VerdictSync {
		return verdict, nil
	}
	if err := r.cfg.Points.Hit(PointPurgeStep); err != nil {
		return 0, err
	}
	err := r.cfg.KeepPurges(wire.Purges{
		Partition: p, Recorded: next.Recorded, Adopted: next.Adopted, Drained: next.Drained,
		Floor: next.Floor,
	})
	if err != nil {
		return 0, err
	}
	r.parts[p].at.Store(&next)
	return verdict, r.inShard(ctx, p, func(*partition) {})
}

// HeedPurge tells that the group has committed a purge epoch. An owner whose store did not
// take part in that round is not ready in the partition any more: all owners had to, so it
// has lost something since (TRAPS G5).
func (r *Replica) HeedPurge(ctx context.Context, p uint16, epoch kv.PurgeEpoch) error {
	if int(p) >= len(r.parts) || r.cfg.KeepPurges == nil || epoch <= r.parts[p].stand().Adopted {
		return nil
	}
	_, err := r.adoptPurge(ctx, p, epoch)
	return err
}

func (r *Replica) adoptPurge(ctx context.Context, p uint16, epoch kv.PurgeEpoch) (
	antientropy.Verdict, error,
) {
	verdict, err := r.takeStep(ctx, p, func(at antientropy.Purges) (
		antientropy.Purges, antientropy.Verdict,
	) {
		_, owner := r.cfg.Ring().SlotOf(p, r.cfg.Node)
		return at.Adopt(epoch, owner)
	})
	if err == nil && verdict == antientropy.VerdictSync {
		r.parts[p].since.Store(time.Now().UnixNano())
	}
	if verdict == antientropy.VerdictMissed && !r.parts[p].missed.Swap(true) {
		r.log.Error("partition not ready: the store took no part in a purge round",
			zap.Uint16("partition", p), zap.Uint64("epoch", uint64(epoch)))
	}
	return verdict, err
}

// GivenPurge tells that what this owner holds of a partition has been removed, and that an
// owner which had adopted the epoch has given it all that there is instead.
func (r *Replica) GivenPurge(ctx context.Context, p uint16, epoch kv.PurgeEpoch) error {
	_, err := r.takeStep(ctx, p, func(at antientropy.Purges) (
		antientropy.Purges, antientropy.Verdict,
	) {
		return at.Given(epoch), antientropy.VerdictSync
	})
	if err == nil {
		r.parts[p].missed.Store(false)
	}
	return err
}

// LookPurge answers whether this node could drain now.
func (r *Replica) LookPurge(ctx context.Context, req *wire.PurgeRequest) wire.PurgeReply {
	reply, _ := r.beginStep(req)
	if reply.Code == wire.ReplicaOK {
		r.answerStep(&reply, antientropy.VerdictDone, nil)
		r.holdOpen(ctx, req.Partition, &reply)
	}
	return reply
}

// ConfirmPurge answers which tombstones this owner holds exactly so, durably, and records
// the round.
func (r *Replica) ConfirmPurge(ctx context.Context, req *wire.PurgeRequest) wire.PurgeReply {
	reply, owner := r.beginStep(req)
	if reply.Code != wire.ReplicaOK {
		return reply
	}
	if !owner {
		reply.Code, reply.Detail = wire.ReplicaRefused, "not an owner of the partition"
		return reply
	}
	holds := make([]bool, len(req.Items))
	for i := range req.Items {
		item := &req.Items[i]
		// What is read is durable (TRAPS G6).
		cur, err := r.store.Read(req.Partition, item.Bucket, item.Key, storage.ModeBare)
		if err != nil {
			reply.Code, reply.Detail = codeOf(err)
			return reply
		}
		holds[i] = r.isItem(item, &cur)
	}
	round := antientropy.Round{
		Partition: req.Partition, Placement: req.Placement, After: req.After, Epoch: req.Epoch,
	}
	verdict, err := r.takeStep(ctx, req.Partition, func(at antientropy.Purges) (
		antientropy.Purges, antientropy.Verdict,
	) {
		return at.Record(round)
	})
	if r.answerStep(&reply, verdict, err); reply.Step == wire.PurgeTaken {
		reply.Holds = holds
		r.cfg.Trace.Emit(trace.Event{
			Kind: trace.PurgeConfirmed, Partition: uint32(req.Partition), Value: uint64(req.Epoch),
		})
	}
	return reply
}

// AdoptPurge has this node adopt an epoch that is committed. The step is open until
// DrainPurge has taken it.
func (r *Replica) AdoptPurge(ctx context.Context, req *wire.PurgeRequest) wire.PurgeReply {
	reply, _ := r.beginStep(req)
	if reply.Code != wire.ReplicaOK {
		return reply
	}
	verdict, err := r.adoptPurge(ctx, req.Partition, req.Epoch)
	r.answerStep(&reply, verdict, err)
	switch at := r.parts[req.Partition].stand(); {
	case reply.Step != wire.PurgeTaken:
	case at.Adopted > req.Epoch:
		reply.Step = wire.PurgeOver
	case at.Drained < req.Epoch:
		reply.Step = wire.PurgeOpen
	}
	return reply
}

// DrainPurge takes the step that AdoptPurge has left open, if this node keeps no hints of
// the partition: all that it had when it adopted the epoch are among those that are gone.
func (r *Replica) DrainPurge(ctx context.Context, req *wire.PurgeRequest) wire.PurgeReply {
	reply, _ := r.beginStep(req)
	if reply.Code != wire.ReplicaOK {
		return reply
	}
	r.answerStep(&reply, antientropy.VerdictDone, nil)
	if r.holdOpen(ctx, req.Partition, &reply); reply.Step != wire.PurgeTaken {
		return reply
	}
	verdict, err := r.takeStep(ctx, req.Partition, func(at antientropy.Purges) (
		antientropy.Purges, antientropy.Verdict,
	) {
		return at.Drain(req.Epoch)
	})
	r.answerStep(&reply, verdict, err)
	return reply
}

// holdOpen leaves a step open while hints are kept for members of the partition, or it is
// not known yet which are.
func (r *Replica) holdOpen(ctx context.Context, p uint16, reply *wire.PurgeReply) {
	why := ""
	err := r.inShard(ctx, p, func(part *partition) { // all that came before is in the book
		switch {
		case !part.hints.done:
			why = "the hints of earlier lives are not counted yet"
		case r.hints.keeps(p):
			why = "hints of the partition are kept here"
		}
	})
	switch {
	case err != nil:
		reply.Step = wire.PurgeRefused
		reply.Code, reply.Detail = codeOf(err)
	case why != "":
		reply.Step, reply.Detail = wire.PurgeOpen, why
	}
}

// DeletePurged has this owner refuse what is older than the round, durably, and then delete
// what it still holds exactly as the round names it.
func (r *Replica) DeletePurged(ctx context.Context, req *wire.PurgeRequest) wire.PurgeReply {
	reply, owner := r.beginStep(req)
	if reply.Code != wire.ReplicaOK {
		return reply
	}
	if !owner {
		reply.Code, reply.Detail = wire.ReplicaRefused, "not an owner of the partition"
		return reply
	}
	verdict, err := r.takeStep(ctx, req.Partition, func(at antientropy.Purges) (
		antientropy.Purges, antientropy.Verdict,
	) {
		return at.Raise(req.Epoch)
	})
	if r.answerStep(&reply, verdict, err); reply.Step != wire.PurgeTaken {
		return reply
	}
	if err := r.deleteItems(req); err != nil {
		r.answerStep(&reply, verdict, err)
		return reply
	}
	if r.parts[req.Partition].stand().Adopted == req.Epoch {
		r.parts[req.Partition].since.Store(0)
	}
	return reply
}

// deleteItems deletes the items of a round, and returns when all that were there are gone
// durably.
func (r *Replica) deleteItems(req *wire.PurgeRequest) (err error) {
	done := make(chan error, len(req.Items))
	taken := 0
	for i := range req.Items {
		item, purged := &req.Items[i], false
		op := &storage.Op{
			Partition: req.Partition, Bucket: item.Bucket, Key: item.Key,
			Apply: func(cur storage.Current) storage.Next {
				if !r.isItem(item, &cur) || r.cfg.Points.Hit(PointPurgeDelete) != nil {
					return storage.Keep() // it was written again: that is for another round
				}
				purged = true
				return storage.Remove()
			},
			Done: func(result storage.Result) {
				if purged && result.Err == nil {
					r.purged.Add(1)
				}
				done <- result.Err
			},
		}
		if err = r.store.Do(op); err != nil {
			break
		}
		taken++
	}
	for range taken {
		if failed := <-done; failed != nil {
			err = failed
		}
	}
	return err
}

// isItem reports whether what the store holds is exactly what a round is to take away.
func (r *Replica) isItem(item *wire.PurgeItem, cur *storage.Current) bool {
	if cur.State != storage.StatePresent || !antientropy.Deleted(&cur.Object) {
		return false
	}
	seed := r.cfg.Ring().HashSeed()
	return antientropy.EntryHash(seed, item.Bucket, item.Key, &cur.Object) == item.Hash
}

// beginStep is what this node states of itself to whoever leads a round, and whether it may
// take part. A store that the group has not confirmed since its start may not: it may be a
// copy of an older one.
func (r *Replica) beginStep(req *wire.PurgeRequest) (reply wire.PurgeReply, owner bool) {
	status := r.status.Load()
	s := &reply.Standing
	s.Role, s.Instance, s.Confirmed = kv.RoleNotReady, r.cfg.Instance, status.Confirmed
	current := r.cfg.Ring()
	var why refusal
	switch {
	case current == nil:
		why = refuse("the cluster has not been formed yet")
	case int(req.Partition) >= len(r.parts):
		why = refuse("there is no partition %d", req.Partition)
	case r.cfg.KeepPurges == nil:
		why = refuse("this node takes part in no purge rounds")
	case !status.Ready || !status.Confirmed:
		why = refuse("not ready: %s", status.Reason)
	case req.Instance != r.cfg.Instance:
		why = refuse("this store is instance %d, not %d", r.cfg.Instance, req.Instance)
	default:
		owner, why = r.fitsRound(req, current.Placement(req.Partition), s)
	}
	reply.Code, reply.Detail = wire.ReplicaOK, why.detail
	if why.refused() {
		reply.Code = why.code
	}
	return reply, owner
}

// fitsRound compares a round with the placement of its partition (TRAPS G7).
func (r *Replica) fitsRound(
	req *wire.PurgeRequest, placement ring.Placement, s *wire.Standing,
) (owner bool, why refusal) {
	part := &r.parts[req.Partition]
	s.Role, s.Placement, s.Epoch = kv.RoleNotOwner, placement.Version, part.stand().Adopted
	for _, slot := range placement.Slots {
		owner = owner || slot.Has(r.cfg.Node)
	}
	round := antientropy.Round{Placement: req.Placement}
	switch {
	case owner && part.missed.Load():
		s.Role = kv.RoleNotReady
		return owner, refuse(missedPurge)
	case !round.Fits(placement.Version, placement.Slots):
		return owner, refuse("this node knows placement %d, at rest or not, the round is of %d",
			placement.Version, req.Placement)
	case owner:
		s.Role = kv.RoleOwner
	}
	return owner, refusal{}
}

// answerStep tells how a step went.
func (r *Replica) answerStep(reply *wire.PurgeReply, v antientropy.Verdict, err error) {
	if err != nil {
		reply.Step = wire.PurgeRefused
		reply.Code, reply.Detail = codeOf(err)
		return
	}
	switch v {
	case antientropy.VerdictOver:
		reply.Step = wire.PurgeOver
	case antientropy.VerdictBehind:
		reply.Step = wire.PurgeBehind
	case antientropy.VerdictMissed:
		reply.Role, reply.Step = kv.RoleNotReady, wire.PurgeMissed
		reply.Detail = missedPurge
	default:
		reply.Step = wire.PurgeTaken
	}
}
