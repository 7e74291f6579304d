// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

func (c PurgeEpoch) apply(s *State, at locks.At) Result {
	r := s.once(c.Request, c, at.Index)
	if r.Code == CodeOK {
		r.Epoch = s.PurgeRound(c.Partition)
	} else {
		r.Epoch = s.PurgeEpoch(c.Partition)
	}
	return r
}

func (c PurgeEpoch) carryOut(s *State, _ uint64) (Result, uint64) {
	if r := s.mayPurge(c.Partition, c.Placement); r.Code != CodeOK {
		return r, 0
	}
	if now := s.epochs[c.Partition]; c.After != now {
		return refuse(CodeRefused, "the purge epoch of partition %d is %d, not %d; begin the "+
			"round anew", c.Partition, now, c.After), 0
	}
	_, counter := kv.SplitID(s.rounds[c.Partition])
	next, err := kv.MakeID[kv.PurgeEpoch](s.generation, counter+1)
	if err != nil {
		return refuse(CodeExhausted, "no purge epoch is left: %v", err), 0
	}
	s.rounds[c.Partition] = next
	return Result{Code: CodeOK}, uint64(next)
}

// again answers a round that may be over: then it must not be mistaken for the present one.
func (c PurgeEpoch) again(s *State, id uint64) Result {
	if now := s.PurgeRound(c.Partition); now != kv.PurgeEpoch(id) {
		return refuse(CodeRefused, "the purge round %d of partition %d is over, another one has "+
			"begun, %d", id, c.Partition, now)
	}
	return Result{Code: CodeOK}
}

func (c PurgeCommit) apply(s *State, _ locks.At) Result {
	r := s.mayPurge(c.Partition, c.Placement)
	now := s.PurgeEpoch(c.Partition)
	switch {
	case r.Code != CodeOK:
	case c.Epoch == now && now != 0:
	case c.Epoch != s.rounds[c.Partition] || c.Epoch == 0:
		r = refuse(CodeRefused, "the purge round %d of partition %d is over, the last one is %d",
			c.Epoch, c.Partition, s.rounds[c.Partition])
	default:
		s.epochs[c.Partition], now = c.Epoch, c.Epoch
	}
	r.Epoch = now
	return r
}

// mayPurge says why there can be no purge round of a partition, if so.
func (s *State) mayPurge(partition uint16, placement kv.PlacementVersion) Result {
	switch {
	case !s.Formed():
		return refuse(CodeNotReady, "there is no ring yet")
	case int(partition) >= len(s.epochs):
		return refuse(CodeInvalid, "there is no partition %d, only %d of them", partition,
			len(s.epochs))
	}
	now := s.placements[partition]
	if now.Version != placement {
		return refuse(CodeRefused, "the placement of partition %d is of version %d, not %d; "+
			"begin the round anew", partition, now.Version, placement)
	}
	if name, filling := s.fillingOwner(partition); filling {
		return refuse(CodeRefused, "the store of node %q, an owner of partition %d, is being "+
			"filled; begin a round when it is whole", name, partition)
	}
	for _, slot := range now.Slots {
		if slot.Phase != kv.PhaseStable {
			return refuse(CodeRefused, "a slot of partition %d is moving; begin a round when it "+
				"is at rest", partition)
		}
	}
	return Result{Code: CodeOK}
}
