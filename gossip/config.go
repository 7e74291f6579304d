// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/dyno-kv/dyno/kv"
)

const (
	// MaxName bounds a member's name in bytes. Name, cluster id, addresses and
	// meta travel together in one packet of at most 1,400 bytes; a broadcast that
	// does not fit is never sent and never dropped (TRAPS N6).
	MaxName = kv.MaxMemberName
	// MaxClusterID bounds the cluster id in bytes, for the same reason.
	MaxClusterID = 64
	// MaxMembers bounds what is remembered of others. A cluster has tens of nodes;
	// the bound keeps a flood of invented names out of memory.
	MaxMembers = 1024

	maxPort = 65535
)

// Config says who this node is, where it listens, and how patient it is.
// Start from DefaultConfig.
type Config struct {
	// Name is the node's stable name, 1 to MaxName of [A-Za-z0-9._-]. Two nodes of
	// one name at two addresses are a cloned identity and are reported (TRAPS N3).
	Name string
	// NodeID is the number that the metadata group issued; never 0.
	NodeID kv.NodeID
	// Instance is the life of this node's store.
	Instance kv.Instance
	// ClusterID, 1 to MaxClusterID printable ASCII bytes, keeps clusters apart:
	// packets of another id are not even decoded (TRAPS N8).
	ClusterID string

	// BindAddr is the IP to listen on, for packets and streams alike. Loopback
	// unless told otherwise: gossip without a Keyring is open to whoever can reach
	// it. Ignored where Transport is set.
	BindAddr string
	// BindPort is the port for packets and streams; 0 lets the kernel choose, and
	// Gossip.Addr tells what it chose. Ignored where Transport is set.
	BindPort int
	// AdvertiseAddr is the IP that others are told; empty means BindAddr (or the
	// private address of the machine where BindAddr is 0.0.0.0).
	AdvertiseAddr string
	// AdvertisePort is the port that others are told; 0 means BindPort.
	AdvertisePort int
	// ClientAddr and PeerAddr are told to the others in the meta: where clients and
	// peers reach this node. Printable ASCII; together they must fit in MaxMeta.
	ClientAddr string
	PeerAddr   string

	// Transport carries the packets and streams; nil means UDP and TCP. It belongs
	// to the Gossip from Open on, which shuts it down exactly once, also where Open
	// fails.
	Transport Transport
	// Keyring encrypts all gossip; nil means plain text. Encryption does not
	// authenticate nodes: registration with the metadata group does (TRAPS N7).
	Keyring *memberlist.Keyring
	// Rand draws the jitter of the re-join loop; never nil. It belongs to the Gossip
	// from Open on. (memberlist itself draws from the global source of math/rand.)
	Rand *rand.Rand

	// ProbeInterval is the time between two probes, and the time that a probed node
	// has to answer before it is suspected.
	ProbeInterval time.Duration
	// ProbeTimeout is when a probe tries other ways (other members, a stream)
	// because no packet came back; less than ProbeInterval.
	ProbeTimeout time.Duration
	// SuspicionMult times ProbeInterval is how long a suspected node has to object
	// before it counts as down, given enough other accusers or fewer than four nodes.
	SuspicionMult int
	// SuspicionMaxMult times that is the time where nobody else accuses it.
	SuspicionMaxMult int
	// AwarenessMult bounds how far a node whose own probes fail slows them down, to
	// spare others its suspicions (Lifeguard): up to this many ProbeIntervals each.
	AwarenessMult int
	// GossipInterval and GossipNodes: how often, and to how many, news is sent.
	GossipInterval time.Duration
	GossipNodes    int
	// RetransmitMult is how often each node passes a piece of news on, in a cluster of
	// up to nine nodes; the logarithm of the size times that in larger ones.
	RetransmitMult int
	// PushPullInterval is the time between full exchanges with a random member.
	PushPullInterval time.Duration
	// StreamTimeout bounds each dial, write and read of a full exchange.
	StreamTimeout time.Duration
	// DeadNodeReclaimTime is how long a node must be down before its name may come
	// back at another address. Who left in order may come back at once.
	DeadNodeReclaimTime time.Duration

	// RejoinInterval is the mean time between attempts to reach registered members
	// that are not alive, with a fifth of jitter. memberlist forgets the dead and
	// never heals a partition by itself.
	RejoinInterval time.Duration
	// RejoinFanout is how many of them one attempt tries, one after the other.
	RejoinFanout int
	// LoadInterval is how often a changed load is published at most: every change of
	// the meta costs a broadcast in the whole cluster.
	LoadInterval time.Duration
	// LeaveTimeout bounds the wait, in Close, for the farewell to go out.
	LeaveTimeout time.Duration
	// ConflictInterval is the least time between two logs of one cloned identity.
	ConflictInterval time.Duration
}

