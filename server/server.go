// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// Config bounds what the ports take in.
type Config struct {
	// MaxRequests is how many client requests are worked on at a time. Each costs a
	// goroutine and up to a message of memory; beyond the number that saturates disk and
	// cores more of them only wait.
	MaxRequests int
	// MaxBytes bounds what those requests hold together: a put its value, until enough
	// owners have it; a get about as much as those before it did; what answers with a page
	// 1 MiB. Above it requests are refused as above MaxRequests.
	MaxBytes int
	// MaxPeerRequests and MaxPeerBytes bound what peers ask of this node's replica. Each
	// peer may have rpc.PeerLimits().InFlight calls open.
	MaxPeerRequests int
	MaxPeerBytes    int
	// MaxDecisions bounds the clients' requests to the metadata group that are worked on at
	// a time, MaxAttempts those that wait for locks or try to get them, MaxRenewals those
	// that keep sessions alive and wait for the batch that does. Each of these costs a
	// goroutine. MaxGroupBytes bounds what each of the three holds.
	MaxDecisions  int
	MaxAttempts   int
	MaxRenewals   int
	MaxGroupBytes int
	// MaxTimeout is the longest that a client may let a request run.
	MaxTimeout time.Duration
	// Version is the build's, for hello.
	Version string
	// Features are listed in hello.
	Features []string
	Client   rpc.ServerConfig
	Peer     rpc.ServerConfig
	// Points are for tests; nil in a product build.
	Points *fail.Set
}

// minMessage is the least that lets a result have more than its head.
const minMessage = 2 * headRoom

// DefaultConfig has the values of docs/protocol.md.
func DefaultConfig() Config {
	return Config{
		MaxRequests: 4096, MaxBytes: 128 << 20,
		MaxPeerRequests: 16384, MaxPeerBytes: 256 << 20,
		MaxDecisions: 4096, MaxAttempts: 16384, MaxRenewals: 32768, MaxGroupBytes: 64 << 20,
		MaxTimeout: time.Minute, Version: "dev",
		Client: rpc.DefaultServerConfig(), Peer: peerConfig(),
	}
}

// peerConfig is that of the peer port. Before its hello was accepted a connection is a
// stranger's (I9): it may send little, for a short time.
func peerConfig() rpc.ServerConfig {
	cfg := rpc.DefaultPeerServerConfig()
	cfg.Auth = &rpc.AuthLimits{Message: 16 << 10, Timeout: 5 * time.Second}
	return cfg
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	faults := []error{c.Client.Validate(), c.Peer.Validate()}
	for _, bound := range []struct {
		name  string
		value int
	}{
		{"MaxRequests", c.MaxRequests}, {"MaxBytes", c.MaxBytes},
		{"MaxPeerRequests", c.MaxPeerRequests}, {"MaxPeerBytes", c.MaxPeerBytes},
		{"MaxDecisions", c.MaxDecisions}, {"MaxAttempts", c.MaxAttempts},
		{"MaxRenewals", c.MaxRenewals}, {"MaxGroupBytes", c.MaxGroupBytes},
	} {
		if bound.value < 1 {
			faults = append(faults, fmt.Errorf("server: %s is %d, must be at least 1",
				bound.name, bound.value))
		}
	}
	if c.Client.Limits.Message < minMessage {
		faults = append(faults, fmt.Errorf("server: messages of %d bytes, must be at least %d",
			c.Client.Limits.Message, minMessage))
	}
	if c.MaxTimeout <= 0 {
		faults = append(faults, fmt.Errorf("server: longest timeout %v must be above 0",
			c.MaxTimeout))
	}
	return errors.Join(faults...)
}

// Cluster is what the server tells of the cluster beside data.
type Cluster interface {
	// Missing says, for people, why no data can be served yet: what formation waits for.
	Missing() string
	// Ring is the newest ring that this node knows; nil before formation.
	Ring() *ring.Ring
	// Bucket finds a bucket by its name.
	Bucket(name string) (kv.Bucket, bool)
	// Buckets are all buckets, in order of their names.
	Buckets() []kv.Bucket
	// Status tells how the members seem from here.
	Status() wire.ClusterStatusResult
	// Work tells what stays behind at this node; nil where it serves no keys yet. It does not
	// wait.
	Work() *wire.WorkStatus
	// Identity names this node towards peers; without a number before it is a member.
	Identity() wire.PeerHello
}

// ErrRefused is in the chain of a Control error where what the client asked for can not
// be: there is no such node, or it is in that state already.
var ErrRefused = errors.New("server: refused")

// Control stops and starts nodes of a cluster that runs in one process. Only `dyno dev`
// has one.
type Control interface {
	StopNode(ctx context.Context, name string) error
	StartNode(ctx context.Context, name string) error
	// Stopped reports whether a node was stopped on purpose.
	Stopped(name string) bool
}

// Data is what serves keys. A node has it once it is in a ring.
type Data struct {
	Coordinator *coordinator.Coordinator
	Replica     Replica
	Repairs     Repairs // nil where Parts.Repairing is false
	Hints       Hints   // nil where Parts.Hinting is false
	Purges      Purges  // nil where nothing is ever purged
}

