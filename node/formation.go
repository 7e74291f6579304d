// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"net"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

var (
	// ErrTwin refuses to run where another process runs as this node.
	ErrTwin = errors.New("node: another process runs as this node")
	// ErrNameTaken refuses an empty directory under a name whose store has held data.
	ErrNameTaken = errors.New("node: the name belongs to a member that has stored data")
	// ErrOnlyCopy refuses to remove what a refused directory holds where no other owner is
	// intact.
	ErrOnlyCopy = errors.New("node: what this directory holds may be the only copy")
	// ErrRejoinAlone refuses to found a cluster where an operator says that a store is lost.
	ErrRejoinAlone = errors.New("node: a lost store is filled from members that are left")
)

// Formation says how a node comes into its cluster, and how the others reach it.
type Formation struct {
	// Zone and Weight are the member's; a weight of 0 means 1.
	Zone   string
	Weight uint32
	// Addresses are told to others. Client, Peer and Gossip are needed. A node without Admin,
	// here or in Listen, has no admin port.
	Addresses wire.Addresses
	// Listen is where the ports are bound, where that is not Addresses: all interfaces, say.
	Listen wire.Addresses
	// Join are client addresses of members. With any a node registers through them and
	// never forms a cluster; without, one with an empty directory forms one.
	Join []string
	// Bootstrap forms a cluster in an empty directory although Join is set.
	Bootstrap bool
	// Expect is how many members the first ring waits for, Replicas n, Partitions Q. The
	// first node decides; on others 0 means whatever that said, and anything else must be
	// equal. 0 on the first means 3, min(3, Expect) and 128.
	Expect, Replicas, Partitions int
}

const (
	defaultExpect   = 3
	defaultReplicas = 3
)

// sizes are the numbers of a new cluster, defaults filled in.
func (f *Formation) sizes() (expect, replicas, partitions int) {
	expect, replicas, partitions = f.Expect, f.Replicas, f.Partitions
	if expect == 0 {
		expect = defaultExpect
	}
	if replicas == 0 {
		replicas = min(defaultReplicas, expect)
	}
	if partitions == 0 {
		partitions = ring.DefaultPartitions
	}
	return expect, replicas, partitions
}

// member is this node as it describes itself.
func (f *Formation) member(name string) ring.Member {
	return ring.Member{
		Name: name, Zone: f.Zone, Weight: max(1, f.Weight), Client: f.Addresses.Client,
		Peer: f.Addresses.Peer, Gossip: f.Addresses.Gossip, Admin: f.Addresses.Admin,
	}
}

// listen is where the ports are bound.
func (f *Formation) listen() wire.Addresses {
	l := f.Listen
	for _, a := range []struct {
		to   *string
		from string
	}{
		{&l.Client, f.Addresses.Client}, {&l.Peer, f.Addresses.Peer},
		{&l.Gossip, f.Addresses.Gossip}, {&l.Admin, f.Addresses.Admin},
	} {
		if *a.to == "" {
			*a.to = a.from
		}
	}
	return l
}

// founds reports whether an empty directory makes this node the first of a new cluster.
func (f *Formation) founds() bool { return len(f.Join) == 0 || f.Bootstrap }

// validate returns every fault of f and of a node's name, joined.
func (f *Formation) validate(name string) error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("node: "+format, args...))
	}
	if !kv.ValidMemberName(name) {
		bad("name %q: must be 1 to %d of [A-Za-z0-9._-]", name, kv.MaxMemberName)
	}
	for _, a := range []struct{ name, addr string }{
		{"client", f.Addresses.Client}, {"peer", f.Addresses.Peer}, {"gossip", f.Addresses.Gossip},
	} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			bad("%s address %q: must be HOST:PORT", a.name, a.addr)
		}
	}
	if f.Addresses.Admin != "" {
		if _, _, err := net.SplitHostPort(f.Addresses.Admin); err != nil {
			bad("admin address %q: must be HOST:PORT", f.Addresses.Admin)
		}
	}
	for _, addr := range f.Join {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad("address %q of a node to join: must be HOST:PORT", addr)
		}
	}
	if f.Expect < 0 || f.Replicas < 0 || f.Replicas > ring.MaxReplicas {
		bad("%d nodes expected with %d replicas: must not be negative, replicas at most %d",
			f.Expect, f.Replicas, ring.MaxReplicas)
	}
	if expect, replicas, _ := f.sizes(); f.founds() && replicas > expect {
		bad("%d replicas on %d nodes: each must be on a node of its own; expect more nodes, or "+
			"take fewer replicas", replicas, expect)
	}
	if f.Partitions < 0 || f.Partitions&(f.Partitions-1) != 0 || f.Partitions > ring.MaxPartitions {
		bad("%d partitions: must be a power of two, at most %d", f.Partitions, ring.MaxPartitions)
	}
	return errors.Join(faults...)
}
