// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// MaxSlots is the largest number of slots of a partition that a round counts. It is
// a limit of the bit sets inside, far above any replication factor in use.
const MaxSlots = 16

// ErrSpec is returned, wrapped with the fault, for a Spec that no replies can
// satisfy. It is a mistake of the caller: client options are checked before.
var ErrSpec = errors.New("quorum: bad spec")

// Instances tells which life of a node's store is the present one, by the ring that
// the round counts with. Zero means that the node is not known: its replies never
// count.
type Instances interface {
	Instance(node kv.NodeID) kv.Instance
}

// Spec is what one round needs. The round borrows the slices and keeps only Slots;
// none may be modified while New runs, Slots not while the round is in use.
type Spec struct {
	// Slots are the partition's slots at Version. Between 1 and MaxSlots.
	Slots []kv.Slot
	// Version is the placement version that Slots were taken from and that every
	// request of the round is stamped with.
	Version kv.PlacementVersion
	// Instances gives the instance that each node's replies must state.
	Instances Instances

	// Fallbacks are the nodes that may hold hints, in preference order. Members of
	// Slots and repeated nodes are passed over. At most two for each slot and two more
	// are ever asked, those that seem alive first: where so many fail, more would only
	// add load. Leave it empty for fenced writes: fallbacks know no promises (TRAPS F8).
	Fallbacks []kv.NodeID
	// Self is the coordinating node; as member or fallback it is asked first. May be 0.
	Self kv.NodeID
	// Suspects are nodes that are believed to be down. It is an opinion: they are
	// asked last, as if late already, and their answers count as any other's.
	Suspects []kv.NodeID

	// Need is the effective r or w: max(r, pr) or max(w, pw). From 1 to len(Slots).
	Need int
	// NeedConfirmed is pr or pw: how many of Need must be confirmed owners. From 0 to
	// Need.
	NeedConfirmed int
	// Sloppy lets fallbacks count for Need, never for NeedConfirmed.
	Sloppy bool
	// Atomic asks for a read that may be written back: all of Need must be confirmed
	// owners, and 2*Need > len(Slots). Writes ignore it.
	Atomic bool
}

// MaxFallbacks is how many fallbacks a round of that many slots asks at most; a write
// that one of them coordinates may have that one beside them.
func MaxFallbacks(slots int) int { return 2*slots + 2 }

// validate returns the first fault of the spec, wrapped in ErrSpec.
func (s *Spec) validate() error {
	n := len(s.Slots)
	switch {
	case n == 0 || n > MaxSlots:
		return fmt.Errorf("%w: %d slots, must be 1 to %d", ErrSpec, n, MaxSlots)
	case s.Need < 1 || s.Need > n:
		return fmt.Errorf("%w: need %d of %d slots", ErrSpec, s.Need, n)
	case s.NeedConfirmed < 0 || s.NeedConfirmed > s.Need:
		return fmt.Errorf("%w: need %d confirmed among %d", ErrSpec, s.NeedConfirmed, s.Need)
	case s.Instances == nil:
		return fmt.Errorf("%w: no instances to check replies against", ErrSpec)
	}
	for i, slot := range s.Slots {
		moving := slot.Phase == kv.PhaseWriteBothReadOld || slot.Phase == kv.PhaseWriteBothReadNew
		known := moving || slot.Phase == kv.PhaseStable
		if !known || slot.Owner == 0 || moving != (slot.Next != 0) || slot.Next == slot.Owner {
			return fmt.Errorf("%w: slot %d is %d to %d, %v", ErrSpec, i, slot.Owner, slot.Next,
				slot.Phase)
		}
	}
	return nil
}

// rank is the order in which nodes are asked: the coordinator itself, nodes that
// seem alive, nodes that seem dead.
func (s *Spec) rank(node kv.NodeID) uint8 {
	if node == s.Self {
		return rankSelf
	}
	for _, suspect := range s.Suspects {
		if suspect == node {
			return rankSuspect
		}
	}
	return rankAlive
}

const (
	rankSelf uint8 = iota
	rankAlive
	rankSuspect
)
