// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/gossip"
	"github.com/dyno-kv/dyno/handoff"
	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/server/admin"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/transfer"
)

// Group is what a node needs of the metadata group. The data path never waits for it:
// Ring and Buckets answer from memory.
type Group interface {
	// Ring is the newest ring that was committed, as far as this node has heard; nil
	// before formation.
	Ring() *ring.Ring
	// Buckets are all buckets, in order of their names.
	Buckets() []kv.Bucket
	// LastOpen is the newest opening of a member's store that the group has accepted;
	// the zero Open where it knows none. An error says that it could not be asked.
	LastOpen(ctx context.Context, node kv.NodeID) (kv.Open, error)
	// ConfirmOpen judges the openings of a member's store (kv.JudgeOpens) and, where
	// it accepts them, remembers the newest, and tells which instance of the store it is; 0
	// where it does not know of any.
	ConfirmOpen(ctx context.Context, node kv.NodeID, opens []kv.Open) (
		kv.Verdict, kv.Instance, error)
	// Watch returns a channel of capacity 1 that is poked when Ring or Buckets changed, until
	// stop is called.
	Watch() (changed <-chan struct{}, stop func())
	// Accepted is the newest opening of a member's store that the group has accepted, as
	// far as this node has heard; the zero Open where it knows none.
	Accepted(node kv.NodeID) kv.Open
	// Missing says, for people, what formation waits for.
	Missing() string
}

// Config is all that a node is made of.
type Config struct {
	// Name is this member's; the group's ring has its number, instance and addresses.
	Name string
	// Dir is the data directory.
	Dir string
	// Form says how the node comes into its cluster, whose metadata group it is a part of,
	// and Meta how it behaves there; who it is and what it stands on is filled in.
	Form Formation
	Meta meta.Config
	// Group stands in for the metadata group, in tests of what stands on it; Form and Meta
	// are not read then. nil in a product build.
	Group Group
	// Control stops and starts nodes of a `dyno dev` cluster; nil elsewhere.
	Control server.Control

	// Listen and Dial open the sockets of the client, the peer and the admin port.
	Listen func(ctx context.Context, addr string) (net.Listener, error)
	Dial   rpc.Dialer
	// GossipTransport opens what carries gossip at the member's address; nil means UDP and
	// TCP.
	GossipTransport func(addr string) (gossip.Transport, error)
	// OpenStores opens the engines below Dir.
	OpenStores func(dir string, log *zap.Logger) (*Stores, error)

	// Now is the wall clock that becomes data.
	Now func() time.Time
	// Rand is the node's own source of chance, for jitter; owned by the node.
	Rand *rand.Rand
	// Random48 returns 48 bits from a cryptographic source, never 0; from the seeded
	// one under the test rig only.
	Random48 func() uint64
	// DrainTimeout bounds the end of each part when the node is told to stop.
	DrainTimeout time.Duration
	// ConfirmEvery is the pause between attempts to ask the group about this opening.
	ConfirmEvery time.Duration
	// ConfirmTimeout bounds each attempt. A store that was not new serves meanwhile only
	// once the first attempt is over.
	ConfirmTimeout time.Duration

	// Rejoin is an operator's word: where the group refuses this directory, the store that
	// the node had is lost, and what the directory holds of it is removed (docs/adr/0022).
	// Nothing is served before the group has judged.
	Rejoin bool
	// RejoinTimeout bounds one try to begin the new life.
	RejoinTimeout time.Duration
	// Transfer says how a store that was lost is filled; who it is is filled in.
	Transfer transfer.Config

	// RefuseLost ends a node whose directory is empty where its name has stored data. Else
	// it stays, with a store that is not ready, and serves what needs no store.
	RefuseLost bool

	// PurgeGrace is how long tombstones are kept at least before a purge round may take them
	// away; less than twice the longest request counts as that. Below 0: for ever.
	PurgeGrace time.Duration

	// Points and Trace are for tests and checkers, and go to every part; nil in a product
	// build. Trace is of this member's number.
	Points *fail.Set
	Trace  *trace.Tracer

	// HintBytes bounds what this node keeps for others; 0: replica.DefaultHintBytes.
	HintBytes int64

	Storage     storage.Config
	Budget      budget.Config
	Handoff     handoff.Config
	Gossip      gossip.Config
	Liveness    gossip.LivenessConfig
	Coordinator coordinator.Config
	Server      server.Config
	Admin       admin.Config
	// Exchange is how replicas are compared; who the node is and what it stands on is filled
	// in.
	Exchange exchange.Config
}

// Stores are the engines of a node's directory.
type Stores struct {
	Data    storage.Engine
	Control *storage.Control
	// Boot is the id of the machine's present boot.
	Boot string
	// FreeBytes tells how much room the disk has; nil means that nobody watches it.
	FreeBytes func() (uint64, error)
	// Release gives the directory's lock back, after both engines were closed.
	Release func() error
}

// DefaultConfig has everything that does not depend on who the node is.
func DefaultConfig() Config {
	return Config{
		Now:          time.Now,
		DrainTimeout: 10 * time.Second,
		ConfirmEvery: time.Second, ConfirmTimeout: 2 * time.Second,
		Storage: storage.DefaultConfig(), Gossip: gossip.DefaultConfig(),
		Budget: budget.DefaultConfig(), Handoff: handoff.DefaultConfig(),
		Liveness: gossip.DefaultLivenessConfig(), Coordinator: coordinator.DefaultConfig(),
		Server: server.DefaultConfig(), Admin: admin.DefaultConfig(), Meta: meta.DefaultConfig(),
		PurgeGrace: DefaultPurgeGrace, RejoinTimeout: time.Minute,
		Transfer: transfer.DefaultConfig(),
		Exchange: exchange.DefaultConfig(),
	}
}

// Validate returns the faults of what only a node's own config has, joined; the parts
// check theirs when they are opened.
func (c Config) Validate() error {
	var faults []error
	if c.Name == "" || c.Dir == "" {
		faults = append(faults, errors.New("node: name and directory are needed"))
	}
	if c.Listen == nil || c.Dial == nil || c.OpenStores == nil {
		faults = append(faults, errors.New("node: sockets and engines are needed"))
	}
	if c.Group == nil {
		faults = append(faults, c.Form.validate(c.Name))
	}
	if c.Now == nil || c.Rand == nil || c.Random48 == nil {
		faults = append(faults, errors.New("node: clock and chance are needed"))
	}
	if c.DrainTimeout <= 0 || c.ConfirmEvery <= 0 || c.ConfirmTimeout <= 0 {
		faults = append(faults, fmt.Errorf("node: drain timeout %v, confirm pause %v and timeout %v "+
			"must be above 0", c.DrainTimeout, c.ConfirmEvery, c.ConfirmTimeout))
	}
	if err := c.checkInstruments(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
