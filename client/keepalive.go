// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

const (
	// renewShare is which part of the time to live a node has for a renewal before others
	// are asked, where Config.TryTimeout is no less; half of that it may gather renewals.
	renewShare = 5
	// renewMin is the least of it: a quorum must be able to answer.
	renewMin = time.Second
	// renewAside is how many nodes are asked at once when one has not answered.
	renewAside = 3
)

// keep renews the session until it is over.
func (s *Session) keep() {
	timer := time.NewTimer(s.interval())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.over.Done():
		case <-s.client.life.Done():
			s.end(SessionLost, s.overError(CodeClosed, "the client was closed"))
		}
		if s.Err() != nil {
			return
		}
		timer.Reset(s.renew())
	}
}

// interval is how long after a renewal the next is sent. Together with what a node
// gathers them for it stays below half of the time to live, so that a session whose
// renewals are answered is never suspended. The jitter keeps sessions that were opened
// together from coming together.
func (s *Session) interval() time.Duration {
	return s.ttl/4 + s.client.jitter(s.ttl/20)
}

// renew asks for one renewal, and returns when to ask for the next. One node is asked; if
// that has not answered in its time, several at once: nodes that fall silent one after the
// other, each as it is asked, would use up the session's time.
func (s *Session) renew() time.Duration {
	c := s.client
	s.mu.Lock()
	until := s.until
	s.mu.Unlock()
	try := max(min(s.ttl/renewShare, c.cfg.TryTimeout), renewMin)
	first := s.renewal(try, time.Now().Add(try))
	_, err := ask(s.over, c, first, decodeEmpty)
	if err == nil {
		return s.renewedBy(first)
	}
	if codeOf(err) != wire.CodeSessionExpired {
		var q *call
		if q, err = s.renewAnywhere(first.last, try, until); err == nil {
			return s.renewedBy(q)
		}
	}
	if codeOf(err) == wire.CodeSessionExpired {
		s.expired(err)
		return 0
	}
	// What the nodes refuse now they may take again before the session is lost.
	return c.pause(0, c.cfg.Retry.PauseMax, c.cfg.Retry.PauseMax)
}

func (s *Session) renewedBy(q *call) time.Duration {
	s.noteRenewal(q.sent)
	return time.Until(q.sent.Add(s.interval()))
}

// renewal is one request for a renewal.
func (s *Session) renewal(try time.Duration, deadline time.Time) *call {
	q := s.call(wire.MethodSessionKeepAlive, wire.OpRead) // it leaves nothing to be unsure of
	q.parks = true
	q.most = maxAttempts // whatever the caller's requests have: else one silent node ends it
	q.try, q.deadline = try, deadline
	return q
}

// renewAnywhere asks several nodes at once, again and again for a while, and returns the
// first request that the group has answered, or an error.
func (s *Session) renewAnywhere(
	silent *node, try time.Duration, until time.Time,
) (*call, error) {
	if soon := time.Now().Add(2 * try); soon.Before(until) {
		until = soon // then others come into question
	}
	ctx, cancel := context.WithCancel(s.over)
	defer cancel()
	type answer struct {
		q   *call
		err error
	}
	nodes := s.client.someNodes(renewAside, silent)
	if s.endpoint != "" {
		nodes = []*node{s.client.nodeAt(s.endpoint)}
	}
	answers := make(chan answer, renewAside) // each request has one
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for _, n := range nodes {
		q := s.renewal(try, until)
		q.endpoint = n.addr // each to its own: none of them waits for the silent one
		asking.Go(func() {
			_, err := ask(ctx, s.client, q, decodeEmpty)
			answers <- answer{q, err}
		})
	}
	var err error
	for range nodes {
		a := <-answers
		if a.err == nil || codeOf(a.err) == wire.CodeSessionExpired {
			return a.q, a.err
		}
		err = a.err
	}
	return nil, err
}

// expired takes note that the group has no such session.
func (s *Session) expired(err error) {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	e := s.overError(wire.CodeSessionExpired, "the group has ended it")
	var answer *Error
	if errors.As(err, &answer) {
		e.Node, e.Text = answer.Node, answer.Text
	}
	s.end(SessionLost, e)
}

// noteRenewal takes note that a renewal which was sent then has been answered now. The
// group got it later than it was sent, and counts from then.
func (s *Session) noteRenewal(sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state >= SessionLost || !sent.After(s.renewed) {
		return
	}
	s.renewed, s.heard = sent, time.Now()
	s.until = sent.Add(s.ttl - margin(s.ttl))
	s.settle()
}

// tick is called by the clock.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state < SessionLost {
		s.settle()
	}
}

// settle brings the state up to the time, and sets the clock. It is called with mu held,
// while the session is not over.
func (s *Session) settle() {
	now := time.Now()
	silent := s.heard.Add(s.ttl / 2)
	switch {
	case !now.Before(s.until):
		s.endLocked(SessionLost, s.overError(CodeSessionLost,
			"no renewal was answered for "+(s.ttl-margin(s.ttl)).String()))
		return
	case !now.Before(silent):
		s.become(SessionSuspended)
		s.clock.Reset(s.until.Sub(now))
	default:
		s.become(SessionConnected)
		s.clock.Reset(min(silent.Sub(now), s.until.Sub(now)))
	}
}

// become changes the state, and tells. It is called with mu held.
func (s *Session) become(state SessionState) {
	if s.state == state {
		return
	}
	s.state = state
	close(s.changed)
	s.changed = make(chan struct{})
}

// end ends the session on this side, unless it is over already.
func (s *Session) end(state SessionState, why *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state < SessionLost {
		s.endLocked(state, why)
	}
}

func (s *Session) endLocked(state SessionState, why *Error) {
	s.become(state)
	if s.clock != nil {
		s.clock.Stop()
	}
	s.finish(why)
}
