// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"time"
)

// maxMissedPings is how many pings may stay without answer.
const maxMissedPings = 2

// pinger counts the silence of the other side.
type pinger struct {
	every  time.Duration
	due    time.Time
	heard  uint64
	missed int
}

// watch keeps the deadlines of all calls with one timer, pings, and ends the
// connection with ctx. It runs beside the writer, which may be held up by a socket.
func (c *Client) watch(ctx context.Context) {
	p := pinger{every: c.cfg.PingAfter}
	if p.every > 0 {
		p.due = time.Now().Add(p.every)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.sooner:
		case <-ctx.Done():
			c.fail(ErrClosed)
			return
		case <-c.done:
			return
		}
		now := time.Now()
		next := c.expire(now)
		if p.every > 0 {
			if !c.ping(&p, now) {
				c.fail(ErrSilent)
				return
			}
			if next.IsZero() || p.due.Before(next) {
				next = p.due
			}
		}
		if !next.IsZero() {
			timer.Reset(max(0, next.Sub(now)))
		}
	}
}

// expire completes the calls whose deadline has come, and returns the next one.
func (c *Client) expire(now time.Time) (next time.Time) {
	c.mu.Lock()
	expired := c.calls.takeExpired(now)
	c.armed = c.calls.next()
	next = c.armed
	c.mu.Unlock()
	for _, done := range expired {
		done(nil, errDeadline)
	}
	return next
}

// ping sends a ping where nothing was heard for long enough. It reports false
// where that happened too often.
func (c *Client) ping(p *pinger, now time.Time) bool {
	if now.Before(p.due) {
		return true
	}
	p.due = now.Add(p.every)
	c.mu.Lock()
	heard := c.heard
	c.mu.Unlock()
	if heard != p.heard {
		p.heard, p.missed = heard, 0
		return true
	}
	if p.missed == maxMissedPings {
		return false
	}
	p.missed++
	// The answer counts by being heard. A ping that finds no room counts as missed.
	c.Go(c.cfg.PingMethod, nil, p.due, func([]byte, error) {})
	return true
}
