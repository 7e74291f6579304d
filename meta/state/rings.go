// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// touchForming notes that the view of a cluster that is not formed has changed.
func (s *State) touchForming() {
	if !s.Formed() {
		s.viewChanged = true
	}
}

// touchRing gives the ring its next version, since it, the addresses of its members, or
// the buckets have changed (I6). Before formation there is none.
func (s *State) touchRing() {
	if !s.Formed() {
		return
	}
	s.ringVersion = nextVersion(s.generation, s.ringVersion)
	s.built = nil
	s.viewChanged = true
}

// nextVersion is the ring version after v. It carries the generation, so that a recovered
// group's rings are newer than those that its lost entries made. A counter of 48 bits does
// not run out.
func nextVersion(g kv.Generation, v uint64) uint64 {
	_, counter := kv.SplitID(v)
	version, err := kv.MakeID[uint64](g, counter+1)
	if err != nil {
		return v
	}
	return version
}

// opened counts the members whose stores were accepted.
func (s *State) opened() int {
	n := 0
	for _, m := range s.members {
		if m.opened() {
			n++
		}
	}
	return n
}

// ringMembers are the members of the ring: those whose stores were accepted, once.
func (s *State) ringMembers() []ring.Member {
	members := make([]ring.Member, 0, len(s.members))
	for _, m := range s.members {
		if m.opened() {
			members = append(members, m.Member)
		}
	}
	return members
}

// ring returns the ring as it is now, also in the middle of an entry; nil before
// formation.
func (s *State) ring() (*ring.Ring, error) {
	if !s.Formed() || s.built != nil {
		return s.built, nil
	}
	built, err := ring.New(ring.State{
		Cluster: s.cluster, Version: s.ringVersion, Replicas: s.replicas,
		Members: s.ringMembers(), Placements: s.placements,
	})
	if err != nil {
		return nil, fmt.Errorf("state: the group has made a ring that is none: %w", err)
	}
	s.built = built
	return built, nil
}

// makeView makes the view that the state has now.
func (s *State) makeView() error {
	r, err := s.ring()
	if err != nil {
		return err
	}
	v := &View{
		Cluster: s.cluster, Version: s.ringVersion, Index: s.viewIndex,
		Generation: s.generation, Replicas: s.replicas, Partitions: s.partitions,
		Expect: s.expect, Ring: r, Buckets: slices.Clone(s.buckets),
		BucketsIssued: s.issued.bucket,
	}
	if r == nil {
		v.Registered, v.Opened = len(s.members), s.opened()
	}
	s.view = v
	return nil
}

func (c FormRing) apply(s *State, _ locks.At) Result {
	if s.Formed() {
		return Result{Code: CodeOK}
	}
	if n := s.opened(); n < s.expect {
		return refuse(CodeNotReady, "%d nodes needed, %d registered, %d of them opened",
			s.expect, len(s.members), n)
	}
	first, err := kv.MakeID[kv.PlacementVersion](s.generation, 1)
	if err != nil {
		return refuse(CodeExhausted, "no placement version is left: %v", err)
	}
	formed, err := ring.Form(s.cluster, s.replicas, s.partitions, s.ringMembers(), first)
	if err != nil {
		return refuse(CodeRefused, "no ring can be made of the members: %v", err)
	}
	s.placements = formed.Placements
	s.epochs = make([]kv.PurgeEpoch, s.partitions)
	s.rounds = make([]kv.PurgeEpoch, s.partitions)
	_, counter := kv.SplitBucketID(kv.DefaultBucket)
	s.issued.bucket = max(s.issued.bucket, counter)
	s.buckets = []kv.Bucket{kv.BuiltinBucket(s.replicas)}
	s.touchRing()
	return Result{Code: CodeOK}
}

func (c GenerationBump) apply(s *State, _ locks.At) Result {
	switch {
	case c.Previous > s.generation:
		return refuse(CodeRefused, "the generation is %d, not %d", s.generation, c.Previous)
	case c.Previous < s.generation:
		return Result{Code: CodeOK, Generation: s.generation}
	case s.generation == kv.MaxGeneration:
		return refuse(CodeExhausted, "generation %d is the last; make a new cluster and copy "+
			"the data", s.generation)
	case s.issued.node > maxNodes-recoveryGap:
		return refuse(CodeExhausted, "node numbers up to %d were issued: too few are left for "+
			"another recovery", s.issued.node)
	}
	s.generation++
	s.issued.node += recoveryGap
	s.touchForming()
	s.touchRing()
	return Result{Code: CodeOK, Generation: s.generation}
}

func (c VersionSet) apply(s *State, _ locks.At) Result {
	s.version = max(s.version, c.Version)
	return Result{Code: CodeOK}
}

const (
	// maxNodes is the highest node number.
	maxNodes = 1<<16 - 1
	// recoveryGap is how many node numbers a recovery skips: more than the lost end of a
	// log has registered.
	recoveryGap = 1024
)
