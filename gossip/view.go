// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// Status is what this node believes of another.
type Status uint8

const (
	// StatusUnknown: registered, and never heard of.
	StatusUnknown Status = 1 + iota
	// StatusAlive: it answers, or has not yet been silent for long enough.
	StatusAlive
	// StatusDown: it has been silent for too long, or left. (memberlist does not say
	// which; a node that left in order was draining before.)
	StatusDown
)

func (s Status) String() string {
	switch s {
	case StatusUnknown:
		return "unknown"
	case StatusAlive:
		return "alive"
	case StatusDown:
		return "down"
	default:
		return fmt.Sprintf("status(%d)", uint8(s))
	}
}

// Peer is a registered member, as the metadata group knows it.
type Peer struct {
	ID   kv.NodeID
	Name string
	// GossipAddr is host:port. A host name is resolved at each attempt.
	GossipAddr string
}

// Member is one line of a View.
type Member struct {
	Name string
	// Addr is where its gossip listens.
	Addr   string
	Status Status
	// Since is when this node came to believe Status.
	Since time.Time
	// Registered tells whether SetMembers named it.
	Registered bool
	// Meta is the last that it said of itself; only NodeID is set where Status is
	// StatusUnknown.
	Meta Meta
}

// Conflict is a name, or a node id, that two live processes claim. A copied data
// directory is the usual cause, and the danger is real: two processes with one
// identity mint the same dots (TRAPS C4, N3). Until Config.DetectionBound has
// passed it may also be a restart at another address.
type Conflict struct {
	Name string
	// Addr is the address of the claim that is honoured, OtherAddr of the other.
	Addr      string
	OtherAddr string
	// First and Last are when it was seen, Reports how often.
	First   time.Time
	Last    time.Time
	Reports uint64
}

// View is what this node believes at one moment. It is immutable: its slices are
// shared between all who asked.
type View struct {
	// Self is the name of this node.
	Self string
	// Members, this node included, in order of their names.
	Members []Member
	// Conflicts, in order of their names. Not empty: a person must look.
	Conflicts []Conflict

	alive map[kv.NodeID]Member
}

// Alive reports whether gossip believes that node runs. Where a node is
// registered, only the member of the registered name counts for it.
func (v View) Alive(node kv.NodeID) bool {
	_, ok := v.alive[node]
	return ok
}

// Find returns the live member that counts for node.
func (v View) Find(node kv.NodeID) (Member, bool) {
	m, ok := v.alive[node]
	return m, ok
}

// RingVersions returns the ring versions that live nodes say they hold.
func (v View) RingVersions() map[kv.NodeID]uint64 {
	versions := make(map[kv.NodeID]uint64, len(v.alive))
	for node, m := range v.alive {
		versions[node] = m.Meta.RingVersion
	}
	return versions
}

// Stats counts since Open.
type Stats struct {
	// MetaRefused: members refused because their meta or name is none of dyno.
	MetaRefused uint64
	// ForeignRefused: members refused because they are of another cluster.
	ForeignRefused uint64
	// RoomRefused: members refused because MaxMembers are known.
	RoomRefused uint64
	// Conflicts: reports of an identity that two processes claim.
	Conflicts uint64
	// StrayMessages: user messages, which no node of dyno sends.
	StrayMessages uint64
	// RejoinTried and RejoinDone: members that the re-join loop tried and reached.
	RejoinTried uint64
	RejoinDone  uint64
	// LogsDropped: lines of memberlist that the log's bound left out.
	LogsDropped uint64
}
