// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// plan is a request's view of the world, from beginning to end.
type plan struct {
	ring       *ring.Ring
	bucket     kv.BucketID
	key        []byte
	preference ring.Preference
	spec       quorum.Spec
}

// planFor finds the replicas of a key. need and owners are what the request asks for:
// r and pr, or w and pw.
func (c *Coordinator) planFor(bucket kv.Bucket, key []byte, need, owners kv.Level) (*plan, error) {
	current := c.cfg.Ring()
	if current == nil {
		return nil, notFormed()
	}
	hash := ring.Hash(current.HashSeed(), bucket.ID, key)
	return c.planAt(current, bucket, ring.PartitionOf(hash, current.Partitions()), key, need, owners)
}

// planAt is planFor where the partition is known.
func (c *Coordinator) planAt(
	current *ring.Ring, bucket kv.Bucket, partition uint16, key []byte, need, owners kv.Level,
) (*plan, error) {
	p := &plan{
		ring: current, bucket: bucket.ID, key: key, preference: current.Preference(partition),
	}
	n := len(p.preference.Slots)
	needed, err := need.Resolve(n)
	if err != nil {
		return nil, invalid(err)
	}
	confirmed, err := owners.Resolve(n)
	if err != nil {
		return nil, invalid(err)
	}
	needed = max(needed, confirmed)
	if needed < 1 {
		return nil, &Error{Code: wire.CodeInvalid, Text: "r and w must be at least 1"}
	}
	p.spec = quorum.Spec{
		Slots: p.preference.Slots, Version: p.preference.Version,
		Instances: current, Self: c.cfg.Node,
		// Fallbacks are named by nobody yet; where they are, they may count only if it says so.
		Need: needed, NeedConfirmed: confirmed, Sloppy: bucket.Sloppy,
	}
	for _, slot := range p.preference.Slots {
		for _, node := range [2]kv.NodeID{slot.Owner, slot.Next} {
			if node != 0 && node != c.cfg.Node && !c.cfg.Alive(node) {
				p.spec.Suspects = append(p.spec.Suspects, node)
			}
		}
	}
	return p, nil
}

// hopeless returns the UNAVAILABLE error where so many members seem down that the
// request could not succeed. It is asked before anything is sent: outcome none.
func (p *plan) hopeless(members func(kv.Slot) (first, second kv.NodeID)) error {
	alive := 0
	for _, slot := range p.spec.Slots {
		first, second := members(slot)
		if !p.suspects(first) && !p.suspects(second) {
			alive++
		}
	}
	if alive >= p.spec.Need {
		return nil
	}
	var down []string
	for _, node := range p.spec.Suspects {
		down = append(down, p.name(node))
	}
	return &Error{
		Code: wire.CodeUnavailable,
		Text: fmt.Sprintf("need %d of %d replicas, %d alive; not reachable: %s",
			p.spec.Need, len(p.spec.Slots), alive, strings.Join(down, ", ")),
	}
}

func (p *plan) suspects(node kv.NodeID) bool {
	for _, s := range p.spec.Suspects {
		if s == node {
			return true
		}
	}
	return false
}

// suspectSilent lets the next round, if there is one, ask those last who were asked in
// this one in vain: else each round would wait for them anew.
func (p *plan) suspectSilent(round *quorum.Read) {
	for e := range round.Entries() {
		switch e.Standing {
		case quorum.StandingLate, quorum.StandingFailed, quorum.StandingNotSent:
			if !p.suspects(e.Target.Node) {
				p.spec.Suspects = append(p.spec.Suspects, e.Target.Node)
			}
		}
	}
}

// name is how people know the node.
func (p *plan) name(node kv.NodeID) string {
	if member, known := p.ring.Member(node); known {
		return member.Name
	}
	return fmt.Sprintf("node %d", node)
}

// target addresses a message to a replica of the plan's key.
func (p *plan) target(t quorum.Target, remaining int64) wire.Target {
	member, _ := p.ring.Member(t.Node)
	return wire.Target{
		Bucket: p.bucket, Partition: p.preference.Partition, Key: p.key,
		Slot: uint8(max(0, t.Slot)), Placement: p.preference.Version, Instance: member.Instance,
		RemainingMS: clampMS(remaining),
	}
}

// clampMS is a number of milliseconds as it travels: at least one, for what is overdue is
// told by the call's own deadline.
func clampMS(ms int64) uint32 { return uint32(max(1, min(ms, 1<<31))) }

func remainingUntil(deadline time.Time) uint32 {
	return clampMS(time.Until(deadline).Milliseconds())
}

func writersOf(s kv.Slot) (first, second kv.NodeID) { return s.Writers() }

func readerOf(s kv.Slot) (first, second kv.NodeID) { return s.Reader(), 0 }
