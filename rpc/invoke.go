// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/wire"
)

// Go sends a call and returns; done is called exactly once, with the answer, at
// the deadline, or when the connection ends. Where the call can not be sent at all
// that is before Go returns, on its goroutine, and the error wraps ErrNotSent. Go
// never waits. appendParams appends one MessagePack value to its argument; it is
// called before Go returns, with the connection locked: it must only append. nil
// stands for an empty array, which means all defaults.
// The deadline is kept by this side; that the other side keeps it too is for the
// params to say, as the milliseconds that remain.
func (c *Client) Go(
	method string, appendParams func(dst []byte) []byte, deadline time.Time, done Done,
) {
	if _, err := c.begin(method, appendParams, deadline, done); err != nil {
		done(nil, err)
	}
}

// begin opens a call and adds it to the outbox. After an error done is not called.
func (c *Client) begin(
	method string, appendParams func(dst []byte) []byte, deadline time.Time, done Done,
) (id uint64, err error) {
	if !time.Now().Before(deadline) {
		return 0, notSent(context.DeadlineExceeded)
	}
	c.mu.Lock()
	switch {
	case c.cause != nil:
		err = notSent(c.cause)
	case len(c.calls.byID) >= c.cfg.Limits.InFlight || c.out.unsent >= c.cfg.Limits.Unsent:
		err = notSent(ErrBusy)
	}
	if err != nil {
		c.mu.Unlock()
		return 0, err
	}
	id = c.calls.newID()
	at, err := c.out.add(func(dst []byte) []byte {
		return appendValue(wire.AppendRequestHeader(dst, id, method), appendParams, emptyArray)
	})
	if err != nil {
		c.mu.Unlock()
		return 0, notSent(err)
	}
	c.calls.add(id, at, deadline, done)
	sooner := c.armed.IsZero() || deadline.Before(c.armed)
	if sooner {
		c.armed = deadline
	}
	c.mu.Unlock()
	signal(c.wake)
	if sooner {
		signal(c.sooner)
	}
	return id, nil
}

// waiter turns a completion into something to wait for.
type waiter struct {
	// got receives when result and err are set. Size 1: a call completes once.
	got    chan struct{}
	result []byte
	err    error
	// done is the method complete, bound once.
	done Done
}

func (w *waiter) complete(result []byte, err error) {
	w.err = err
	if err == nil {
		w.result = append([]byte(nil), result...)
	}
	w.got <- struct{}{}
}

// Call sends a call and waits for the answer, until ctx ends: then the error wraps
// ErrUnanswered and ctx's. The result belongs to the caller. As [Client.Go]
// otherwise; a ctx without deadline gets ClientConfig.CallTimeout.
func (c *Client) Call(
	ctx context.Context, method string, appendParams func(dst []byte) []byte,
) (result []byte, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(c.cfg.CallTimeout)
	}
	w := c.takeWaiter()
	id, err := c.begin(method, appendParams, deadline, w.done)
	if err != nil {
		c.putWaiter(w)
		return nil, err
	}
	select {
	case <-w.got:
	case <-ctx.Done():
		c.giveUp(id, ctx.Err())
		<-w.got // at once: whoever took the call out of the table completes it
	}
	result, err = w.result, w.err
	c.putWaiter(w)
	return result, err
}

// giveUp completes a call that nobody waits for any more, unless it is complete.
func (c *Client) giveUp(id uint64, why error) {
	c.mu.Lock()
	done := c.calls.remove(id)
	if mutant.On(mutant.LateReplyTaken) {
		c.calls.last = id - 1
	}
	c.mu.Unlock()
	if done != nil {
		done(nil, unanswered(why))
	}
}

func (c *Client) takeWaiter() *waiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.waiters); n > 0 {
		w := c.waiters[n-1]
		c.waiters = c.waiters[:n-1]
		return w
	}
	w := &waiter{got: make(chan struct{}, 1)}
	w.done = w.complete
	return w
}

func (c *Client) putWaiter(w *waiter) {
	w.result, w.err = nil, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiters) < maxIdleWaiters {
		c.waiters = append(c.waiters, w)
	}
}
