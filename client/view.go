// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// view is a ring as the client routes by it. It is never modified.
type view struct {
	version    uint64
	seed       uint64
	partitions int
	buckets    map[string]kv.BucketID
	// owners has the nodes to ask for each partition, best first. Those without a client
	// address are left out, so that a list may be empty.
	owners  [][]*node
	members []*node
}

// ownersOf are the nodes to ask for a key, best first; none where the bucket is unknown.
func (v *view) ownersOf(bucket string, key []byte) []*node {
	id, ok := v.buckets[bucket]
	if !ok {
		return nil
	}
	return v.owners[ring.PartitionOf(ring.Hash(v.seed, id, key), v.partitions)]
}

func (v *view) knows(bucket string) bool {
	_, ok := v.buckets[bucket]
	return ok
}

// choice is which nodes come into question for an attempt.
type choice uint8

const (
	inFavour choice = 1 + iota
	inReach         // and those that gave no answer
	anyNode
)

// allows reports whether the node may be chosen.
func (w choice) allows(n *node, now time.Time) bool {
	switch {
	case n.retired.Load():
		return false
	case w == inFavour:
		return n.inFavour(now)
	default:
		return w == anyNode || !n.outOfReach()
	}
}

// pick chooses the node for the next attempt: the one that the call sticks to, else the
// first that was not asked in this round, owners before others, and those in favour
// before those that failed. When all in reach were asked a new round begins: with those
// in favour, and only where there are none with those out of reach.
func (c *Client) pick(q *call, now time.Time) *node {
	if q.endpoint != "" {
		return c.nodeAt(q.endpoint)
	}
	if q.sticks {
		q.sticks = false
		return q.last
	}
	if n := c.first(q, now, inFavour); n != nil {
		return n
	}
	if n := c.first(q, now, inReach); n != nil {
		return n
	}
	tried := q.tried
	q.tried = tried[:0]
	if n := c.first(q, now, inFavour); n != nil {
		return n
	}
	q.tried = tried
	if n := c.first(q, now, anyNode); n != nil {
		return n
	}
	q.tried = tried[:0]
	return c.first(q, now, anyNode) // there is an endpoint at least
}

// first is the first candidate that was not asked in this round; nil: none.
func (c *Client) first(q *call, now time.Time, which choice) *node {
	suits := func(n *node) bool {
		return !slices.Contains(q.tried, n) && which.allows(n, now)
	}
	v := c.view.Load()
	if v != nil && len(q.key) > 0 {
		for _, n := range v.ownersOf(q.bucket, q.key) {
			if suits(n) {
				return n
			}
		}
	}
	turn := int(c.turn.Add(1))
	if v != nil {
		if n := rotated(v.members, turn, suits); n != nil {
			return n
		}
	}
	return rotated(c.endpoints, turn, suits)
}

// rotated is the first node that suits, counted from the turn-th on.
func rotated(list []*node, turn int, suits func(*node) bool) *node {
	for i := range list {
		if n := list[(turn+i)%len(list)]; suits(n) {
			return n
		}
	}
	return nil
}

