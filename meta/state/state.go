// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// Version is the version of the group's commands that this release understands.
const Version = 1

// ErrGap is returned by Apply for an index that does not follow the last one.
var ErrGap = errors.New("state: the entries are not in order")

// State is what the group has decided.
type State struct {
	// index and term are those of the last applied entry.
	index, term uint64

	// Immutable after Found: what the cluster was begun with.
	cluster              ring.ClusterID
	replicas, partitions int
	expect               int

	version    uint32
	generation kv.Generation
	issued     issued

	// members are in order of their numbers. None is ever removed.
	members []*Member
	// placements has one entry for each partition; empty before formation.
	placements  []ring.Placement
	ringVersion uint64
	// buckets are in order of their names.
	buckets []kv.Bucket
	// plans are in order of their numbers.
	plans []Plan
	// epochs are the committed purge epochs by partition, rounds those of the last rounds
	// that began; empty before formation.
	// Invariant: epochs[p] <= rounds[p]
	epochs, rounds []kv.PurgeEpoch
	// answers are those of the last commands with request ids.
	answers answers
	locks   *locks.Table
	// viewIndex is that of the entry that changed the view last.
	viewIndex uint64

	// What follows is computed from the above, and not part of it.

	byName map[string]*Member
	// built is the ring as it is now; nil before formation and while it has to be built.
	built *ring.Ring
	view  *View
	// viewChanged: the entry that is being applied has changed the view.
	viewChanged bool
}

// issued are the highest counters of the identifiers that were given out. They go on
// rising through generations; only node numbers carry none.
type issued struct {
	node     uint32
	instance uint64
	raft     uint64
	plan     uint64
	bucket   uint32
}

// Index returns the index of the last applied entry, and Term its term.
func (s *State) Index() uint64 { return s.index }

// Term returns the term of the last applied entry.
func (s *State) Term() uint64 { return s.term }

// Cluster returns the id of the cluster.
func (s *State) Cluster() ring.ClusterID { return s.cluster }

// Generation returns the present generation of the group.
func (s *State) Generation() kv.Generation { return s.generation }

// CommandVersion returns the version of commands that every member understands.
func (s *State) CommandVersion() uint32 { return s.version }

// Formed reports whether there is a ring.
func (s *State) Formed() bool { return len(s.placements) > 0 }

// View returns the ring and the buckets as they are: the same view as long as they are.
func (s *State) View() *View { return s.view }

// Locks returns the table of sessions and locks, for reading.
func (s *State) Locks() *locks.Table { return s.locks }

// Members returns all members that were ever registered, in order of their numbers.
func (s *State) Members() []Member {
	members := make([]Member, len(s.members))
	for i, m := range s.members {
		members[i] = *m.clone()
	}
	return members
}

// Member returns the member of that number.
func (s *State) Member(id kv.NodeID) (Member, bool) {
	if m := s.member(id); m != nil {
		return *m.clone(), true
	}
	return Member{}, false
}

// MemberByName returns the member of that name.
func (s *State) MemberByName(name string) (Member, bool) {
	if m, ok := s.byName[name]; ok {
		return *m.clone(), true
	}
	return Member{}, false
}

// Plans returns the stored plans in order of their numbers.
func (s *State) Plans() []Plan {
	plans := make([]Plan, len(s.plans))
	for i, p := range s.plans {
		plans[i] = p.clone()
	}
	return plans
}

// PurgeEpoch returns the purge epoch of a partition that is committed, 0 where none is.
func (s *State) PurgeEpoch(partition uint16) kv.PurgeEpoch {
	if int(partition) >= len(s.epochs) {
		return 0
	}
	return s.epochs[partition]
}

// PurgeRound returns the epoch of the last purge round of a partition that began, 0 where
// none has. It may never be committed.
func (s *State) PurgeRound(partition uint16) kv.PurgeEpoch {
	if int(partition) >= len(s.rounds) {
		return 0
	}
	return s.rounds[partition]
}

// Hash returns the SHA-256 of the snapshot, by which members compare their copies.
func (s *State) Hash() [sha256.Size]byte { return sha256.Sum256(s.Snapshot(nil)) }

// Apply applies the entry that follows the last one. An entry without data (a new
// leader's first, a change of seats) counts as one without commands.
//
// After an error the caller stops: this copy can not follow the group.
func (s *State) Apply(index, term uint64, entry []byte) (Applied, error) {
	if index != s.index+1 || term < s.term {
		return Applied{}, fmt.Errorf("%w: entry %d of term %d after entry %d of term %d",
			ErrGap, index, term, s.index, s.term)
	}
	token, commands, err := DecodeEntry(entry)
	if err != nil {
		return Applied{}, fmt.Errorf("state: apply entry %d: %w", index, err)
	}
	s.index, s.term = index, term
	s.viewChanged = false
	applied := Applied{Token: token, Results: make([]Result, len(commands))}
	for i, c := range commands {
		at := locks.At{Index: index, Term: term, Generation: s.generation}
		applied.Results[i] = c.apply(s, at)
	}
	applied.Events = s.locks.TakeEvents()
	applied.View = s.viewChanged
	if s.viewChanged {
		s.viewIndex = index
		if err := s.makeView(); err != nil {
			return Applied{}, fmt.Errorf("state: apply entry %d: %w", index, err)
		}
	}
	return applied, nil
}
