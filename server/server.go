// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/coordinator"
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
	// MaxTimeout is the longest that a client may let a request run.
	MaxTimeout time.Duration
	// Version is the build's, for hello.
	Version string
	// Features are listed in hello.
	Features []string
	Client   rpc.ServerConfig
	Peer     rpc.ServerConfig
}

// DefaultConfig has the values of docs/protocol.md.
func DefaultConfig() Config {
	return Config{
		MaxRequests: 4096, MaxTimeout: time.Minute, Version: "dev",
		Client: rpc.DefaultServerConfig(), Peer: rpc.DefaultPeerServerConfig(),
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	faults := []error{c.Client.Validate(), c.Peer.Validate()}
	if c.MaxRequests < 1 {
		faults = append(faults, fmt.Errorf("server: %d requests at a time, must be at least 1",
			c.MaxRequests))
	}
	if c.MaxTimeout <= 0 {
		faults = append(faults, fmt.Errorf("server: longest timeout %v must be above 0",
			c.MaxTimeout))
	}
	return errors.Join(faults...)
}

// Cluster is what the server tells of the cluster beside data.
type Cluster interface {
	// Ring is the newest ring that this node knows; nil before formation.
	Ring() *ring.Ring
	// Bucket finds a bucket by its name.
	Bucket(name string) (kv.Bucket, bool)
	// Buckets are all buckets, in order of their names.
	Buckets() []kv.Bucket
	// Status tells how the members seem from here.
	Status() wire.ClusterStatusResult
	// Identity names this node towards peers.
	Identity() wire.PeerHello
}

// Control stops and starts nodes of a cluster that runs in one process. Only `dyno dev`
// has one.
type Control interface {
	StopNode(ctx context.Context, name string) error
	StartNode(ctx context.Context, name string) error
	// Stopped reports whether a node was stopped on purpose.
	Stopped(name string) bool
}

// Parts are what the server stands on.
type Parts struct {
	Coordinator *coordinator.Coordinator
	Replica     Replica
	Cluster     Cluster
	Control     Control // nil where there is none
	// Now is the node's wall clock: what is shown as expired is decided by it.
	Now func() time.Time
}

// Server is both ports of a node.
type Server struct {
	// Immutable after New.
	cfg    Config
	parts  Parts
	log    *zap.Logger
	client *rpc.Server
	peer   *rpc.Server

	working sync.WaitGroup // requests in goroutines
	open    atomic.Int64   // client requests under way. Invariant: <= MaxRequests
	refused atomic.Uint64
}

// New returns a server. It starts nothing.
func New(cfg Config, parts Parts, log *zap.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, parts: parts, log: log}
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

// ServeClients answers clients on ln until ctx ends or DrainClients was called. It owns
// ln.
func (s *Server) ServeClients(ctx context.Context, ln net.Listener) error {
	return s.client.Serve(ctx, ln)
}

// ServePeers answers peers on ln until ctx ends or DrainPeers was called. It owns ln.
func (s *Server) ServePeers(ctx context.Context, ln net.Listener) error {
	return s.peer.Serve(ctx, ln)
}

// DrainClients answers SHUTTING_DOWN to new requests, finishes the old ones, and closes
// the clients' connections.
func (s *Server) DrainClients(ctx context.Context) error { return s.client.Shutdown(ctx) }

// DrainPeers is the same for peers, and waits for every goroutine of the server.
func (s *Server) DrainPeers(ctx context.Context) error {
	err := s.peer.Shutdown(ctx)
	s.working.Wait() // bounded: each has a deadline
	return err
}

// Open is how many client requests are under way; Refused how many admission refused.
func (s *Server) Open() int64     { return s.open.Load() }
func (s *Server) Refused() uint64 { return s.refused.Load() }

// handleClient is called for each client request, on its connection's goroutine.
func (s *Server) handleClient(ctx context.Context, call *rpc.Call) {
	handle, found := s.clientMethod(string(call.Method))
	switch {
	case !found:
		call.ReplyError(wire.FormatError(wire.CodeUnknownMethod,
			fmt.Sprintf("%q; hello lists this node's features", call.Method)))
		return
	case s.open.Add(1) > int64(s.cfg.MaxRequests):
		s.open.Add(-1)
		s.refused.Add(1)
		call.ReplyError(wire.FormatError(wire.CodeOverloaded,
			fmt.Sprintf("%d requests are under way; try again in 50 ms", s.cfg.MaxRequests)))
		return
	}
	s.working.Go(func() {
		defer s.open.Add(-1)
		s.answer(ctx, call, handle)
	})
}

// encoder appends a result.
type encoder func(dst []byte) []byte

// method works on the params of a request. origin tells who asks.
type method func(ctx context.Context, params []byte, origin origin) (encoder, error)

// origin is where a request came from.
type origin uint8

const (
	fromClient origin = 1 + iota
	// fromPeer: another node forwarded a client's request; it is not forwarded again.
	fromPeer
)

func (s *Server) answer(ctx context.Context, call *rpc.Call, handle method) {
	result, err := handle(ctx, call.Params, fromClient)
	if err != nil {
		call.ReplyError(s.errorText(err))
		return
	}
	call.Reply(result)
}

// clientMethod finds the function for a method of the client port.
func (s *Server) clientMethod(name string) (method, bool) {
	switch name {
	case wire.MethodGet:
		return s.handleGet, true
	case wire.MethodPut:
		return s.handlePut, true
	case wire.MethodDelete:
		return s.handleDelete, true
	case wire.MethodGetMany:
		return s.handleGetMany, true
	case wire.MethodKeyScan:
		return s.handleScan, true
	case wire.MethodHello:
		return s.handleHello, true
	case wire.MethodPing:
		return s.handlePing, true
	case wire.MethodClusterInfo:
		return s.handleClusterInfo, true
	case wire.MethodClusterStatus:
		return s.handleClusterStatus, true
	case wire.MethodBucketGet:
		return s.handleBucketGet, true
	case wire.MethodBucketList:
		return s.handleBucketList, true
	}
	if s.parts.Control != nil {
		switch name {
		case wire.MethodNodeStop:
			return s.handleNodeStop, true
		case wire.MethodNodeStart:
			return s.handleNodeStart, true
		}
	}
	return nil, false
}

// errorText is the one table from errors to the client protocol.
func (s *Server) errorText(err error) string {
	var told *coordinator.Error
	var malformed *wire.DecodeError
	switch {
	case errors.As(err, &told):
		return told.Error()
	case errors.As(err, &malformed):
		return wire.FormatError(malformed.Code, malformed.Text())
	case errors.Is(err, wire.ErrCursor):
		return wire.FormatError(wire.CodeInvalid, err.Error()+"; start again")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return wire.FormatError(wire.CodeTimeout, "the deadline passed")
	default:
		s.log.Error("request failed", zap.Error(err))
		return wire.FormatError(wire.CodeInternal, err.Error())
	}
}

// within bounds ctx by what the request says of its time.
func (s *Server) within(ctx context.Context, c wire.Common) (context.Context, func()) {
	timeout := time.Duration(c.TimeoutMS) * time.Millisecond
	return context.WithTimeout(ctx, min(timeout, s.cfg.MaxTimeout))
}

// bucket finds the bucket of a request.
func (s *Server) bucket(name string) (kv.Bucket, error) {
	b, found := s.parts.Cluster.Bucket(name)
	if !found {
		return kv.Bucket{}, &coordinator.Error{
			Code: wire.CodeNoSuchBucket, Text: fmt.Sprintf("%q; create it first", name),
		}
	}
	return b, nil
}