// DefaultConfig returns a configuration that lacks only the identity: Name,
// NodeID, Instance and ClusterID.
//
// The patience is chosen for two cores on which five nodes, their disks and a
// load generator compete (TRAPS N1): a node is suspected only after 2 s without any
// answer, by packet, through others, or by stream, and counts as down only after 8 s
// more in which it did not object. A process that stood still for less than about 10 s
// objects in time: the accusation waits in its socket. One whose packets were lost
// hears of it at the next probe only, some seconds later, so that being cut off is
// survived for about half as long. A crashed node is found in 10 to 16 s in a
// cluster of 3 to 7. That is slow on
// purpose: requests find a dead node in milliseconds, through [Liveness], and
// gossip is for those that nobody asks. Where several nodes vanish at once and too
// few are left to confirm, the suspicion lasts up to 24 s. A node that is cut off from
// all others blames itself first and probes up to four times slower, not eight times as
// memberlist has it: alone among five, it notices in about a minute.
//
// News is passed on twice as often as memberlist has it. An accused node objects once,
// on whatever it sends next, often several answers to the same node; with four copies
// in a cluster of five, 29 of 500 pauses of 8 s ended with one accuser that had missed
// it and called the node down, with eight none (tried).
func DefaultConfig() Config {
	return Config{
		BindAddr:            "127.0.0.1",
		BindPort:            4612,
		ProbeInterval:       2 * time.Second,
		ProbeTimeout:        time.Second,
		SuspicionMult:       4,
		SuspicionMaxMult:    3,
		AwarenessMult:       4,
		GossipInterval:      100 * time.Millisecond,
		GossipNodes:         3,
		RetransmitMult:      8,
		PushPullInterval:    15 * time.Second,
		StreamTimeout:       5 * time.Second,
		DeadNodeReclaimTime: 30 * time.Second,
		RejoinInterval:      5 * time.Second,
		RejoinFanout:        2,
		LoadInterval:        5 * time.Second,
		LeaveTimeout:        2 * time.Second,
		ConflictInterval:    time.Minute,
	}
}

// Validate returns all faults of c, joined, or nil.
func (c Config) Validate() error {
	return errors.Join(append(c.identityFaults(), c.timingFaults()...)...)
}

func (c Config) identityFaults() []error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("gossip: "+format, args...))
	}
	if !kv.ValidMemberName(c.Name) {
		bad("name %q must be 1 to %d of [A-Za-z0-9._-]", c.Name, MaxName)
	}
	if c.Rand == nil {
		bad("a source of chance is needed for the jitter of re-joins")
	}
	if c.NodeID == 0 {
		bad("node id must not be 0: register with the metadata group first")
	}
	if n := len(c.ClusterID); n == 0 || n > MaxClusterID || !kv.Printable(c.ClusterID) {
		bad("cluster id %q must be 1 to %d printable ASCII bytes", c.ClusterID, MaxClusterID)
	}
	if c.Transport == nil && net.ParseIP(c.BindAddr) == nil {
		bad("bind address %q must be an IP address", c.BindAddr)
	}
	if c.BindPort < 0 || c.BindPort > maxPort {
		bad("bind port %d must be 0 to %d", c.BindPort, maxPort)
	}
	if c.AdvertiseAddr != "" && net.ParseIP(c.AdvertiseAddr) == nil {
		bad("advertised address %q must be an IP address or empty", c.AdvertiseAddr)
	}
	if c.AdvertisePort < 0 || c.AdvertisePort > maxPort {
		bad("advertised port %d must be 0 to %d", c.AdvertisePort, maxPort)
	}
	if !kv.Printable(c.ClientAddr) || !kv.Printable(c.PeerAddr) {
		bad("client address %q and peer address %q must be printable ASCII",
			c.ClientAddr, c.PeerAddr)
	}
	if n := c.meta().size(); n > MaxMeta {
		bad("meta of %d bytes exceeds %d: shorten client and peer address by %d bytes",
			n, MaxMeta, n-MaxMeta)
	}
	return faults
}

func (c Config) timingFaults() []error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("gossip: "+format, args...))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"probe interval", c.ProbeInterval},
		{"probe timeout", c.ProbeTimeout},
		{"gossip interval", c.GossipInterval},
		{"push-pull interval", c.PushPullInterval},
		{"stream timeout", c.StreamTimeout},
		{"dead node reclaim time", c.DeadNodeReclaimTime},
		{"re-join interval", c.RejoinInterval},
		{"load interval", c.LoadInterval},
		{"leave timeout", c.LeaveTimeout},
		{"conflict interval", c.ConflictInterval},
	} {
		if d.value <= 0 || d.value > time.Hour {
			bad("%s %v must be above 0 and at most 1h", d.name, d.value)
		}
	}
	if c.ProbeTimeout >= c.ProbeInterval {
		bad("probe timeout %v must be below the probe interval %v",
			c.ProbeTimeout, c.ProbeInterval)
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"suspicion multiplier", c.SuspicionMult},
		{"suspicion maximum multiplier", c.SuspicionMaxMult},
		{"awareness multiplier", c.AwarenessMult},
		{"gossip nodes", c.GossipNodes},
		{"retransmit multiplier", c.RetransmitMult},
		{"re-join fanout", c.RejoinFanout},
	} {
		if n.value < 1 || n.value > 100 {
			bad("%s %d must be 1 to 100", n.name, n.value)
		}
	}
	return faults
}

// DetectionBound returns the time after which, in a cluster of n nodes, this node
// by itself has declared a vanished node down: the probe that finds it may come at
// the very end of a second round, all probes may be slowed down, and nobody may
// confirm. The usual time is far below: see DefaultConfig.
func (c Config) DetectionBound(n int) time.Duration {
	n = max(n, 2)
	probe := time.Duration(c.AwarenessMult) * c.ProbeInterval
	probes := time.Duration(2*(n-1)+1) * probe
	scale := math.Max(1, math.Log10(float64(n)))
	suspicion := time.Duration(float64(c.SuspicionMult*c.SuspicionMaxMult) * scale *
		float64(c.ProbeInterval))
	return probes + suspicion
}

// meta returns what c says of this node, ready and without load.
func (c Config) meta() Meta {
	return Meta{
		NodeID:     c.NodeID,
		Instance:   c.Instance,
		State:      StateReady,
		ClientAddr: c.ClientAddr,
		PeerAddr:   c.PeerAddr,
	}
}

// label marks every packet and stream of the cluster.
func (c Config) label() string { return "dyno/" + c.ClusterID }
