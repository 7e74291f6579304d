// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// errSilent is the error of a call that was not answered in its time.
var errSilent = errors.New("exchange: no answer in time")

// replicaSide asks one of the two replicas of an exchange. Both are asked the same, and answer
// by the same rules.
type replicaSide interface {
	sums(context.Context, *wire.TreeSumsRequest) (wire.TreeSumsReply, error)
	list(context.Context, *wire.TreeListRequest) (wire.TreeListReply, error)
	read(context.Context, *wire.ReadRequest) (wire.ReadReply, error)
	store(context.Context, *wire.StoreRequest) (wire.StoreReply, error)
}

// own is this node's replica.
type own struct{ local Local }

func (o own) sums(_ context.Context, q *wire.TreeSumsRequest) (wire.TreeSumsReply, error) {
	return o.local.TreeSums(q), nil
}

func (o own) list(_ context.Context, q *wire.TreeListRequest) (wire.TreeListReply, error) {
	return o.local.TreeEntries(q), nil
}

func (o own) read(_ context.Context, q *wire.ReadRequest) (wire.ReadReply, error) {
	return o.local.Read(q), nil
}

func (o own) store(ctx context.Context, q *wire.StoreRequest) (wire.StoreReply, error) {
	return await(ctx, func(deadline time.Time, done func(wire.StoreReply, error)) {
		o.local.Store(replica.StoreRequest{
			StoreRequest: q, Deadline: deadline,
			Done: func(reply wire.StoreReply) { done(reply, nil) },
		})
	})
}

// other is the replica of another member.
type other struct {
	peers Peers
	node  kv.NodeID
}

func (o other) sums(ctx context.Context, q *wire.TreeSumsRequest) (wire.TreeSumsReply, error) {
	return await(ctx, func(deadline time.Time, done func(wire.TreeSumsReply, error)) {
		o.peers.TreeSums(o.node, q, deadline, done)
	})
}

func (o other) list(ctx context.Context, q *wire.TreeListRequest) (wire.TreeListReply, error) {
	return await(ctx, func(deadline time.Time, done func(wire.TreeListReply, error)) {
		o.peers.TreeList(o.node, q, deadline, done)
	})
}

func (o other) read(ctx context.Context, q *wire.ReadRequest) (wire.ReadReply, error) {
	return await(ctx, func(deadline time.Time, done func(wire.ReadReply, error)) {
		o.peers.Read(o.node, q, deadline, done)
	})
}

func (o other) store(ctx context.Context, q *wire.StoreRequest) (wire.StoreReply, error) {
	return await(ctx, func(deadline time.Time, done func(wire.StoreReply, error)) {
		o.peers.Store(o.node, q, deadline, done)
	})
}

// await makes a call and waits for its end, or that of ctx, which has a deadline. The call
// ends by that deadline as well, whoever waits for it.
func await[R any](
	ctx context.Context, call func(deadline time.Time, done func(R, error)),
) (R, error) {
	type end struct {
		reply R
		err   error
	}
	ended := make(chan end, 1) // done is called once: it never waits
	deadline, _ := ctx.Deadline()
	call(deadline, func(reply R, err error) { ended <- end{reply, err} })
	select {
	case e := <-ended:
		return e.reply, e.err
	case <-ctx.Done():
		var none R
		return none, fmt.Errorf("%w: %w", errSilent, context.Cause(ctx))
	}
}

// side is one of the two replicas of an exchange, and what it has stated of itself.
type side struct {
	replicaSide
	name     string
	slot     uint8
	instance kv.Instance
}

// tree addresses a question about the side's tree.
func (s *session) tree(ctx context.Context, of *side) wire.TreeTarget {
	return wire.TreeTarget{
		Partition: s.partition, Placement: s.placement, Instance: of.instance,
		Shape: s.shape.ID(),
		// Who waits for his turn there says so in time: a call without an answer would count
		// against the member, for clients too.
		RemainingMS: max(1, remaining(ctx)/8*7),
	}
}

// target addresses a question about one key.
func (s *session) target(ctx context.Context, of *side, at *wire.TreePlace) wire.Target {
	return wire.Target{
		Bucket: at.Bucket, Partition: s.partition, Key: at.Key, Slot: of.slot,
		Placement: s.placement, Instance: of.instance, RemainingMS: remaining(ctx),
	}
}

// remaining is the time that a call has, as it travels.
func remaining(ctx context.Context) uint32 {
	deadline, _ := ctx.Deadline()
	return uint32(max(1, min(time.Until(deadline).Milliseconds(), 1<<31)))
}

// fit says why a side must not be compared, or repaired: only a confirmed owner of just this
// placement is, in the life of its store that the ring names (M4, M7).
func (s *session) fit(of *side, st *wire.Standing, code wire.ReplicaCode, detail string) error {
	switch {
	case code == wire.ReplicaNotComparable:
		return notComparable("%s: %s", of.name, detail)
	case st.Role != kv.RoleOwner:
		return notComparable("%s is %v: %s", of.name, st.Role, detail)
	case st.Placement != s.placement:
		return notComparable("%s is at placement %d, not %d", of.name, st.Placement, s.placement)
	case st.Instance != of.instance:
		return notComparable("%s is instance %d, not %d", of.name, st.Instance, of.instance)
	case !st.Confirmed:
		return notComparable("the start of %s is not confirmed", of.name)
	case code != wire.ReplicaOK:
		return fmt.Errorf("exchange: %s: code %d: %s", of.name, code, detail)
	}
	return nil
}
