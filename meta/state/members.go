// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

const (
	// MaxMembers bounds the members that were ever registered, so that a mistaken loop can
	// not fill the state. A ring of that many is far above what gossip was tried with.
	MaxMembers = 4096
	// maxOpens is how many openings of each kind are remembered of a member, to know late
	// copies of OpenStore: a process is started that often within a forwarded command's
	// life by nobody.
	maxOpens = 32
)

// member returns the member of that number, or nil. Numbers rise in the list.
func (s *State) member(id kv.NodeID) *Member {
	i, found := slices.BinarySearchFunc(s.members, id,
		func(m *Member, id kv.NodeID) int { return int(m.ID) - int(id) })
	if !found {
		return nil
	}
	return s.members[i]
}

// about is the answer of a command about a member.
func about(m *Member) Result { return Result{Code: CodeOK, Member: m.clone()} }

// absent is the answer of a command about a member that is not there; m is what there was
// of it, nil for nothing.
func absent(id kv.NodeID, m *Member) Result {
	if m != nil {
		return refuse(CodeRefused, "node %q has left the cluster", m.Name)
	}
	return refuse(CodeNotFound, "no member has the number %d", id)
}

func (c RegisterMember) apply(s *State, at locks.At) Result {
	if fault := c.fault(); fault != "" {
		return refuse(CodeInvalid, "%s", fault)
	}
	switch {
	case c.Expect != 0 && int(c.Expect) != s.expect:
		return refuse(CodeRefused, "the cluster expects %d nodes, this node was told %d; start "+
			"it with --expect %d or without", s.expect, c.Expect, s.expect)
	case c.Replicas != 0 && int(c.Replicas) != s.replicas:
		return refuse(CodeRefused, "the cluster keeps %d replicas, this node was told %d; start "+
			"it with --replicas %d or without", s.replicas, c.Replicas, s.replicas)
	}
	m, known := s.byName[c.Name]
	switch {
	case !known:
		return c.register(s, at)
	case m.Left:
		return refuse(CodeRefused, "node %q has left the cluster; choose another name", c.Name)
	case m.Open == kv.Open{}:
		m.Zone, m.Weight = c.Zone, c.Weight
		m.move(c.Addresses)
	}
	return about(m)
}

// register gives the node a number and its store an instance.
func (c RegisterMember) register(s *State, at locks.At) Result {
	if len(s.members) >= MaxMembers || s.issued.node >= maxNodes {
		return refuse(CodeExhausted, "%d members were registered, and node numbers up to %d "+
			"issued: there is no room for another", len(s.members), s.issued.node)
	}
	instance, err := kv.MakeID[kv.Instance](s.generation, s.issued.instance+1)
	if err != nil {
		return refuse(CodeExhausted, "no instance is left: %v", err)
	}
	s.issued.node++
	s.issued.instance++
	m := &Member{
		Member: ring.Member{
			ID: kv.NodeID(s.issued.node), Name: c.Name, Zone: c.Zone, Weight: c.Weight,
			Instance: instance,
		},
		Registered: at.Index,
	}
	m.move(c.Addresses)
	s.members = append(s.members, m)
	s.byName[m.Name] = m
	s.touchForming()
	return about(m)
}

func (c OpenStore) apply(s *State, _ locks.At) Result {
	m := s.member(c.Node)
	switch {
	case m == nil || m.Left:
		return absent(c.Node, m)
	case slices.Contains(c.Opens, kv.Open{}):
		return refuse(CodeInvalid, "an opening has number and nonce 0: that is none")
	}
	if c.Addresses.Peer != "" {
		if fault := faultOf(c.Addresses); fault != "" {
			return refuse(CodeInvalid, "%s", fault)
		}
	}
	verdict := kv.JudgeOpens(m.Open, c.Opens)
	if len(c.Opens) > 0 {
		c.remember(s, m, verdict)
	}
	result := about(m)
	result.Verdict = verdict
	return result
}

// remember keeps what an opening that is new tells of its store.
func (c OpenStore) remember(s *State, m *Member, verdict kv.Verdict) {
	newest := c.Opens[len(c.Opens)-1]
	if slices.Contains(m.accepted, newest) || slices.Contains(m.refused, newest) {
		return
	}
	if m.Raft != 0 {
		m.judgeRaft(c.Opens)
	}
	if verdict != kv.VerdictConfirmed {
		m.Refused, m.RefusedOpen = true, newest
		m.refused = keep(m.refused, newest)
		return
	}
	first := m.Open == kv.Open{}
	m.Open, m.Refused = newest, false
	for _, o := range c.Opens {
		m.accepted = keep(m.accepted, o)
	}
	moved := c.Addresses.Peer != "" && m.move(c.Addresses)
	switch {
	case first:
		s.touchForming()
		s.touchRing()
	case moved:
		s.touchRing()
	}
}

// judgeRaft judges the raft state that lies in the same directory.
func (m *Member) judgeRaft(opens []kv.Open) {
	if kv.JudgeOpens(m.RaftOpen, opens) == kv.VerdictConfirmed {
		m.RaftOpen, m.RaftRefused = opens[len(opens)-1], false
	} else {
		m.RaftRefused = true
	}
}

// keep adds an opening to the last ones.
func keep(opens []kv.Open, o kv.Open) []kv.Open {
	if slices.Contains(opens, o) {
		return opens
	}
	if len(opens) == maxOpens {
		opens = opens[1:]
	}
	return append(opens, o)
}

func (c AssignRaft) apply(s *State, _ locks.At) Result {
	m := s.member(c.Node)
	switch {
	case m == nil || m.Left:
		return absent(c.Node, m)
	case c.For == kv.Open{}:
		return refuse(CodeInvalid, "the opening that the raft state is for is missing")
	case m.Raft != 0 && c.Previous == m.raftPrevious && c.For == m.raftFor:
		return about(m)
	case c.Previous != m.RaftLast:
		return refuse(CodeRefused, "the last raft id of node %q is %v, not %v", m.Name,
			m.RaftLast, c.Previous)
	case c.For != m.Open && (!m.Refused || c.For != m.RefusedOpen):
		return refuse(CodeRefused, "node %q has been opened again, or that opening was never "+
			"shown to the group", m.Name)
	}
	return c.assign(s, m)
}

// assign gives the member the next raft id.
func (c AssignRaft) assign(s *State, m *Member) Result {
	id, err := makeRaftID(m.ID, s.generation, s.issued.raft+1)
	if err != nil {
		return refuse(CodeExhausted, "no raft id is left: %v", err)
	}
	s.issued.raft++
	m.raftPrevious, m.raftFor = c.Previous, c.For
	m.Raft, m.RaftLast = id, id
	m.RaftOpen, m.RaftRefused = c.For, false
	return about(m)
}

func (c DropRaft) apply(s *State, _ locks.At) Result {
	m := s.member(c.Raft.Node())
	switch {
	case m == nil || c.Raft == 0:
		return refuse(CodeNotFound, "no member has had the raft id %v", c.Raft)
	case m.Raft == c.Raft:
		m.Raft, m.RaftOpen, m.RaftRefused = 0, kv.Open{}, false
	}
	return about(m)
}
