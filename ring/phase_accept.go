// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// Verdict is whether a replica may serve a request for a partition's own data.
type Verdict uint8

const (
	// VerdictAccept: serve it.
	VerdictAccept Verdict = 1 + iota
	// VerdictBehind: the request knows a layout that the replica does not. Fetch the
	// group's log first, then ask again.
	VerdictBehind
	// VerdictFenced: the request is older than the fence that the replica has promised.
	VerdictFenced
	// VerdictNotOwner: the replica is in no slot of the partition.
	VerdictNotOwner
)

func (v Verdict) String() string {
	switch v {
	case VerdictAccept:
		return "accept"
	case VerdictBehind:
		return "behind"
	case VerdictFenced:
		return "fenced"
	case VerdictNotOwner:
		return "not-owner"
	default:
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
}

// Accept is the rule by which a replica, node, serves or refuses a read or a write that
// is stamped with a placement version (TRAPS 5.4 and T21). p is the newest placement of
// the partition that the node knows durably; fence is the highest version that it has
// acknowledged as a fence of the partition, 0 if none. A node keeps that fence for ever,
// also when it stays or comes back as an owner.
//
//   - Who does not know the request's version yet learns it first.
//   - Who is in no slot refuses everything.
//   - Who has promised a fence (a leaver, or a joiner whose move was aborted) refuses
//     whatever is older.
//   - Owners accept any version: whoever takes a stale request is a full member of the
//     present layout, so it counts for as many slots there.
//
// The check belongs under the partition's serialization together with what it guards,
// and once more before the reply leaves (TRAPS T4). Hints are no requests for a
// partition's own data: this is not the rule for them.
func Accept(p Placement, node kv.NodeID, fence, request kv.PlacementVersion) Verdict {
	if request > p.Version {
		return VerdictBehind
	}
	for _, slot := range p.Slots {
		if !slot.Has(node) {
			continue
		}
		if request < fence {
			return VerdictFenced
		}
		return VerdictAccept
	}
	return VerdictNotOwner
}

// Instance returns the present life of a member's store, by which its replies are told
// from those of an earlier life; 0 for a node that is no member.
func (r *Ring) Instance(node kv.NodeID) kv.Instance {
	i, ok := r.byID[node]
	if !ok {
		return 0
	}
	return r.state.Members[i].Instance
}
