// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// do sends a request until it is answered, fails for good, or its attempts or its time
// are used up. The result belongs to the caller.
func (c *Client) do(ctx context.Context, q *call) ([]byte, Served, error) {
	if q.most == 0 {
		q.most = c.cfg.Retry.Attempts
		if q.group && q.most > 1 {
			q.most = maxAttempts // its time bounds it
		}
	}
	q.begin()
	c.readyView(ctx, q)
	for {
		now := time.Now()
		n := c.pick(q, now)
		result, f, ok := c.attempt(ctx, q, n, now)
		if ok {
			c.heedSuccess(q, n)
			return result, q.served(n), nil
		}
		q.note(f)
		c.heed(f)
		if !c.comesAgain(ctx, q, f) {
			return nil, Served{}, q.failed()
		}
	}
}

// begin forgets what an earlier request of the same call left, but for the node that it
// sticks to.
func (q *call) begin() {
	q.attempts, q.pauses, q.repeated = 0, 0, false
	q.worst, q.unknownAt, q.unknown, q.strayed = fault{}, nil, false, false
	q.decided = false
	q.tried = q.tried[:0]
}

// attempt asks one node once. Where ok is false the fault says how it failed.
func (c *Client) attempt(
	ctx context.Context, q *call, n *node, now time.Time,
) ([]byte, fault, bool) {
	if ctx.Err() != nil || !now.Before(q.deadline) {
		return nil, ended(ctx), false
	}
	if c.life.Err() != nil {
		return nil, closedFault(nil, reachNone), false
	}
	q.attempts++
	q.tried = append(q.tried, n)
	q.last = n
	at := now.Add(cmp.Or(q.try, c.cfg.TryTimeout))
	if at.After(q.deadline) || !q.again || q.attempts == q.most {
		at = q.deadline // what is not sent again anyway has all the time there is
	}
	if !n.enter() {
		return nil, notSent(n, errRetired), false
	}
	defer n.leave()
	l, o, err := n.link()
	if err == nil && l == nil {
		l, err = n.await(ctx, o, c.connectBy(q, now, at))
	}
	var window chan struct{}
	if err == nil {
		window = l.windowOf(q)
		err = l.enter(ctx, window, at)
	}
	if err != nil {
		return nil, c.unsentFault(ctx, q, n, err), false
	}
	defer func() { <-window }()
	if f, ok := l.refuses(q); ok {
		return nil, f, false
	}
	q.sent = time.Now()
	q.timeoutMS = remaining(at.Sub(q.sent))
	q.ctx = tryContext{ctx, at}
	result, err := l.rpc.Call(&q.ctx, q.method, q.encode)
	if err == nil {
		return result, fault{}, true
	}
	var remote *rpc.RemoteError
	switch {
	case errors.As(err, &remote):
		return nil, answered(q.op, n, remote.Text), false
	case errors.Is(err, rpc.ErrNotSent):
		return nil, c.unsentFault(ctx, q, n, err), false
	}
	f := unanswered(ctx, q.op, n, err)
	over := time.Now()
	f.final = f.final || !over.Before(q.deadline)
	// A caller with little patience says nothing about the node.
	f.blame = f.blame && over.Sub(now) >= c.cfg.TryTimeout/2
	if c.life.Err() != nil {
		f = closedFault(n, f.reach)
	}
	return nil, f, false
}

func (c *Client) unsentFault(ctx context.Context, q *call, n *node, err error) fault {
	switch {
	case c.life.Err() != nil:
		return closedFault(nil, reachNone)
	case ctx.Err() != nil:
		return ended(ctx)
	}
	return notSent(n, err)
}

// remaining is what a node is told of the time that is left, in milliseconds: a little
// less, so that its own TIMEOUT, which says who answered, arrives in time.
func remaining(left time.Duration) uint32 {
	const most = 50 * time.Millisecond
	left -= min(left/20, most)
	return uint32(max(1, left.Milliseconds()))
}

// note adds a fault up with those before.
func (q *call) note(f fault) {
	if f.reach == reachUnknown {
		if !q.unknown {
			q.unknown, q.unknownAt = true, f.node
		}
		q.strayed = q.strayed || f.node != q.unknownAt
	}
	q.decided = q.group && f.decides()
	switch {
	case q.decided:
		q.worst = f
	case f.node == nil && q.worst.reach != 0:
		// Nobody was asked any more: what the nodes said before tells more.
		q.worst.err = errors.Join(q.worst.err, f.err)
	case f.reach >= q.worst.reach:
		q.worst = f
	}
}

