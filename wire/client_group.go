// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Seat is what a member is in the metadata group. A client may meet seats of later
// releases.
type Seat string

// The seats of this release.
const (
	// SeatVoter: counts for majorities, and may lead.
	SeatVoter Seat = "voter"
	// SeatLearner: gets the log, and counts for nothing yet.
	SeatLearner Seat = "learner"
	// SeatClient: asks those with a seat.
	SeatClient Seat = "client"
)

// GroupMember is a member, as the metadata group has it.
type GroupMember struct {
	Member
	Weight   uint32
	Instance kv.Instance
	Seat     Seat
	Raft     uint64 // the id of its seat; 0: it has none
	// Match is how far in the group's log the member is, as the answering node knows;
	// 0: not known.
	Match uint64
	Left  bool // it is a member no longer
	// Refused: a copy, or an older state, of its directory showed up, or an empty one; also
	// where that has been filled again, until the member has got another seat.
	Refused bool
}

func (w *mapWriter) groupMembers(list []GroupMember) {
	w.array(fieldMembers, len(list))
	for i := range list {
		g := &list[i]
		m := beginMap(w.dst)
		m.member(&g.Member)
		m.uint(fieldWeight, uint64(g.Weight))
		m.uintIfSet(fieldInstance, uint64(g.Instance))
		m.str(fieldSeat, string(g.Seat))
		m.uintIfSet(fieldRaft, g.Raft)
		m.uintIfSet(fieldMatch, g.Match)
		m.boolIfSet(fieldLeft, g.Left)
		m.boolIfSet(fieldRefused, g.Refused)
		w.dst = m.end()
	}
}

func (r *reader) groupMembers() []GroupMember {
	return elements(r, r.array(minMember), (*reader).groupMember)
}

func (r *reader) groupMember() (m GroupMember) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldWeight:
			m.Weight = r.uint32()
		case fieldInstance:
			m.Instance = kv.Instance(r.uint64())
		case fieldSeat:
			m.Seat = Seat(r.text(MaxName))
		case fieldRaft:
			m.Raft = r.uint64()
		case fieldMatch:
			m.Match = r.uint64()
		case fieldLeft:
			m.Left = r.bool()
		case fieldRefused:
			m.Refused = r.bool()
		default:
			if !m.Member.read(r, f) {
				r.skip()
			}
		}
	}
	return m
}

// generation reads a generation of the group; later ones than there can be are refused.
func (r *reader) generation() kv.Generation {
	return kv.Generation(r.uint(uint64(kv.MaxGeneration)))
}

// MetaStatusResult answers meta.status: the metadata group as the answering node sees it.
type MetaStatusResult struct {
	Cluster    string // 32 hexadecimal digits
	Node       string // the name of the node that answers
	Role       Seat   // that it has itself
	Leader     string // the name of the leader; empty where none is known
	Term       uint64 // of the raft log
	Applied    uint64 // the last command that this node has applied
	Committed  uint64 // the last that it knows to be committed
	Generation kv.Generation
	Members    []GroupMember
	// Locks, Sessions and Waiters are how many there are.
	Locks, Sessions, Waiters uint64
}

// AppendMetaStatusResult appends the result of meta.status.
func AppendMetaStatusResult(dst []byte, a *MetaStatusResult) []byte {
	w := beginMap(dst)
	w.str(fieldCluster, a.Cluster)
	w.str(fieldNode, a.Node)
	w.str(fieldRole, string(a.Role))
	w.strIfSet(fieldLeader, a.Leader)
	w.uint(fieldTerm, a.Term)
	w.uint(fieldApplied, a.Applied)
	w.uint(fieldCommitted, a.Committed)
	w.uint(fieldGeneration, uint64(a.Generation))
	w.groupMembers(a.Members)
	w.uint(fieldLocks, a.Locks)
	w.uint(fieldSessions, a.Sessions)
	w.uint(fieldWaiters, a.Waiters)
	return w.end()
}

// DecodeMetaStatusResult reads the result of meta.status.
func DecodeMetaStatusResult(result []byte, into *MetaStatusResult) error {
	*into = MetaStatusResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldCluster:
			into.Cluster = r.text(MaxName)
		case fieldNode:
			into.Node = r.text(MaxName)
		case fieldRole:
			into.Role = Seat(r.text(MaxName))
		case fieldLeader:
			into.Leader = r.text(MaxName)
		case fieldTerm:
			into.Term = r.uint64()
		case fieldApplied:
			into.Applied = r.uint64()
		case fieldCommitted:
			into.Committed = r.uint64()
		case fieldGeneration:
			into.Generation = r.generation()
		case fieldMembers:
			into.Members = r.groupMembers()
		case fieldLocks:
			into.Locks = r.uint64()
		case fieldSessions:
			into.Sessions = r.uint64()
		case fieldWaiters:
			into.Waiters = r.uint64()
		default:
			r.skip()
		}
	}
	return r.finish()
}

// MetaMembersResult answers meta.members.
type MetaMembersResult struct {
	Members []GroupMember // in order of their numbers
	Index   uint64        // of the group's log, up to which this node had applied it
}

// AppendMetaMembersResult appends the result of meta.members.
func AppendMetaMembersResult(dst []byte, a *MetaMembersResult) []byte {
	w := beginMap(dst)
	w.groupMembers(a.Members)
	w.uint(fieldIndex, a.Index)
	return w.end()
}

// DecodeMetaMembersResult reads the result of meta.members.
func DecodeMetaMembersResult(result []byte, into *MetaMembersResult) error {
	*into = MetaMembersResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldMembers:
			into.Members = r.groupMembers()
		case fieldIndex:
			into.Index = r.uint64()
		default:
			r.skip()
		}
	}
	return r.finish()
}
