// SPDX-License-Identifier: Apache-2.0

package kv

import "fmt"

// Phase is where a slot stands in the three-phase move of TRAPS 5.4.
// A slot that does not move is PhaseStable and has no Next.
type Phase uint8

const (
	// PhaseStable: one member, Owner. (P0 and P3 of the protocol.)
	PhaseStable Phase = 1 + iota
	// PhaseWriteBothReadOld: writes need both members, reads use Owner. (P1, and
	// the mirror image that an abort passes through.)
	PhaseWriteBothReadOld
	// PhaseWriteBothReadNew: writes need both members, reads use Next. (P2.)
	PhaseWriteBothReadNew
)

func (p Phase) String() string {
	switch p {
	case PhaseStable:
		return "stable"
	case PhaseWriteBothReadOld:
		return "write-both/read-old"
	case PhaseWriteBothReadNew:
		return "write-both/read-new"
	default:
		return fmt.Sprintf("phase(%d)", uint8(p))
	}
}

// Slot is one of the replicas of a partition. While it moves it has two members.
//
// Invariant: Owner != 0; Next != 0 exactly where Phase is not PhaseStable;
// Next != Owner.
type Slot struct {
	Owner NodeID
	Next  NodeID
	Phase Phase
}

// Stable returns a slot at rest on node.
func Stable(node NodeID) Slot { return Slot{Owner: node, Phase: PhaseStable} }

// Writers returns the members that a write must reach for the slot to count:
// one, or both while the slot moves (second is 0 where there is only one).
func (s Slot) Writers() (first, second NodeID) {
	if s.Phase == PhaseStable {
		return s.Owner, 0
	}
	return s.Owner, s.Next
}

// Reader returns the member whose answer counts for the slot in a read.
func (s Slot) Reader() NodeID {
	if s.Phase == PhaseWriteBothReadNew {
		return s.Next
	}
	return s.Owner
}

// Has reports whether node is a member of the slot.
func (s Slot) Has(node NodeID) bool {
	return node != 0 && (s.Owner == node || s.Next == node)
}

// MayCoordinate reports whether node, as a member of the slot, holds the history
// that minting needs: a copy that is still being filled does not, and one that is
// leaving must not once reads have moved on (TRAPS T15).
func (s Slot) MayCoordinate(node NodeID) bool { return node != 0 && s.Reader() == node }

// Role is what a replica says of itself in each reply; quorums count these
// statements, never the plan (TRAPS S2).
type Role uint8

const (
	// RoleOwner: a member of a slot of the partition, with its data.
	RoleOwner Role = 1 + iota
	// RoleFallback: holds hints for owners that could not be reached.
	RoleFallback
	// RoleNotReady: an owner whose store is being filled, restored or repaired, or
	// is refused. It never answers not-found.
	RoleNotReady
	// RoleNotOwner: not a member, by the ring that it knows.
	RoleNotOwner
)

func (r Role) String() string {
	switch r {
	case RoleOwner:
		return "owner"
	case RoleFallback:
		return "fallback"
	case RoleNotReady:
		return "not_ready"
	case RoleNotOwner:
		return "not_owner"
	default:
		return fmt.Sprintf("role(%d)", uint8(r))
	}
}

// Class tells a client's write, which every replica checks against its promises,
// from data that is copied between replicas, which promises never gate (TRAPS F3).
type Class uint8

const (
	// ClassClientWrite is a write that a client asked for.
	ClassClientWrite Class = 1 + iota
	// ClassReplicated is a hint, a repair or a transfer: data acknowledged earlier.
	ClassReplicated
)

func (c Class) String() string {
	switch c {
	case ClassClientWrite:
		return "client-write"
	case ClassReplicated:
		return "replicated"
	default:
		return fmt.Sprintf("class(%d)", uint8(c))
	}
}