// heedSuccess draws what concerns later requests from an answer.
func (c *Client) heedSuccess(q *call, n *node) {
	n.succeeded()
	if v := c.view.Load(); v != nil && len(q.key) > 0 && !v.knows(q.bucket) {
		c.suspectView()
	}
}

// heed draws what concerns later requests from a fault.
func (c *Client) heed(f fault) {
	if f.node == nil {
		return
	}
	if f.blame {
		f.node.failed()
	}
	if f.code == CodeConnect || f.code == wire.CodeNotReady {
		c.suspectView()
	}
}

// comesAgain decides whether there is another attempt, and waits for its time. It sets
// up which node it goes to.
func (c *Client) comesAgain(ctx context.Context, q *call, f fault) bool {
	again, same, wait := q.decide(f, c.hasUntried(q, inReach))
	if !again {
		return false
	}
	q.sticks, q.repeated = same, same
	if !wait {
		return true
	}
	pause := c.pause(q.pauses, c.cfg.Retry.PauseMin, c.cfg.Retry.PauseMax)
	q.pauses++
	woke, f := c.sleep(ctx, pause, q.deadline)
	if !woke && f.final {
		q.note(f)
	}
	return woke
}

// sleep waits. It reports false where that would take longer than the deadline allows,
// and where the caller or the client ended it, which the fault says.
func (c *Client) sleep(ctx context.Context, d time.Duration, deadline time.Time) (bool, fault) {
	if time.Until(deadline) <= d {
		return false, fault{}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, fault{}
	case <-ctx.Done():
		return false, ended(ctx)
	case <-c.life.Done():
		return false, closedFault(nil, reachNone)
	}
}

// decide is the table of docs/protocol.md: whether to send a request again after a
// fault, whether to the same node, and whether to wait before. others says that there is
// a node in reach that was not asked in this round.
func (q *call) decide(f fault, others bool) (again, same, wait bool) {
	if f.final || q.attempts >= q.most {
		return false, false, false
	}
	if q.unknown && !q.again {
		return false, false, false
	}
	switch f.then {
	case wire.RetryLater:
		return true, false, true
	case wire.RetryElsewhere:
		return true, false, !(f.soon && others)
	case wire.RetrySameID:
		// The coordinator knows the request id; another would store the write again. The
		// group knows what it did, whoever asks.
		same = !q.repeated && !q.group
		return true, same, !f.soon || !(same || others)
	default:
		return false, false, false
	}
}

func (q *call) served(n *node) Served {
	return Served{
		Node: n.name(), Attempts: q.attempts,
		Moved: q.unknown && (q.strayed || q.unknownAt != n),
	}
}

// failed is the error of the whole request.
func (q *call) failed() error {
	f := q.worst
	e := &Error{
		Op: q.method, Bucket: q.bucket, Key: clone(q.key), Name: q.name, Code: f.code,
		Text: f.text, Outcome: OutcomeNone, Attempts: q.attempts, Err: f.err,
	}
	if f.node != nil {
		e.Node = f.node.name()
	}
	if q.unknown && !q.decided {
		e.Outcome = OutcomeUnknown
	}
	return e
}

// refuses tells what the node of the link would not accept, before it is sent.
func (l *link) refuses(q *call) (fault, bool) {
	over := func(what string, size int, limit uint32) (fault, bool) {
		return overLimit(l.node, fmt.Sprintf("%s: %d bytes, at most %d", what, size, limit)), true
	}
	m := &l.limits
	switch {
	case len(q.bucket) > int(m.Bucket):
		return over("bucket", len(q.bucket), m.Bucket)
	case len(q.key) > int(m.Key):
		return over("key", len(q.key), m.Key)
	case q.value > int(m.Value):
		return over("value", q.value, m.Value)
	case q.context > int(m.Context):
		return over("context", q.context, m.Context)
	case q.feature != "" && !slices.Contains(l.features, q.feature):
		return fault{
			node: l.node, code: wire.CodeUnknownMethod, reach: reachNone, final: true,
			text: fmt.Sprintf("%s: the node does not list feature %q", q.method, q.feature),
		}, true
	}
	return fault{}, false
}