// others are all nodes but one that any request may go to: those that seem well first,
// then those that gave no answer, then those out of reach.
func (c *Client) others(than *node) []*node {
	all := c.endpoints
	if v := c.view.Load(); v != nil && len(v.members) > 0 {
		all = v.members
	}
	now := time.Now().UnixNano()
	rank := func(n *node) int {
		switch {
		case n.outOfReach():
			return 2
		case n.avoided.Load() > now:
			return 1
		default:
			return 0
		}
	}
	turn := int(c.turn.Add(1))
	list := make([]*node, 0, len(all))
	for i := range all {
		if n := all[(turn+i)%len(all)]; n != than {
			list = append(list, n)
		}
	}
	slices.SortStableFunc(list, func(a, b *node) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// hasUntried reports whether a node of the given kind, in reach or any, was not asked in
// this round.
func (c *Client) hasUntried(q *call, which choice) bool {
	if q.endpoint != "" {
		return false
	}
	untried := func(n *node) bool {
		return !slices.Contains(q.tried, n) && which.allows(n, time.Time{})
	}
	v := c.view.Load()
	return v != nil && slices.ContainsFunc(v.members, untried) ||
		slices.ContainsFunc(c.endpoints, untried)
}

const (
	// refetchMin is the least time between two fetches of the ring.
	refetchMin = 250 * time.Millisecond
	// fetchAttempts is how many attempts a fetch has: routing is of help, not a must.
	fetchAttempts = 3
)

// fetching is what is known about fetches of the ring. It is guarded by the client's mu.
type fetching struct {
	done chan struct{} // closed when the fetch under way ends; nil: there is none
	next time.Time     // no fetch begins before
}

// learn takes note of the ring version that a node told, and fetches the ring where it is
// newer than the one here. That node is asked, for it has it.
func (c *Client) learn(version uint64, from *node) {
	if v := c.view.Load(); v != nil && version > v.version {
		c.refetch(from)
	}
}

// suspectView fetches the ring, since it does not fit what the cluster does: a node is not
// where the ring has it, or a bucket is not in it.
func (c *Client) suspectView() {
	if c.view.Load() != nil {
		c.refetch(nil)
	}
}

// refetch begins a fetch, unless one is under way or was a moment ago. It returns what is
// closed when it ends; nil: there is none.
func (c *Client) refetch(from *node) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.fetch.done != nil || c.closed || now.Before(c.fetch.next) {
		return c.fetch.done
	}
	done := make(chan struct{})
	c.fetch.done = done
	c.fetch.next = now.Add(refetchMin)
	c.running.Go(func() {
		if err := c.fetchView(from); err != nil && c.life.Err() == nil {
			c.log.Debug("ring not fetched", zap.Error(err))
		}
		c.mu.Lock()
		c.fetch.done = nil
		c.mu.Unlock()
		close(done)
	})
	return done
}

// readyView sees to the ring that a request is routed by. What any node answers waits for
// none: it goes to the endpoints until there is one.
func (c *Client) readyView(ctx context.Context, q *call) {
	switch {
	case q.endpoint != "" || c.view.Load() != nil:
	case len(q.key) > 0:
		c.awaitView(ctx, q.deadline)
	case q.group:
		c.refetch(nil)
	}
}

// awaitView waits for the first ring, but not for long: without it a request goes to any
// node, which finds the owners.
func (c *Client) awaitView(ctx context.Context, deadline time.Time) {
	done := c.refetch(nil)
	if done == nil {
		return
	}
	timer := time.NewTimer(min(time.Until(deadline)/2, c.cfg.TryTimeout))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fetchView asks a node for the ring, and routes by it from then on.
func (c *Client) fetchView(from *node) error {
	q := c.infoCall()
	q.most = min(fetchAttempts, c.cfg.Retry.Attempts)
	q.deadline = time.Now().Add(c.cfg.Timeout)
	q.last, q.sticks = from, from != nil
	info, err := c.askInfo(c.life, q)
	if err != nil {
		return err
	}
	v, err := c.newView(&info)
	if err != nil {
		return err
	}
	c.install(v)
	return nil
}

// infoCall is cluster.info.
func (c *Client) infoCall() *call {
	q := &call{method: wire.MethodClusterInfo, op: wire.OpRead, again: true}
	q.encode = func(dst []byte) []byte {
		return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{
			Common: wire.Common{TimeoutMS: q.timeoutMS},
		})
	}
	return q
}

func (c *Client) askInfo(ctx context.Context, q *call) (wire.ClusterInfoResult, error) {
	var info wire.ClusterInfoResult
	raw, _, err := c.do(ctx, q)
	if err != nil {
		return info, err
	}
	if err := wire.DecodeClusterInfoResult(raw, &info); err != nil {
		return info, q.badAnswer(err)
	}
	return info, nil
}

var errBadRing = errors.New("client: a ring that can not be")

// newView makes a view of what a node told.
func (c *Client) newView(info *wire.ClusterInfoResult) (*view, error) {
	q := int(info.Partitions)
	if q < 1 || q > ring.MaxPartitions || q&(q-1) != 0 || len(info.Preference) != q {
		return nil, fmt.Errorf("%w: %d partitions, %d preference lists",
			errBadRing, q, len(info.Preference))
	}
	v := &view{
		version: info.RingVersion, seed: info.HashSeed, partitions: q,
		buckets: make(map[string]kv.BucketID, len(info.Buckets)),
		owners:  make([][]*node, q),
	}
	for i := range info.Buckets {
		v.buckets[info.Buckets[i].Name] = info.Buckets[i].ID
	}
	byID := make(map[kv.NodeID]*node, len(info.Members))
	for i := range info.Members {
		m := &info.Members[i]
		if m.Addresses.Client == "" {
			continue
		}
		n := c.nodeAt(m.Addresses.Client)
		if n.told.Load() == nil {
			n.told.CompareAndSwap(nil, &m.Name)
		}
		byID[m.ID] = n
		v.members = append(v.members, n)
	}
	for p, ids := range info.Preference {
		for _, id := range ids {
			if n := byID[id]; n != nil {
				v.owners[p] = append(v.owners[p], n)
			}
		}
	}
	return v, nil
}

// install routes by v, unless a newer ring came first, and lets go of nodes that are in
// it no more. One that a request is in stays until the next ring.
func (c *Client) install(v *view) {
	c.mu.Lock()
	old := c.view.Load()
	if old != nil && old.version > v.version {
		c.mu.Unlock()
		return
	}
	c.view.Store(v)
	for addr, n := range c.nodes {
		if !slices.Contains(v.members, n) && !slices.Contains(c.endpoints, n) && n.retire() {
			delete(c.nodes, addr)
		}
	}
	c.mu.Unlock()
	if old == nil || old.version != v.version {
		c.log.Info("ring learned", zap.Uint64("ring-version", v.version),
			zap.Int("members", len(v.members)))
	}
}
