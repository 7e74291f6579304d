// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// connectMin is the least that a request waits for a connection that is being opened
// before it asks another node: with TLS over a long way that takes three round trips.
const connectMin = 250 * time.Millisecond

// patience is how long a request waits for a connection to one node while there are
// others to ask. The connection goes on being opened, for those who come later.
func (c *Client) patience() time.Duration { return max(c.cfg.TryTimeout/4, connectMin) }

// connectBy is until when an attempt that began now and ends at waits for a connection.
// A write that comes back to its coordinator has all the time of the attempt, since
// another node would store it again; so has what goes nowhere else.
func (c *Client) connectBy(q *call, now, at time.Time) time.Time {
	if q.repeated || q.attempts == q.most || !c.hasUntried(q, anyNode) {
		return at
	}
	if soon := now.Add(c.patience()); soon.Before(at) {
		return soon
	}
	return at
}

// await waits for a connection that is being opened, until ctx ends or the time has come.
// The request was not sent where it fails.
func (n *node) await(ctx context.Context, o *opening, by time.Time) (*link, error) {
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-o.done:
		return o.link, o.err
	case <-timer.C:
		n.slow(o)
		return nil, fmt.Errorf("connect to %s: not in time", n.addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.client.life.Done():
		return nil, ErrClosed
	}
}

// slow takes note that somebody has waited in vain for a connection: until it is there
// others need not wait as well. A caller with little patience says nothing.
func (n *node) slow(o *opening) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o.conn.opening == o && time.Since(o.began) >= n.client.patience() {
		n.unreached.Store(true)
	}
}

// up reports whether a connection to the node is up.
func (n *node) up() bool {
	return slices.ContainsFunc(n.conns, func(s *conn) bool { return s.up() != nil })
}

// outOfReach reports whether there is no connection to the node, and the last attempt to
// make one failed or takes too long.
func (n *node) outOfReach() bool { return n.unreached.Load() && !n.up() }

// seek has the node connected in the background, unless that is under way.
func (n *node) seek() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.seeking {
		n.seeking = n.client.start(n.bringBack)
	}
}

// bringBack connects again and again until the node is in reach, or no request is routed
// to it any more. Its pace is that of the connection: see redialMax.
func (n *node) bringBack() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	s := n.conns[0] // one is enough: requests open the others
	for n.isSought() {
		n.mu.Lock()
		pause := time.Until(s.until)
		n.mu.Unlock()
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-n.client.life.Done():
			return
		}
		o, err := s.open()
		if err != nil {
			continue // somebody else was quicker, and failed; or the client is closed
		}
		select {
		case <-o.done:
		case <-n.client.life.Done():
			return
		}
	}
}

// isSought reports whether bringBack has to go on. Where it has not, the next failure
// begins another.
func (n *node) isSought() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seeking = n.outOfReach() && !n.retired.Load() && n.client.routesTo(n)
	return n.seeking
}

// routesTo reports whether requests go to the node that do not name it.
func (c *Client) routesTo(n *node) bool {
	v := c.view.Load()
	return slices.Contains(c.endpoints, n) || v != nil && slices.Contains(v.members, n)
}
