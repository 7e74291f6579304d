// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"time"

	"github.com/dyno-kv/dyno/wire"
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

// interval is how long after a renewal the next is sent. Together with what a node
// gathers them for it stays below half of the time to live, so that a session whose
// renewals are answered is never suspended. The jitter keeps sessions that were opened
// together from coming together.
func (s *Session) interval() time.Duration {
	return s.ttl/4 + s.client.jitter(s.ttl/20)
}

// renew asks for one renewal, and returns when to ask for the next.
func (s *Session) renew() time.Duration {
	q, err := s.askAround()
	switch {
	case err == nil:
		s.noteRenewal(q.sent)
		return time.Until(q.sent.Add(s.interval()))
	case codeOf(err) == wire.CodeSessionExpired:
		s.expired(err)
		return 0
	}
	// What the nodes refuse now they may take again before the session is lost.
	retry := &s.client.cfg.Retry
	return s.client.pause(0, retry.PauseMax, retry.PauseMax)
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