// Parts are what the server stands on.
type Parts struct {
	Cluster Cluster
	Control Control // nil where there is none
	// Grouped says that the node has a part in the metadata group, or is about to get one:
	// ServeGroup brings it. Otherwise methods that ask the group are unknown.
	Grouped bool
	// Repairing says that the node compares what it holds with others, or is about to: Data
	// brings it. Otherwise methods about that are unknown.
	Repairing bool
	// Hinting says the same of hints, and Data.Hints.
	Hinting bool
	// Now is the node's wall clock: what is shown as expired is decided by it.
	Now func() time.Time
	// Waited hears how long each client waited for a request about keys; nil: nobody does.
	// It must be quick.
	Waited func(time.Duration)
}

// Server is both ports of a node.
type Server struct {
	// Immutable after New.
	cfg    Config
	parts  Parts
	log    *zap.Logger
	client *rpc.Server
	peer   *rpc.Server

	reads readSize
	shown ReadStats
	// strangers counts requests of methods that there are not.
	strangers *methodStats
	requests  *gate // those of clients, forwarded ones included
	peers     *gate // those of peers to this node's replica
	// Clients' requests to the metadata group have a gate for each of their kinds.
	decisions, attempts, renewals *gate
	// draining ends, by beginDrain, when waits are to be cut short since the node drains.
	draining   context.Context
	beginDrain context.CancelFunc
	// life ends, by cutOff, when a drain is cut short. The contexts of connections do not
	// tell forwarded requests: peers stay connected.
	life   context.Context
	cutOff context.CancelFunc

	methods map[string]method     // of the client port
	works   map[string]peerMethod // of the peer port, but for its hello
	// data is nil before ServeData; it never changes after that.
	data atomic.Pointer[Data]
	// part is nil before ServeGroup; it never changes after that.
	part    atomic.Pointer[Group]
	news    news     // of buckets
	workers *workers // run what may wait
}

// New returns a server. It starts nothing.
func New(cfg Config, parts Parts, log *zap.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, parts: parts, log: log,
		requests: newGate(cfg.MaxRequests, cfg.MaxBytes),
		peers:    newGate(cfg.MaxPeerRequests, cfg.MaxPeerBytes),
		workers:  newWorkers(), strangers: newMethodStats(),

		decisions: newGate(cfg.MaxDecisions, cfg.MaxGroupBytes),
		attempts:  newGate(cfg.MaxAttempts, cfg.MaxGroupBytes),
		renewals:  newGate(cfg.MaxRenewals, cfg.MaxGroupBytes),
	}
	s.news.put, s.news.start = s.askGroup, s.workers.start
	s.methods, s.works = s.clientMethods(), s.peerMethods()
	s.draining, s.beginDrain = context.WithCancel(context.Background())
	s.life, s.cutOff = context.WithCancel(context.Background())
	var err error
	s.client, err = rpc.NewServer(cfg.Client, rpc.HandlerFunc(s.handleClient), log.Named("client"))
	if err != nil {
		return nil, err
	}
	s.peer, err = rpc.NewServer(cfg.Peer, rpc.HandlerFunc(s.handlePeer), log.Named("peer"))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ServeData has requests for keys served; before, they are answered NOT_READY. It is
// called once.
func (s *Server) ServeData(d Data) { s.data.Store(&d) }

// checkData refuses what needs data where there is none yet.
func (s *Server) checkData(needed bool) error {
	if !needed || s.data.Load() != nil {
		return nil
	}
	return &coordinator.Error{Code: wire.CodeNotReady, Text: s.parts.Cluster.Missing()}
}

// ServeClients answers clients on ln until ctx ends or DrainClients was called. It owns
// ln.
func (s *Server) ServeClients(ctx context.Context, ln net.Listener) error {
	return s.client.Serve(ctx, ln)
}

// ServePeers answers peers on ln until ctx ends or DrainPeers was called. It owns ln.
func (s *Server) ServePeers(ctx context.Context, ln net.Listener) error {
	return s.peer.Serve(ctx, ln)
}

// DrainClients answers SHUTTING_DOWN to new requests, those included that peers forward,
// finishes the old ones, and closes the clients' connections. Waits for locks are told
// their place, and keep-alives to go elsewhere. Where ctx ends first they are cut off, and
// its error is returned. When it returns nothing is coordinated here any more, and nothing
// ever will be.
func (s *Server) DrainClients(ctx context.Context) error {
	var left []<-chan struct{}
	for _, g := range s.clientGates() {
		left = append(left, g.close())
	}
	s.beginDrain()
	err := s.client.Shutdown(ctx)
	for _, empty := range left {
		select {
		case <-empty:
			continue
		case <-ctx.Done():
		}
		s.cutOff()
		err = ctx.Err()
		<-empty // soon: all that is left has seen its context end
	}
	return err
}

// clientGates are the gates that clients' requests pass.
func (s *Server) clientGates() []*gate {
	return []*gate{s.requests, s.decisions, s.attempts, s.renewals}
}

// DrainPeers is the same for what peers ask of this node's replica.
func (s *Server) DrainPeers(ctx context.Context) error {
	s.peers.close()
	err := s.peer.Shutdown(ctx)
	s.Wait()
	return err
}

// Wait waits for every goroutine of the server. Both ports must have ended.
func (s *Server) Wait() { s.workers.wait() }

// Open is how many client requests are under way; Refused how many were refused because
// there were too many.
func (s *Server) Open() int       { open, _ := s.clientCounts(); return open }
func (s *Server) Refused() uint64 { _, refused := s.clientCounts(); return refused }

func (s *Server) clientCounts() (open int, refused uint64) {
	for _, g := range s.clientGates() {
		inside, turned := g.counts()
		open, refused = open+inside, refused+turned
	}
	return open, refused
}
