// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/wire"
)

// Client asks the nodes of one cluster. It may be used from any number of goroutines.
type Client struct {
	// Immutable after New.
	cfg Config
	log *zap.Logger
	// life ends with Close. Connections and the fetching of rings outlive the call that
	// began them, so that it can not be a call's.
	life context.Context
	end  context.CancelFunc
	// endpoints are asked while no ring is known, and last.
	endpoints []*node

	// view is the newest ring; nil before the first.
	view atomic.Pointer[view]
	// cluster is the first cluster id that a node told; the client speaks to no other.
	cluster atomic.Pointer[string]
	// turn spreads requests that have no place of their own.
	turn  atomic.Uint32
	calls sync.Pool // of *dataCall

	mu      sync.Mutex // guards what follows
	rand    *rand.Rand
	nodes   map[string]*node // by address: the endpoints', the ring's, those named by calls
	fetch   fetching
	closed  bool
	running sync.WaitGroup // of keepers and fetches; only added to while not closed
}

// New returns a client. It connects when the first request needs it.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Dial == nil {
		cfg.Dial = dialTCP
	}
	if cfg.Rand == nil {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // never fails
		cfg.Rand = rand.New(rand.NewChaCha8(seed))
	}
	c := &Client{cfg: cfg, log: cfg.Logger, rand: cfg.Rand, nodes: make(map[string]*node)}
	c.life, c.end = context.WithCancel(context.Background())
	for _, addr := range cfg.Endpoints {
		if c.nodes[addr] == nil {
			c.nodes[addr] = newNode(c, addr)
			c.endpoints = append(c.endpoints, c.nodes[addr])
		}
	}
	return c, nil
}

// Close ends every connection and waits until nothing of the client runs. Requests under
// way fail with ErrClosed, writes that were sent with OutcomeUnknown. It may be called
// again.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	c.end() // cancels, and waits for nothing
	c.mu.Unlock()
	c.running.Wait()
}

// Bucket names a bucket for requests. It asks no node: whether there is one of that name
// is found out by the first request.
func (c *Client) Bucket(name string) *Bucket { return &Bucket{client: c, name: name} }

// NewRequestID draws an id for [WithRequestID].
func (c *Client) NewRequestID() RequestID {
	var id RequestID
	c.mu.Lock()
	defer c.mu.Unlock()
	for id.IsZero() {
		for i, n := 0, uint64(0); i < len(id); i++ {
			if i%8 == 0 {
				n = c.rand.Uint64()
			}
			id[i] = byte(n >> (i % 8 * 8))
		}
	}
	return id
}

// start runs f on a goroutine that Close waits for. It reports false, and runs nothing,
// where the client is closed.
func (c *Client) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Go(f)
	}
	return !c.closed
}

// pause is how long to wait the n-th time in a row, from 0 on: doubled from shortest to
// longest, less a random part of up to a half, so that callers do not come back together.
func (c *Client) pause(n int, shortest, longest time.Duration) time.Duration {
	p := longest
	if n < 32 && shortest<<n > 0 {
		p = min(shortest<<n, longest)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return p - time.Duration(c.rand.Int64N(int64(p)/2+1))
}

// jitter is a random time from 0 to most.
func (c *Client) jitter(most time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rand.Int64N(int64(most) + 1))
}

// nodeAt is the node of an address. The number of nodes is bounded: those of the ring,
// the endpoints, and those that callers name.
func (c *Client) nodeAt(addr string) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[addr]
	if n == nil {
		n = newNode(c, addr)
		c.nodes[addr] = n
	}
	return n
}

// deadline is when a request that begins now must be over.
func (c *Client) deadline(ctx context.Context, o *options) time.Time {
	timeout := c.cfg.Timeout
	if o.timeout != 0 {
		timeout = o.timeout
	}
	at := time.Now().Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(at) {
		return d
	}
	return at
}

func invalidError(method, bucket string, key []byte, why string) *Error {
	return &Error{
		Op: method, Bucket: bucket, Key: clone(key), Code: wire.CodeInvalid, Text: why,
		Outcome: OutcomeNone,
	}
}

// invalidName is invalidError for what has a name.
func invalidName(method, name, why string) *Error {
	e := invalidError(method, "", nil, why)
	e.Name = name
	return e
}
