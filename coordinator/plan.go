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
	standIns   int // fallbacks of the spec that seem alive
	// epoch is the highest purge epoch that a read has met.
	epoch kv.PurgeEpoch
}

// planFor finds the replicas of a key. need and owners are what the request asks for:
// r and pr, or w and pw. In a sloppy bucket fallbacks may stand in for owners.
func (c *Coordinator) planFor(bucket kv.Bucket, key []byte, need, owners kv.Level) (*plan, error) {
	current := c.cfg.Ring()
	if current == nil {
		return nil, notFormed()
	}
	hash := ring.Hash(current.HashSeed(), bucket.ID, key)
	partition := ring.PartitionOf(hash, current.Partitions())
	p, err := c.planAt(current, bucket, partition, key, need, owners)
	if err == nil && bucket.Sloppy && !bucket.Fenced { // fallbacks know no promises (TRAPS F8)
		c.nameFallbacks(p)
	}
	return p, err
}

// planAt is planFor where the partition is known, and without fallbacks.
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
		Need: needed, NeedConfirmed: confirmed,
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

// nameFallbacks lets the fallbacks of the preference list count for the request: as many
// that seem alive as a round may ask, and those that stand before the last of them. Who is
// alive is asked only where an owner seems down: else they are hardly ever needed.
func (c *Coordinator) nameFallbacks(p *plan) {
	limit := quorum.MaxFallbacks(len(p.spec.Slots))
	needed := len(p.spec.Suspects) > 0
	p.spec.Sloppy, p.spec.Fallbacks = true, p.preference.Fallbacks
	for i, node := range p.preference.Fallbacks {
		if needed && node != c.cfg.Node && !c.cfg.Alive(node) {
			p.spec.Suspects = append(p.spec.Suspects, node)
			continue
		}
		if p.standIns++; p.standIns == limit {
			p.spec.Fallbacks = p.preference.Fallbacks[:i+1]
			return
		}
	}
}

// strict leaves the fallbacks out again: of a request that they can not help.
func (p *plan) strict() {
	p.spec.Sloppy, p.spec.Fallbacks, p.standIns = false, nil, 0
}

// maxAsked is how many answers a read may ever be given.
func (p *plan) maxAsked() int {
	n := len(p.spec.Slots)
	return n + min(len(p.spec.Fallbacks), quorum.MaxFallbacks(n))
}

// maxSent is how many copies of a write may ever be sent: to both members of each slot,
// and for each slot a hint to every fallback, and to the one that coordinates.
func (p *plan) maxSent() int {
	n := len(p.spec.Slots)
	return 2*n + n*min(len(p.spec.Fallbacks)+1, quorum.MaxFallbacks(n)+1)
}

// hopeless returns the UNAVAILABLE error where so many nodes seem down that the request
// could not succeed: owners, and the fallbacks that may stand in for them, but not where
// owners are what it needs (TRAPS S2). It is asked before anything is sent: outcome none.
func (p *plan) hopeless(members func(kv.Slot) (first, second kv.NodeID)) error {
	owners := 0
	for _, slot := range p.spec.Slots {
		first, second := members(slot)
		if !p.suspects(first) && !p.suspects(second) {
			owners++
		}
	}
	alive := min(owners+p.standIns, len(p.spec.Slots))
	if alive >= p.spec.Need && owners >= p.spec.NeedConfirmed {
		return nil
	}
	need, of := p.spec.Need, "replicas"
	if owners < p.spec.NeedConfirmed {
		need, alive, of = p.spec.NeedConfirmed, owners, "owners"
	}
	var down []string
	for _, node := range p.spec.Suspects {
		down = append(down, p.name(node))
	}
	return &Error{
		Code: wire.CodeUnavailable,
		Text: fmt.Sprintf("need %d of %d %s, %d alive; not reachable: %s",
			need, len(p.spec.Slots), of, alive, strings.Join(down, ", ")),
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
