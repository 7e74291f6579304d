// SPDX-License-Identifier: Apache-2.0

package state

import (
	"time"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// drawer draws commands over few names, numbers and openings, so that they meet. What the
// state says now makes many of them fit.
type drawer struct {
	t *rapid.T
	s *State
	// opens are what the store of each member knows of its openings.
	opens map[kv.NodeID][]kv.Open
	nonce uint64
	// requests counts the request ids that were drawn.
	requests int
}

func newDrawer(t *rapid.T, s *State) *drawer {
	return &drawer{
		t: t, s: s, requests: 1,
		opens: map[kv.NodeID][]kv.Open{1: {openingOf(1, 1)}},
	}
}

func (d *drawer) number(label string, least, most int) int {
	return rapid.IntRange(least, most).Draw(d.t, label)
}

// seldom is true once in n times.
func (d *drawer) seldom(label string, n int) bool { return d.number(label, 1, n) == 1 }

// command draws any command.
func (d *drawer) command() Command {
	switch n := d.number("command", 0, 29); {
	case n < 2:
		return d.registration()
	case n < 6:
		return d.open()
	case n < 8:
		return d.assign()
	case n < 9:
		return d.drop()
	case n < 11:
		return FormRing{}
	case n < 18:
		return d.ringCommand(n)
	default:
		return d.lockCommand()
	}
}

func (d *drawer) registration() Command {
	c := registration(d.number("name", 1, 6))
	c.Weight = uint32(d.number("weight", 0, 3))
	c.Addresses = addressesOf(d.number("address", 1, 8))
	if d.seldom("expect", 4) {
		c.Expect = uint32(d.number("expect", 2, 3))
	}
	return c
}

func (d *drawer) node() kv.NodeID {
	return kv.NodeID(d.number("node", 1, max(2, len(d.s.members))))
}

// open opens a member's store as it is, or as it was before, or another one.
func (d *drawer) open() Command {
	id := d.node()
	known := d.opens[id]
	if d.seldom("rolled-back", 5) && len(known) > 0 {
		known = known[:d.number("opens", 0, len(known)-1)]
	}
	if !d.seldom("again", 4) {
		d.nonce++
		next := kv.Open{Seq: uint64(len(known) + 1), Nonce: d.nonce}
		known = append(known[:len(known):len(known)], next)
	}
	d.opens[id] = known
	shown := known[d.number("confirmed", 0, len(known)):]
	return OpenStore{Node: id, Opens: shown, Addresses: addressesOf(d.number("address", 1, 8))}
}

func (d *drawer) assign() Command {
	m, _ := d.s.Member(d.node())
	c := AssignRaft{Node: m.ID, For: m.Open, Previous: m.RaftLast}
	if m.Refused && d.seldom("refused", 2) {
		c.For = m.RefusedOpen
	}
	if d.seldom("previous", 4) {
		c.Previous = m.raftPrevious
	}
	return c
}

func (d *drawer) drop() Command {
	m, _ := d.s.Member(d.node())
	return DropRaft{Raft: m.RaftLast}
}

func (d *drawer) request() kv.RequestID {
	if !d.seldom("another's request", 8) {
		d.requests++
	}
	return requestOf(d.requests)
}

// placement is the version of a partition's placement, if there is one.
func (d *drawer) placement(p uint16) kv.PlacementVersion {
	if int(p) >= len(d.s.placements) {
		return 0
	}
	return d.s.placements[p].Version
}

// ringCommand draws what needs a ring.
func (d *drawer) ringCommand(n int) Command {
	switch n {
	case 11:
		return d.propose()
	case 12:
		c := AbortPlan{Plan: uint64(d.number("plan", 0, 3))}
		if len(d.s.plans) > 0 {
			c.Plan = d.s.plans[0].ID
		}
		return c
	case 13:
		p := uint16(d.number("partition", 0, 4))
		placement, round := d.placement(p), d.s.PurgeRound(p)
		if round != 0 && d.seldom("commit", 2) {
			return PurgeCommit{Partition: p, Placement: placement, Epoch: round}
		}
		return PurgeEpoch{
			Request: d.request(), Partition: p, Placement: placement, After: d.s.PurgeEpoch(p),
		}
	case 14:
		if d.seldom("bump", 3) {
			return GenerationBump{Previous: kv.Generation(d.number("generation", 0, 2))}
		}
		return d.refillCommand()
	default:
		return d.bucketCommand()
	}
}

// refillCommand is one of the commands of a refill; the last one tells what may be true.
func (d *drawer) refillCommand() Command {
	m, _ := d.s.Member(d.node())
	switch d.number("refill", 0, 3) {
	case 0:
		return AcceptLoss{Node: m.ID, Instance: m.Instance, Without: []kv.NodeID{d.node()}}
	case 1:
		c := FinishRefill{Node: m.ID, Instance: m.Instance, Open: m.Open,
			Fence: ring.Newest(d.s.placements, m.ID)}
		for _, other := range d.s.members[:d.number("sources", 0, len(d.s.members))] {
			c.Sources = append(c.Sources, ring.Source{Node: other.ID, Instance: other.Instance})
		}
		return c
	default:
		return NewInstance{Node: m.ID, Previous: m.Instance, For: m.Open}
	}
}

func (d *drawer) propose() Command {
	c := ProposePlan{Request: d.request()}
	for range d.number("moves", 0, 2) {
		m := ring.Move{
			Partition: uint16(d.number("partition", 0, 4)), Slot: d.number("slot", 0, 2),
			From: d.node(), To: d.node(),
		}
		if int(m.Partition) < len(d.s.placements) && m.Slot < d.s.replicas {
			m.From = d.s.placements[m.Partition].Slots[m.Slot].Owner
		}
		c.Moves = append(c.Moves, m)
	}
	return c
}

func (d *drawer) bucketCommand() Command {
	name := rapid.SampledFrom([]string{"a", "b", "c", kv.DefaultBucketName}).Draw(d.t, "bucket")
	levels := []kv.Level{kv.LevelUnset, kv.LevelOne, kv.LevelAll, kv.LevelZero, 2, 9}
	level := rapid.SampledFrom(levels).Draw(d.t, "level")
	ttl := int64(d.number("ttl", -1, 5))
	switch d.number("bucket command", 0, 2) {
	case 0:
		return BucketCreate{Request: d.request(), Bucket: kv.Bucket{
			Name: name, N: uint8(d.number("n", 0, 3)), R: level, TTL: ttl, Sloppy: true,
		}}
	case 1:
		return BucketUpdate{Request: d.request(), Name: name, W: level, SetTTL: true, TTL: ttl}
	default:
		return BucketDelete{Request: d.request(), Name: name}
	}
}

func (d *drawer) session() locks.SessionID {
	return locks.SessionID{0: 0x5e, 15: byte(d.number("session", 1, 4))}
}

// lockCommand draws a command of package locks.
func (d *drawer) lockCommand() Command {
	session, holder := d.session(), uint64(d.number("holder", 1, 6))
	name := rapid.SampledFrom([]string{"x", "y"}).Draw(d.t, "lock")
	fence := d.s.Locks().Fence()
	switch d.number("lock command", 0, 12) {
	case 0, 1, 2:
		return SessionOpen{ID: session, Name: "s", Owner: 1, TTL: 15 * time.Second}
	case 3:
		return SessionClose{ID: session}
	case 4:
		return SessionExpire{IDs: []locks.SessionID{session}, Term: d.s.term}
	case 5:
		return Cancel{Session: session, Holder: holder, Name: name}
	case 6:
		return CancelWait{Session: session, Holder: holder, Name: name}
	case 7:
		return Release{Session: session, Holder: holder, Name: name, Fence: fence}
	case 8:
		return SetValue{
			Session: session, Holder: holder, Name: name, Fence: fence, Revision: 1,
			Value: []byte("value"),
		}
	case 9:
		return ForceRelease{Name: name, Fence: fence, By: "a test", Reason: "a reason"}
	default:
		return Acquire{
			Session: session, Holder: holder, Name: name,
			DoneThrough: uint64(d.number("done", 0, int(holder)-1)),
			Kind:        locks.Kind(d.number("kind", 1, 2)),
			Wait:        time.Duration(d.number("wait", 0, 2)) * time.Minute, Value: []byte("mine"),
		}
	}
}
