// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// RaftID names one life of one member's raft state: the node's number in bits 48 to 63,
// the group's generation in bits 43 to 47, and a counter of the whole group below. It is
// never 0 and never issued twice, so that votes of a raft state that was lost can not be
// taken for those of the one in its place.
type RaftID uint64

const (
	raftNodeShift       = 48
	raftGenerationShift = 43
	maxRaftCounter      = 1<<raftGenerationShift - 1
)

// makeRaftID returns kv.ErrExhausted where the counter does not fit.
func makeRaftID(node kv.NodeID, g kv.Generation, counter uint64) (RaftID, error) {
	if g > kv.MaxGeneration || counter > maxRaftCounter {
		return 0, fmt.Errorf("%w: raft generation %d, counter %d", kv.ErrExhausted, g, counter)
	}
	return RaftID(uint64(node)<<raftNodeShift | uint64(g)<<raftGenerationShift | counter), nil
}

// Node returns the member that the id belongs to.
func (r RaftID) Node() kv.NodeID { return kv.NodeID(r >> raftNodeShift) }

// String writes the id as people can tell it from others: node, generation, counter.
func (r RaftID) String() string {
	generation := uint64(r) >> raftGenerationShift & uint64(kv.MaxGeneration)
	return fmt.Sprintf("%d.%d.%d", r.Node(), generation, r.counter())
}

func (r RaftID) counter() uint64 { return uint64(r) & maxRaftCounter }

// Addresses are where a member is reached, HOST:PORT each. Peer is always there; an empty
// one means that the member does not listen there.
type Addresses struct {
	Client, Peer, Gossip, Admin string
}

// Member is a registered node: what the ring says of it, and what the group knows of its
// store and of its raft state.
type Member struct {
	ring.Member
	// Open is the newest opening of its store that the group has accepted; zero before the
	// first. From its first accepted opening on a member is one of the ring, once there is
	// a ring.
	Open kv.Open
	// Refused: the last opening that was judged was refused, because a copy, an older state
	// or another directory showed up. An accepted opening clears it. RefusedOpen is the
	// newest opening that was ever refused.
	Refused     bool
	RefusedOpen kv.Open
	// Raft is the id of the member's raft state; 0: it has no seat. RaftLast is the last id
	// that it was ever given.
	Raft, RaftLast RaftID
	// RaftOpen is the newest opening of the store that holds the raft state of that id, by
	// the rule of kv.JudgeOpens. Of a refused store with a new raft id it moves on while
	// Open stands still. RaftRefused: the last opening that was judged does not follow it.
	// Peers take no raft messages of it; if nobody else answers under that id, the member
	// needs a new one.
	RaftOpen    kv.Open
	RaftRefused bool
	// Registered is the index of the entry that registered the member.
	Registered uint64
	// Refill is that of its store; the zero Refill where it is whole.
	Refill ring.Refill
	// Left: the member is gone for ever. (Nothing sets it in this version.)
	Left bool

	// raftPrevious and raftFor are the arguments of the AssignRaft that gave RaftLast, by
	// which a retry is known.
	raftPrevious RaftID
	raftFor      kv.Open
	// instancePrevious and instanceFor are those of the NewInstance that gave Instance.
	instancePrevious kv.Instance
	instanceFor      kv.Open
	// accepted and refused are the last openings of each kind, oldest first, so that a late
	// copy of an OpenStore is not taken for a store that was rolled back.
	accepted, refused []kv.Open
}

// clone returns a copy that shares nothing that may change.
func (m *Member) clone() *Member {
	c := *m
	c.accepted, c.refused = nil, nil // nobody outside can see them
	c.Refill.Without = slices.Clone(m.Refill.Without)
	return &c
}

// Addresses returns the member's addresses.
func (m *Member) Addresses() Addresses {
	return Addresses{Client: m.Client, Peer: m.Peer, Gossip: m.Gossip, Admin: m.Admin}
}

// move sets the member's addresses and reports whether they are others.
func (m *Member) move(to Addresses) bool {
	if m.Addresses() == to {
		return false
	}
	m.Client, m.Peer, m.Gossip, m.Admin = to.Client, to.Peer, to.Gossip, to.Admin
	return true
}

// opened reports whether the group has ever accepted the member's store, so that it can
// be one of the ring.
func (m *Member) opened() bool { return m.Open != kv.Open{} && !m.Left }
