// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// Round names one purge round of one partition. The group issues its epoch when the round
// begins, and commits it when all owners have confirmed; a round that began later has a
// higher one, and takes the place of those before it that were not committed.
type Round struct {
	Partition uint16
	// Placement is the partition's version, at which all of its slots were at rest (G7).
	Placement kv.PlacementVersion
	// After is the epoch that was committed when the round began.
	After kv.PurgeEpoch
	Epoch kv.PurgeEpoch
}

// Fits reports whether a node that knows this placement may take part in the round.
func (r Round) Fits(version kv.PlacementVersion, slots []kv.Slot) bool {
	for _, slot := range slots {
		if slot.Phase != kv.PhaseStable {
			return false // whoever fills the slot may have copied what the tombstone covers
		}
	}
	return version == r.Placement
}

// Candidate reports whether a purge round may be begun over an object: it is Deleted, and
// none of its tombstones was written within the grace. The grace is for operators and for
// requests that are under way; nothing depends on the clock being right (G1).
func Candidate(o *kv.Object, now time.Time, grace time.Duration) bool {
	return Deleted(o) && o.LatestStamp().UnixMilli() <= now.Add(-grace).UnixMilli()
}

// Deleted reports whether a purge round may take an object away: it has nothing but
// tombstones. The fence of an object would go with it, so that fenced ones stay (TRAPS F7).
func Deleted(o *kv.Object) bool {
	return o.Fence == 0 && o.Deleted()
}

// Expired reports whether all that there is to see of an object has expired, longer than the
// margin ago, so that a tombstone may take its place. Reads hide a version as soon as it
// expires; that it goes later costs room and nothing else, while a clock that is ahead would
// take away what others still show: the margin is by how much clocks may be wrong
// (docs/adr/0024). What lives beside it would keep the tombstone in its place: it is let
// alone.
func Expired(o *kv.Object, now time.Time, margin time.Duration) bool {
	if o.Fence != 0 {
		return false
	}
	before, found := now.Add(-margin).UnixMilli(), false
	for i := range o.Versions {
		v := &o.Versions[i]
		if v.Kind == kv.KindValue && !v.Expired(before) {
			return false
		}
		found = found || v.Kind == kv.KindValue
	}
	return found
}

// Purges is where a node stands in the purge rounds of one partition. All of it is durable.
// The zero Purges is that of a partition in which nothing was ever purged.
//
// Invariant: Floor <= Drained <= Adopted. None of them ever falls.
type Purges struct {
	// Recorded is the newest round in which this node confirmed, as an owner, what it held.
	Recorded kv.PurgeEpoch
	// Adopted is the epoch of what this node reads from now on. A node that is no owner
	// refuses what is older.
	Adopted kv.PurgeEpoch
	// Drained is the epoch that this node's hints are at least of: what it has kept from
	// before has been delivered.
	Drained kv.PurgeEpoch
	// Floor is below what this node, as an owner, refuses.
	Floor kv.PurgeEpoch
}

// Verdict is what a node answers to a step of a round.
type Verdict uint8

const (
	// VerdictDone: the step had been taken before.
	VerdictDone Verdict = 1 + iota
	// VerdictSync: the step is taken as soon as the new Purges are durable.
	VerdictSync
	// VerdictOver: there is a newer round.
	VerdictOver
	// VerdictBehind: this node lacks an earlier step.
	VerdictBehind
	// VerdictMissed: this node's store has not confirmed the round, though all owners had to:
	// it has lost something since, and may hold what was deleted.
	VerdictMissed
)

func (v Verdict) String() string {
	switch v {
	case VerdictDone:
		return "done"
	case VerdictSync:
		return "sync"
	case VerdictOver:
		return "over"
	case VerdictBehind:
		return "behind"
	case VerdictMissed:
		return "missed"
	default:
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
}

// Taken reports whether the step is taken once the new Purges are durable.
func (v Verdict) Taken() bool { return v == VerdictDone || v == VerdictSync }

// Record is the first step, of an owner that has told what it holds durably of the round's
// candidates. It must have adopted what was committed before: else it may lack what was
// purged then (I8).
func (p Purges) Record(r Round) (Purges, Verdict) {
	switch {
	case r.Epoch < p.Recorded || r.Epoch <= p.Adopted:
		return p, VerdictOver
	case r.Epoch == p.Recorded:
		return p, VerdictDone
	case p.Adopted < r.After:
		return p, VerdictBehind
	}
	p.Recorded = r.Epoch
	return p, VerdictSync
}

// Adopt is the second step, of every node: the group has committed an epoch. An owner
// adopts it only if it took part in that round (I8).
func (p Purges) Adopt(epoch kv.PurgeEpoch, owner bool) (Purges, Verdict) {
	switch {
	case epoch <= p.Adopted:
		return p, VerdictDone
	case owner && p.Recorded != epoch:
		return p, VerdictMissed
	}
	p.Adopted = epoch
	return p, VerdictSync
}

// Drain is the third step, of every node, when the hints that it held when it adopted the
// epoch, or when it started after that, have been delivered.
func (p Purges) Drain(epoch kv.PurgeEpoch) (Purges, Verdict) {
	switch {
	case epoch <= p.Drained:
		return p, VerdictDone
	case epoch < p.Adopted:
		return p, VerdictOver
	case epoch > p.Adopted:
		return p, VerdictBehind
	}
	p.Drained = epoch
	return p, VerdictSync
}

// Raise is the last step, of an owner, when every node has drained: it refuses what is
// older from now on. Once that is durable it may delete what the round names (I9).
func (p Purges) Raise(epoch kv.PurgeEpoch) (Purges, Verdict) {
	switch {
	case epoch < p.Adopted:
		return p, VerdictOver
	case epoch > p.Drained:
		return p, VerdictBehind
	case epoch == p.Floor:
		return p, VerdictDone
	}
	p.Floor = epoch
	return p, VerdictSync
}

// Given is where an owner stands to which somebody who had adopted the epoch has copied the
// whole partition, after all that it held before was removed.
func (p Purges) Given(epoch kv.PurgeEpoch) Purges {
	epoch = max(epoch, p.Adopted)
	return Purges{Recorded: max(epoch, p.Recorded), Adopted: epoch, Drained: epoch, Floor: epoch}
}

// Accepts reports whether data may be stored whose read was of that epoch (I7).
func (p Purges) Accepts(stamp kv.PurgeEpoch, owner bool) bool {
	if owner {
		return stamp >= p.Floor // until then it holds the tombstones that keep order
	}
	return stamp >= p.Adopted
}

// Stamp is the epoch that hints of this node are sent with. It is that of all of them:
// Drained rises only when the older ones are gone.
func (p Purges) Stamp() kv.PurgeEpoch { return p.Drained }
