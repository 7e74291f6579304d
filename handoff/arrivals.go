// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

const (
	// arrivalsFresh is how long an answer of all members is good.
	arrivalsFresh = 2 * time.Second
	// manyHints is from how many hints of one member on their delivery is waited for: fewer
	// are there before anybody could have compared.
	manyHints = 256
)

// Arrivals tells to whom many hints are being brought at present. Who is asks all members,
// for the hints of a key are kept by those that do not own it. Its methods may be called at
// the same time.
type Arrivals struct {
	ask func(context.Context) []NodeStatus // immutable

	// turn holds a token while somebody asks, or looks at what follows. Size 1.
	turn  chan struct{}
	asked time.Time // zero: never
	// at has, for each member that keeps hints, what it had delivered when it was asked last.
	at map[kv.NodeID]uint64
	// to are those to whom many hints were on their way then.
	to map[kv.NodeID]bool
}

// NewArrivals returns arrivals by what a syncer hears of all members.
func NewArrivals(s *Syncer) *Arrivals { return newArrivals(s.Status) }

func newArrivals(ask func(context.Context) []NodeStatus) *Arrivals {
	return &Arrivals{
		ask: ask, turn: make(chan struct{}, 1), at: make(map[kv.NodeID]uint64),
		to: make(map[kv.NodeID]bool),
	}
}

// Coming reports whether somebody brings a node so many hints that what it lacks is mostly
// among them. Hints that are kept and not delivered do not count. It may take as long as an
// answer of all members, and reports false where ctx ends first.
func (a *Arrivals) Coming(ctx context.Context, node kv.NodeID) bool {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return false
	}
	if a.asked.IsZero() || time.Since(a.asked) >= arrivalsFresh {
		a.take(a.ask(ctx))
		a.asked = time.Now()
	}
	return a.to[node]
}

// take takes in what all members say. One that was never asked is believed to deliver.
func (a *Arrivals) take(nodes []NodeStatus) {
	clear(a.to)
	for i := range nodes {
		n := &nodes[i]
		before, known := a.at[n.Node]
		delete(a.at, n.Node)
		if n.Err != nil {
			continue
		}
		for _, b := range n.Status.Backlog {
			if b.Hints+b.Markers < manyHints {
				continue
			}
			a.at[n.Node] = n.Status.Delivered
			if !known || n.Status.Delivered != before {
				a.to[b.Node] = true
			}
		}
	}
}
