// SPDX-License-Identifier: Apache-2.0

package state

import "github.com/dyno-kv/dyno/kv"

// appendMember appends a member without its last openings, which only snapshots have.
func appendMember(dst []byte, m *Member) []byte {
	dst = appendRingMember(dst, m.Member)
	dst = appendOpen(dst, m.Open)
	dst = appendBool(dst, m.Refused)
	dst = appendOpen(dst, m.RefusedOpen)
	dst = appendUint(dst, m.Raft)
	dst = appendUint(dst, m.RaftLast)
	dst = appendOpen(dst, m.RaftOpen)
	dst = appendBool(dst, m.RaftRefused)
	dst = appendRefill(dst, m.Refill)
	dst = appendUint(dst, m.Registered)
	dst = appendBool(dst, m.Left)
	dst = appendUint(dst, m.raftPrevious)
	dst = appendOpen(dst, m.raftFor)
	dst = appendUint(dst, m.instancePrevious)
	return appendOpen(dst, m.instanceFor)
}

// minMember is the least that a member takes in a snapshot.
const minMember = minRingMember + 5*minOpen + 8 + minRefill + 2

func (r *reader) member() *Member {
	return &Member{
		Member: r.ringMember(), Open: r.open(), Refused: r.bool(), RefusedOpen: r.open(),
		Raft: RaftID(r.uint()), RaftLast: RaftID(r.uint()), RaftOpen: r.open(),
		RaftRefused: r.bool(), Refill: r.refill(), Registered: r.uint(), Left: r.bool(),
		raftPrevious: RaftID(r.uint()), raftFor: r.open(),
		instancePrevious: kv.Instance(r.uint()), instanceFor: r.open(),
	}
}

// members reads the members of a snapshot.
func (r *reader) members(s *State) {
	n := r.count(minMember)
	s.members = make([]*Member, 0, n)
	s.byName = make(map[string]*Member, n)
	for len(s.members) < n && r.err == nil {
		m := r.member()
		m.accepted, m.refused = r.opens(), r.opens()
		if i := len(s.members); i > 0 && s.members[i-1].ID >= m.ID {
			r.fail("members are out of order")
		}
		s.members = append(s.members, m)
		s.byName[m.Name] = m
	}
	if len(s.byName) != len(s.members) {
		r.fail("two members have one name")
	}
}
