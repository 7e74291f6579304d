// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// refusal is why a message can not be served, in the words of the peer protocol. The zero
// refusal: it can.
type refusal struct {
	code   wire.ReplicaCode
	detail string
}

func (f refusal) refused() bool { return f.code != 0 }

func refuse(format string, args ...any) refusal {
	return refusal{wire.ReplicaRefused, fmt.Sprintf(format, args...)}
}

// sentinel is what a client's write is refused with: what by its nature nobody serves any
// more, or otherwise.
func (f refusal) sentinel(otherwise error) error {
	if f.code == wire.ReplicaNoBucket {
		return ErrNoBucket
	}
	return otherwise
}

// admit is check for a message that comes in, which also must name the partition that
// its key is in: stored elsewhere nobody would look for it.
func (r *Replica) admit(t *wire.Target) (s wire.Standing, keyHash uint64, why refusal) {
	return r.admitAs(t, r.check)
}

// admitAs is admit in the role that check checks.
func (r *Replica) admitAs(
	t *wire.Target, check func(*wire.Target) (wire.Standing, refusal),
) (s wire.Standing, keyHash uint64, why refusal) {
	s, why = check(t)
	current := r.cfg.Ring()
	if why.refused() || current == nil {
		return s, 0, why
	}
	keyHash = ring.Hash(current.HashSeed(), t.Bucket, t.Key)
	if p := ring.PartitionOf(keyHash, current.Partitions()); p != t.Partition {
		why = refuse("the key is in partition %d, the request names %d", p, t.Partition)
	}
	return s, keyHash, why
}

// check is what this node states of itself for a message's partition, now (I5), and why
// it can not serve the message, if so. The same checks hold for local and
// remote callers (ARCHITECTURE 4).
//
// The epoch is that of before the work: data that a purge takes away while it is read
// must not carry the epoch of afterwards (TRAPS S11).
func (r *Replica) check(t *wire.Target) (wire.Standing, refusal) {
	return r.checkAs(t, r.status.Load(), false)
}

// checkCopy is check for a copy that this node is to keep as an owner. A store that is
// being filled takes it, and says that it is not ready: it counts for nothing (TRAPS T15).
func (r *Replica) checkCopy(t *wire.Target) (wire.Standing, refusal) {
	status := r.status.Load()
	return r.checkAs(t, status, status.Filling)
}

func (r *Replica) checkAs(t *wire.Target, status *Status, fill bool) (wire.Standing, refusal) {
	s := wire.Standing{
		Role: kv.RoleNotOwner, Instance: r.cfg.Instance, Confirmed: status.Confirmed,
	}
	current := r.cfg.Ring()
	if current == nil {
		s.Role = kv.RoleNotReady
		return s, refuse("the cluster has not been formed yet")
	}
	if int(t.Partition) >= len(r.parts) {
		return s, refuse("there is no partition %d", t.Partition)
	}
	part := &r.parts[t.Partition]
	s.Epoch = part.stand().Adopted
	placement := current.Placement(t.Partition)
	s.Placement = placement.Version
	fence := kv.PlacementVersion(part.fence.Load())
	verdict := ring.Accept(placement, r.cfg.Node, fence, t.Placement)
	if verdict == ring.VerdictNotOwner {
		return s, refuse("not an owner of the partition")
	}
	s.Role = kv.RoleOwner
	if !status.Ready {
		s.Role = kv.RoleNotReady
	}
	switch {
	case !status.Ready && !fill:
		return s, refuse("not ready: %s", status.Reason)
	case part.missed.Load():
		s.Role = kv.RoleNotReady
		return s, refuse(missedPurge)
	case t.Instance != r.cfg.Instance:
		return s, refuse("this store is instance %d, not %d", r.cfg.Instance, t.Instance)
	case verdict == ring.VerdictBehind:
		return s, refuse("this node knows placement %d, the request is of %d",
			placement.Version, t.Placement)
	case verdict == ring.VerdictFenced:
		return s, refuse("the request is of placement %d, which this node has left",
			t.Placement)
	case r.deleted(t.Bucket):
		return s, refusal{wire.ReplicaNoBucket, "the bucket has been deleted"}
	}
	return s, refusal{}
}
