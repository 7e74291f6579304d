// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// avoidMin and avoidMax bound for how long a node that gave no answer, or is shutting
	// down, is asked last: doubled with each failure, less jitter. The longest is short
	// beside what a restart takes.
	avoidMin = 100 * time.Millisecond
	avoidMax = 3 * time.Second
)

var errRetired = errors.New("client: the node has left the cluster")

// node is one address that requests go to.
type node struct {
	// Immutable after newNode.
	client *Client
	addr   string
	conns  []*conn

	// told is the name that the node gave itself; nil before its first hello.
	told atomic.Pointer[string]
	turn atomic.Uint32 // which connection has the next request
	// avoided is until when others are asked first, Unix nanoseconds; 0: not at all.
	avoided atomic.Int64
	// unreached says that the last attempt to connect failed, or takes too long. It is
	// written under mu.
	unreached atomic.Bool
	// users counts the requests in it. A node that is retired takes no more.
	users   atomic.Int64
	retired atomic.Bool

	mu      sync.Mutex // guards what follows, and the connections' states
	fails   int        // in a row
	seeking bool       // bringBack runs
}

func newNode(c *Client, addr string) *node {
	n := &node{client: c, addr: addr}
	for range c.cfg.ConnsPerNode {
		n.conns = append(n.conns, &conn{node: n})
	}
	return n
}

func (n *node) name() string {
	if name := n.told.Load(); name != nil && *name != "" {
		return *name
	}
	return n.addr
}

// enter counts a request in. It reports false where the node takes no more.
func (n *node) enter() bool {
	n.users.Add(1)
	if n.retired.Load() {
		n.users.Add(-1)
		return false
	}
	return true
}

func (n *node) leave() { n.users.Add(-1) }

// retire ends the node's connections, unless a request is in it: then it reports false,
// and nothing has changed.
func (n *node) retire() bool {
	n.retired.Store(true)
	if n.users.Load() != 0 {
		n.retired.Store(false)
		return false
	}
	for _, conn := range n.conns {
		if l := conn.live.Load(); l != nil {
			l.rpc.Close()
		}
	}
	return true
}

// inFavour reports whether the node is to be asked in its turn. One that is out of reach
// is not, until the background has connected it. Of a node that failed otherwise, once
// its time is over, one caller at a time finds out whether it is back; for the others it
// stays out of favour.
func (n *node) inFavour(now time.Time) bool {
	if n.outOfReach() {
		n.seek() // the ring may route to it since a moment ago
		return false
	}
	until := n.avoided.Load()
	if until == 0 {
		return true
	}
	if now.UnixNano() < until {
		return false
	}
	probe := min(n.client.cfg.TryTimeout, avoidMax)
	return n.avoided.CompareAndSwap(until, now.Add(probe).UnixNano())
}

// succeeded puts the node back in favour.
func (n *node) succeeded() {
	if n.avoided.Load() == 0 {
		return
	}
	n.mu.Lock()
	n.fails = 0
	n.avoided.Store(0)
	n.mu.Unlock()
}

// failed puts the node out of favour. Failures of requests that began before the node
// was known to fail count once.
func (n *node) failed() {
	now := time.Now()
	n.mu.Lock()
	fails := n.fails
	n.mu.Unlock()
	pause := n.client.pause(fails, avoidMin, avoidMax)
	n.mu.Lock()
	defer n.mu.Unlock()
	if fails == 0 || now.UnixNano() >= n.avoided.Load() {
		n.fails++
	}
	n.avoided.Store(max(n.avoided.Load(), now.Add(pause).UnixNano()))
}

// link is a connection to the node that is up; nil where there is none: then o is the
// attempt to open one, or err says why none is made now.
func (n *node) link() (l *link, o *opening, err error) {
	turn := int(n.turn.Add(1))
	first := n.conns[turn%len(n.conns)]
	if l := first.up(); l != nil {
		return l, nil, nil
	}
	o, err = first.open()
	for i := 1; i < len(n.conns); i++ {
		if l := n.conns[(turn+i)%len(n.conns)].up(); l != nil {
			return l, nil, nil
		}
	}
	return nil, o, err
}
