// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"slices"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// GetRequest is a client's read of one key.
type GetRequest struct {
	Bucket kv.Bucket
	Key    []byte // lent until Get returns and Drain has waited for its repairs
	R, PR  kv.Level
	// Atomic reads do not go back behind each other (ARCHITECTURE 1).
	Atomic bool
	// MetaOnly leaves the values out.
	MetaOnly bool
}

// readRounds bounds how often a read starts over: the first round may find that copies
// differ, the second then reads whole copies; a third is for a copy that changed or a
// replica that fell away in between.
const readRounds = 3

// errDiffer ends a round of digests whose answers do not agree.
var errDiffer = errors.New("coordinator: the copies differ")

// Get reads a key from R replicas, merges what they hold, repairs those that are
// behind, and returns the merged object. The error is an *Error; its outcome is none.
func (c *Coordinator) Get(ctx context.Context, req *GetRequest) (kv.Object, error) {
	got, err := c.read(ctx, req)
	return got.object, err
}

// found is what a read knows.
type found struct {
	object kv.Object
	// agreed: all the copies that count were the same, and the object is it.
	agreed bool
	// by is how many copies count.
	by int
}

func (c *Coordinator) read(ctx context.Context, req *GetRequest) (found, error) {
	if ctx.Err() != nil {
		// Such as the rest of a get_many. Nobody is asked for what nobody waits for.
		return found{}, overdue(ctx, "the time was up before the key was read")
	}
	plan, err := c.planFor(req.Bucket, req.Key, req.R.Or(req.Bucket.R), req.PR.Or(req.Bucket.PR))
	if err != nil {
		return found{}, err
	}
	if plan.spec.Atomic = req.Atomic; req.Atomic {
		plan.spec.NeedConfirmed = plan.spec.Need
	}
	if plan.spec.NeedConfirmed == plan.spec.Need {
		plan.strict() // it needs nobody but owners
	}
	if err := plan.hopeless(readerOf); err != nil {
		return found{}, err
	}
	mode := readDigests
	if req.MetaOnly {
		mode = readBare
	}
	for range readRounds {
		var got found
		got, err = c.readOnce(ctx, plan, mode)
		if !errors.Is(err, errDiffer) {
			if err == nil {
				err = c.hitAnswer(PointReadAnswer)
			}
			if err != nil {
				return found{}, err
			}
			c.traceRead(plan, &got.object, got.by)
			if req.MetaOnly {
				got.object = got.object.WithoutValues() // a later round may have read them
			}
			return got, nil
		}
		mode = readWhole
	}
	return found{}, &Error{
		Code: wire.CodeQuorum, Text: "the replicas' copies changed while they were read", Err: err,
	}
}

// readMode says which replicas send values.
type readMode uint8

const (
	readDigests readMode = 1 + iota // the first one asked; the others send digests
	readWhole                       // all
	readBare                        // none
)

// readOnce runs one round: ask, count, merge, write back or repair.
func (c *Coordinator) readOnce(ctx context.Context, p *plan, mode readMode) (found, error) {
	asking, err := c.newAsking(ctx, p, mode)
	if err != nil {
		return found{}, err
	}
	if err := asking.collect(ctx); err != nil {
		return found{}, err
	}
	p.suspectSilent(asking.round)
	counted := asking.replies
	if !p.sameEpoch(stampsOf(counted)) {
		return found{}, errDiffer
	}
	epoch := p.epoch
	got := found{agreed: allAgree(counted), by: len(counted)}
	if got.object, err = merge(counted, mode, got.agreed, p.spec.Atomic); err != nil {
		return found{}, err
	}
	switch {
	case p.spec.Atomic:
		return got, c.writeBack(ctx, p, got.object, epoch, counted)
	case mode == readWhole:
		c.repair(p, got.object, epoch, counted)
	}
	if mutant.On(mutant.ContextCoversUnseen) {
		got.object.Versions = counted[0].reply.Object.Versions
	}
	return got, nil
}

func stampsOf(counted []readEvent) []stamped {
	stamps := make([]stamped, len(counted))
	for i := range counted {
		stamps[i] = stamped{counted[i].target.Node, counted[i].reply.Epoch}
	}
	return stamps
}

// merge joins the copies that count. A round of digests ends here if they agree, which is
// the usual case; if not, errDiffer asks for whole copies, as it does where an atomic
// read must write back what it has no values of.
func merge(counted []readEvent, mode readMode, agreed, atomic bool) (kv.Object, error) {
	switch {
	case mode == readDigests:
		if whole := firstWhole(counted); agreed && whole != nil {
			return whole.Collapse(), nil
		}
		return kv.Object{}, errDiffer
	case mode == readBare && atomic && !agreed:
		return kv.Object{}, errDiffer
	}
	var merged kv.Object
	for i := range counted {
		merged = kv.Merge(merged, counted[i].reply.Object)
	}
	merged = merged.Collapse()
	if last := len(counted) - 1; mutant.On(mutant.ReadUnites) && last > 0 {
		merged.Versions = slices.Concat(counted[0].reply.Object.Versions,
			counted[last].reply.Object.Versions)
	}
	if mode == readWhole && !merged.HasValues() {
		return kv.Object{}, errDiffer // a replica sent less than it was asked for
	}
	return merged, nil
}

func firstWhole(counted []readEvent) *kv.Object {
	for i := range counted {
		if o := &counted[i].reply.Object; o.HasValues() {
			return o
		}
	}
	return nil
}

func allAgree(counted []readEvent) bool {
	if mutant.On(mutant.DigestsNotCompared) {
		return true
	}
	for i := 1; i < len(counted); i++ {
		if !same(&counted[0].reply.Object, &counted[i].reply.Object) {
			return false
		}
	}
	return true
}

// same reports whether two copies hold the same: context, dots and checksums.
func same(a, b *kv.Object) bool {
	if len(a.Versions) != len(b.Versions) || a.Fence != b.Fence || !a.Context.Equal(b.Context) {
		return false
	}
	for i := range a.Versions {
		if a.Versions[i].Dot != b.Versions[i].Dot || a.Versions[i].Checksum != b.Versions[i].Checksum {
			return false
		}
	}
	return true
}
