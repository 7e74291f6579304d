// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// FoundingIndex and FoundingTerm are the place in the log of a state that Found made: a
// new group begins with a snapshot of it.
const (
	FoundingIndex = 1
	FoundingTerm  = 1
)

// MaxExpect is the most nodes that a first ring can wait for.
const MaxExpect = 1024

// ErrFounding is returned by Found for a cluster that can not be. The error names every
// fault.
var ErrFounding = errors.New("state: no such cluster can be founded")

// Founding is what a new cluster begins with.
type Founding struct {
	// Cluster is drawn at random.
	Cluster ring.ClusterID
	// Replicas is 1 to Expect and to ring.MaxReplicas, Partitions a power of two up to
	// ring.MaxPartitions.
	Replicas, Partitions int
	// Expect is how many nodes the first ring waits for, 1 to MaxExpect.
	Expect int
	// First is the first member, by the rules of RegisterMember. It becomes node 1 and has
	// the only seat.
	First RegisterMember
	// Open is the opening of its store that is to hold the group's log. The group accepts
	// the store only through OpenStore, like any other.
	Open kv.Open
}

// Found returns the state of a new cluster with one registered member.
func Found(f Founding) (*State, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	s := &State{
		index: FoundingIndex, term: FoundingTerm, cluster: f.Cluster, replicas: f.Replicas,
		partitions: f.Partitions, expect: f.Expect, version: Version, locks: locks.New(),
		byName: make(map[string]*Member), viewIndex: FoundingIndex,
	}
	r := f.First.apply(s, locks.At{Index: FoundingIndex, Term: FoundingTerm})
	if r.Code != CodeOK {
		return nil, fmt.Errorf("%w: %s", ErrFounding, r.Detail)
	}
	m := s.members[0]
	r = AssignRaft{Node: m.ID, For: f.Open}.assign(s, m)
	if r.Code != CodeOK {
		return nil, fmt.Errorf("%w: %s", ErrFounding, r.Detail)
	}
	return s, s.makeView()
}

func (f *Founding) validate() error {
	var errs []error
	bad := func(why string, args ...any) { errs = append(errs, fmt.Errorf(why, args...)) }
	if f.Cluster.IsZero() {
		bad("the cluster id must not be zero")
	}
	if f.Expect < 1 || f.Expect > MaxExpect {
		bad("expect must be 1 to %d, not %d", MaxExpect, f.Expect)
	}
	if most := min(f.Expect, ring.MaxReplicas); f.Replicas < 1 || f.Replicas > most {
		bad("replicas must be 1 to %d (at most expect), not %d", most, f.Replicas)
	}
	p := f.Partitions
	if p < 1 || p > ring.MaxPartitions || p&(p-1) != 0 {
		bad("partitions must be a power of two, 1 to %d, not %d", ring.MaxPartitions, p)
	}
	if f.Open == (kv.Open{}) {
		bad("the opening of the first member's store is missing")
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrFounding, errors.Join(errs...))
}
