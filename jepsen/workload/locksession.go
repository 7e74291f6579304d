// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// use is the client's session. Its owner opens one where there is none, or where the old one
// is lost; for other holders it is nil then, and they wait for their next turn.
func (h *LockHolder) use(ctx context.Context) (*lockSession, error) {
	c := h.client
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	switch {
	case s != nil && !s.gone():
		return s, nil
	case !h.owner:
		return nil, nil
	case s != nil:
		if err := h.lost(s); err != nil {
			return nil, err
		}
	}
	return h.open(ctx)
}

func (h *LockHolder) open(ctx context.Context) (*lockSession, error) {
	c := h.client
	c.mu.Lock()
	c.sessions++
	name := fmt.Sprintf("%d.%d", c.id, c.sessions)
	c.mu.Unlock()
	op := h.session(history.SessionOpen, name)
	session, got := c.service.Open(ctx, c.ttl)
	op.Completed, op.Outcome, op.Node, op.Error = c.now(), got.Outcome, got.Node, got.Error
	if got.Outcome != history.OK {
		return nil, c.save(op)
	}
	s := &lockSession{LockSession: session, name: name}
	op.TTL = int64(session.TTL())
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	return s, c.save(op)
}

// lost records that the client has told of its session's loss.
func (h *LockHolder) lost(s *lockSession) error {
	h.drop()
	op := h.session(history.SessionLost, s.name)
	op.Completed, op.Outcome, op.Lock.Renewed = op.Invoked, history.OK, s.Renewed()
	op.Lock.Lost = true
	return h.client.save(op)
}

func (h *LockHolder) leave(s *lockSession) error {
	h.drop()
	op := h.session(history.SessionLeave, s.name)
	op.Lock.Lost = s.Lost()
	s.leave()
	s.Leave()
	op.Completed, op.Outcome, op.Lock.Renewed = h.client.now(), history.OK, s.Renewed()
	return h.client.save(op)
}

// Close ends the client's session, if there is one; for its owner.
func (h *LockHolder) Close(ctx context.Context) error {
	s := h.drop()
	if s == nil {
		return nil
	}
	op := h.session(history.SessionClose, s.name)
	op.Lock.Lost = s.Lost()
	s.leave()
	got := s.Close(ctx)
	op.Completed, op.Outcome, op.Node, op.Error = h.client.now(), got.Outcome, got.Node, got.Error
	op.Lock.Expired = got.Expired && got.Outcome != history.OK
	op.Lock.Renewed = s.Renewed()
	return h.client.save(op)
}

// drop leaves the client without a session.
func (h *LockHolder) drop() *lockSession {
	h.client.mu.Lock()
	defer h.client.mu.Unlock()
	s := h.client.session
	h.client.session = nil
	return s
}

func (h *LockHolder) session(k history.Kind, name string) *history.Op {
	return &history.Op{
		Process: h.process, Kind: k, Key: name, Invoked: h.client.now(),
		Lock: history.Lock{Session: name},
	}
}
