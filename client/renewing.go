// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/wire"
)

const (
	// asideShare is after which part of the time to live without an answer more nodes are
	// asked for a renewal: later than a node that gathers renewals sends them on, which is
	// an eighth of what it is told that a request has.
	asideShare = 6
	// asideMin and asideMost bound that time. A quorum must be able to answer within it.
	asideMin  = time.Second
	asideMost = 10 * time.Second
	// asideNodes is how many more nodes are asked at a time.
	asideNodes = 3
	// requestMost bounds how long one node is asked: a request has half of the time to live,
	// or this.
	requestMost = 30 * time.Second
)

// renewing is one renewal on its way. One node is asked, and more of them each time that
// none has answered for a while. Who was asked is not given up before: a node that waits
// for the group's next leader answers when there is one, and one that is paused when it
// goes on. An answer counts from when its own request was sent.
type renewing struct {
	session *Session
	ctx     context.Context
	until   time.Time // when the session is lost
	first   *node
	// waiting are the nodes to ask next, best first; those beside first are in it once they
	// are needed.
	waiting []*node
	others  bool // they are, or were
	// aside says that others than first are asked, or that there is only one to ask: each
	// has several attempts.
	aside   bool
	open    int // how many were asked and have not answered
	answers chan renewAnswer
	asking  sync.WaitGroup
}

type renewAnswer struct {
	node *node
	q    *call
	err  error
}

// askAround sends one renewal, and returns the request that the group has answered first.
// The error is SESSION_EXPIRED, or there may be another renewal after it.
func (s *Session) askAround() (*call, error) {
	ctx, cancel := context.WithCancel(s.over)
	r := &renewing{session: s, ctx: ctx, answers: make(chan renewAnswer)}
	defer r.asking.Wait()
	defer cancel()
	r.ask(r.begin())
	patience := min(max(s.ttl/asideShare, asideMin), asideMost)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	for r.open > 0 {
		select {
		case a := <-r.answers:
			r.open--
			if a.err == nil || codeOf(a.err) == wire.CodeSessionExpired {
				return a.q, a.err
			}
			err = a.err
			r.waiting = append(r.waiting, a.node)
			if r.aside {
				continue // others are being asked
			}
		case <-timer.C:
			timer.Reset(patience)
			if !r.aside && patience >= s.client.cfg.TryTimeout/2 {
				r.first.failed() // another's answer will end its request, which then tells nothing
			}
		case <-ctx.Done():
			return nil, context.Cause(s.over)
		case <-s.client.life.Done():
			return nil, ErrClosed
		}
		r.aside = true
		r.ask(asideNodes)
	}
	return nil, err
}

// begin chooses the node to ask first, and returns how many to ask. Where much of the
// session's time is over there is none left to find out who is silent: this side may have
// been paused.
func (r *renewing) begin() (count int) {
	s := r.session
	s.mu.Lock()
	r.until = s.until
	late := time.Since(s.renewed) >= s.ttl/2
	s.mu.Unlock()
	q := s.call(wire.MethodSessionKeepAlive, wire.OpRead)
	s.client.readyView(r.ctx, q)
	r.first = s.client.pick(q, time.Now())
	r.waiting, r.others = append(r.waiting, r.first), s.endpoint != ""
	r.aside = late || r.others
	if late {
		return asideNodes
	}
	return 1
}

// ask asks up to count of the nodes that wait.
func (r *renewing) ask(count int) {
	s := r.session
	if r.aside && !r.others {
		r.waiting, r.others = append(s.client.others(r.first), r.waiting...), true
	}
	for ; count > 0 && len(r.waiting) > 0; count-- {
		n := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.open++
		q := r.request(n)
		r.asking.Go(func() {
			_, err := ask(r.ctx, s.client, q, decodeEmpty)
			select {
			case r.answers <- renewAnswer{n, q, err}:
			case <-r.ctx.Done():
			}
		})
	}
}

// request is a request to one node.
func (r *renewing) request(n *node) *call {
	s := r.session
	q := s.call(wire.MethodSessionKeepAlive, wire.OpRead) // it leaves nothing to be unsure of
	q.endpoint, q.parks, q.deadline = n.addr, true, r.until
	if r.aside {
		q.most, q.try = maxAttempts, max(min(s.ttl/4, requestMost), s.client.cfg.TryTimeout)
		return q
	}
	q.most = 1
	if over := time.Now().Add(min(s.ttl/2, requestMost)); over.Before(q.deadline) {
		q.deadline = over
	}
	return q
}
