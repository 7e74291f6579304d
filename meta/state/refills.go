// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

func (c NewInstance) apply(s *State, _ locks.At) Result {
	m := s.member(c.Node)
	switch {
	case m == nil || m.Left:
		return absent(c.Node, m)
	case c.For == kv.Open{}:
		return refuse(CodeInvalid, "the opening that the instance is for is missing")
	case c.Previous == m.instancePrevious && c.For == m.instanceFor:
		return about(m)
	case c.Previous != m.Instance:
		return refuse(CodeRefused, "the instance of node %q is %d, not %d", m.Name, m.Instance,
			c.Previous)
	case !m.opened():
		return refuse(CodeRefused, "the store of node %q was never accepted: it has nothing to "+
			"lose", m.Name)
	}
	instance, err := kv.MakeID[kv.Instance](s.generation, s.issued.instance+1)
	if err != nil {
		return refuse(CodeExhausted, "no instance is left: %v", err)
	}
	if r := s.beginRefill(m); r.Code != CodeOK {
		return r
	}
	s.issued.instance++
	m.instancePrevious, m.instanceFor = c.Previous, c.For
	m.Instance = instance
	// It may have been shown before, and refused. It is judged anew, with the raft state.
	m.refused = slices.DeleteFunc(m.refused, func(o kv.Open) bool { return o == c.For })
	m.Open, m.Refused = c.For, false
	s.touchRing()
	return about(m)
}

// beginRefill raises the placements of a member whose store begins a new life. What an
// operator has said of the life before is said no more.
func (s *State) beginRefill(m *Member) Result {
	_, counter := kv.SplitID(ring.NewestPlacement(s.placements))
	v, err := kv.MakeID[kv.PlacementVersion](s.generation, counter+1)
	if err != nil {
		return refuse(CodeExhausted, "no placement version is left: %v", err)
	}
	placements, refill, err := ring.BeginRefill(s.placements, m.ID, v)
	if err != nil {
		return refuse(CodeRefused, "%v", err)
	}
	s.placements, m.Refill = placements, refill
	return Result{Code: CodeOK}
}

func (c AcceptLoss) apply(s *State, _ locks.At) Result {
	m := s.member(c.Node)
	switch {
	case m == nil:
		return absent(c.Node, nil)
	case c.Instance != m.Instance:
		return refuse(CodeRefused, "the instance of node %q is %d, not %d", m.Name, m.Instance,
			c.Instance)
	case !m.Refill.Active():
		return about(m)
	}
	for _, id := range c.Without {
		if s.member(id) == nil {
			return absent(id, nil)
		}
	}
	m.Refill = m.Refill.Accept(c.Without)
	return about(m)
}

func (c FinishRefill) apply(s *State, _ locks.At) Result {
	m := s.member(c.Node)
	switch {
	case m == nil:
		return absent(c.Node, nil)
	case c.Instance != m.Instance:
		return refuse(CodeRefused, "the instance of node %q is %d, not %d", m.Name, m.Instance,
			c.Instance)
	case !m.Refill.Active():
		return about(m)
	case c.Open != m.Open:
		return refuse(CodeRefused, "node %q has been opened again since its store was full",
			m.Name)
	}
	err := m.Refill.Finish(s.placements, m.ID, ring.Store{Instance: m.Instance,
		OpenSeq: m.Open.Seq}, s.whole, ring.Filled{
		Store: ring.Store{Instance: c.Instance, OpenSeq: c.Open.Seq}, Fence: c.Fence,
		Sources: c.Sources,
	})
	if err != nil {
		return refuse(CodeRefused, "%v", err)
	}
	m.Refill = ring.Refill{}
	return about(m)
}

// whole tells of members' stores as a refill sees them (ring.Whole). One that the group
// has refused may be whole elsewhere: it is waited for, or given up by an operator.
func (s *State) whole(id kv.NodeID) (kv.Instance, bool) {
	m := s.member(id)
	if m == nil {
		return 0, false
	}
	return m.Instance, !m.Left && !m.Refill.Active()
}

// fillingOwner returns an owner of the partition whose store is being filled.
func (s *State) fillingOwner(partition uint16) (name string, filling bool) {
	for _, slot := range s.placements[partition].Slots {
		for _, id := range [...]kv.NodeID{slot.Owner, slot.Next} {
			if m := s.member(id); m != nil && m.Refill.Active() {
				return m.Name, true
			}
		}
	}
	return "", false
}

// MissingSources returns whom the refill of a member's store still has to fence and copy,
// where it has these: none where it is not being filled.
func (s *State) MissingSources(id kv.NodeID, sources []ring.Source) []kv.NodeID {
	m := s.member(id)
	if m == nil || !m.Refill.Active() {
		return nil
	}
	return m.Refill.Missing(s.placements, id, s.whole, sources)
}

// Alone returns the partitions of a member of which no other owner is whole.
func (s *State) Alone(id kv.NodeID) []uint16 {
	var others []ring.Source
	for _, m := range s.members {
		if life, whole := s.whole(m.ID); whole && m.ID != id {
			others = append(others, ring.Source{Node: m.ID, Instance: life})
		}
	}
	return ring.Refill{}.Orphaned(s.placements, id, others)
}

// Orphaned returns the partitions of a member, whose store is being filled, of which no other
// owner is among these sources.
func (s *State) Orphaned(id kv.NodeID, sources []ring.Source) []uint16 {
	m := s.member(id)
	if m == nil || !m.Refill.Active() {
		return nil
	}
	return m.Refill.Orphaned(s.placements, id, sources)
}
