// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/storage"
)

// Seat says where a member of the group listens, for one that does not know the group's
// state yet.
type Seat struct {
	Node kv.NodeID
	Peer string // HOST:PORT
}

// Config says who a member of the group is and how it behaves.
type Config struct {
	// Node is this member's number, and Cluster the cluster's id, as the group gave them.
	Node    kv.NodeID
	Cluster ring.ClusterID
	// Opens are the openings of this node's store since the last confirmed one, that one
	// included, oldest first: the identity of its raft state (ARCHITECTURE 8).
	Opens []kv.Open
	// Control keeps the raft log and the last view, durably. It is not closed.
	Control *storage.Control
	// Dial opens a connection to another member's peer port, and Hello introduces this one.
	Dial  rpc.Dialer
	Hello func(kv.NodeID) rpc.Hello
	// Address tells where a member listens now, fresher than the group's state: gossip
	// knows of a restart on another port first. "": not known. nil: nobody to ask.
	Address func(kv.NodeID) string
	// Alive tells whether a member seems to be up, as gossip sees it: only such a one is
	// given a seat. It is a hint.
	Alive func(kv.NodeID) bool
	// Known are members that the node has found otherwise, to be asked while nothing is known
	// of the group. nil: nobody to ask.
	Known func() []kv.NodeID
	// Seats are members to ask while nothing is known of the group: those whom the node
	// registered through.
	Seats []Seat
	// Rand draws pauses. Open takes it over.
	Rand *rand.Rand
	// Trace hears of locks that are granted and lost; nil: nobody does.
	Trace *trace.Tracer

	// Engine is how this member behaves as a seat.
	Engine EngineConfig
	// CallTimeout bounds a call to the group whose context has no deadline.
	CallTimeout time.Duration
	// TryTimeout bounds one try of such a call: so long a leader that is paused, or cut
	// off, holds up a call that another leader would answer. At least 100 ms.
	TryTimeout time.Duration
	// TailWait is how long a seat holds a tail's question that it has nothing new for, and
	// TailGrace how much longer the tail waits before it takes the seat for silent and asks
	// another one.
	TailWait, TailGrace time.Duration
	// RenewAtLeast is the shortest time for which renewals are gathered into a batch; else
	// it is a sixth of the shortest TTL among them. One whose caller has little time is not
	// kept that long.
	RenewAtLeast time.Duration
	// RenewWindow is how long the leader gathers batches for one confirmation.
	RenewWindow time.Duration
	// Parked is how many waits for locks this member keeps open.
	Parked int
}

// DefaultConfig leaves who the member is, and what it stands on, to be set.
func DefaultConfig() Config {
	return Config{
		Engine:       DefaultEngineConfig(),
		CallTimeout:  5 * time.Second, // that of a request of a client
		TryTimeout:   1500 * time.Millisecond,
		TailWait:     2 * time.Second,
		TailGrace:    time.Second,
		RenewAtLeast: 500 * time.Millisecond,
		RenewWindow:  50 * time.Millisecond,
		Parked:       maxParked,
	}
}

// Validate returns all that is wrong with c, joined.
func (c Config) Validate() error {
	errs := []error{c.Engine.Validate()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("meta: "+format, args...))
		}
	}
	check(c.Node != 0, "Node is 0; register the node first")
	check(c.Cluster != ring.ClusterID{}, "Cluster is not set")
	check(len(c.Opens) > 0, "Opens is empty; open the store first")
	check(c.Control != nil, "Control is nil")
	check(c.Dial != nil && c.Hello != nil, "Dial and Hello must be set")
	check(c.Alive != nil, "Alive is nil")
	check(c.Rand != nil, "Rand is nil")
	check(c.CallTimeout > 0, "CallTimeout is %v, must be positive", c.CallTimeout)
	check(c.TryTimeout >= 100*time.Millisecond,
		"TryTimeout is %v, must be at least 100ms", c.TryTimeout)
	check(c.TailWait > 0 && c.TailGrace > 0,
		"TailWait is %v and TailGrace %v, must be positive", c.TailWait, c.TailGrace)
	check(c.RenewAtLeast > 0 && c.RenewWindow > 0,
		"RenewAtLeast is %v and RenewWindow %v, must be positive", c.RenewAtLeast, c.RenewWindow)
	check(c.Parked > 0, "Parked is %d, must be positive", c.Parked)
	return errors.Join(errs...)
}
