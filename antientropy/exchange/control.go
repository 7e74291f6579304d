// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// MaxPause is the longest that the repairs may be paused at a time.
const MaxPause = 24 * time.Hour

// maxShown is how many pairs a status names that are not settled.
const maxShown = 16

// Status is how this node's repairs stand.
type Status struct {
	// Paused is how long nothing is compared yet; 0: the repairs go on.
	Paused time.Duration
	// Round is the newest that was begun, or the one that was asked for. Of Pairs pairs
	// Settled are known to hold the same as of some time after it began.
	Round          uint64
	Pairs, Settled int
	Running        int
	// Oldest is how long ago the pair was settled that has waited longest; below 0: one
	// never was.
	Oldest time.Duration
	// Behind are some pairs that are not settled, and why.
	Behind []Behind
	Scrub  ScrubStatus
}

// Behind is a pair that is not settled.
type Behind struct {
	Partition uint16
	Node      kv.NodeID
	Name      string
	Outcome   Outcome
	Why       string
}

// Done reports whether every pair is settled in the status's round.
func (s *Status) Done() bool { return s.Settled == s.Pairs }

// Counters count what exchanges did.
func (e *Exchange) Counters() *Counters { return &e.counts }

// Status tells how the repairs stand; round is the one that progress is told of, 0: the
// newest.
func (e *Exchange) Status(round uint64) Status {
	current, now := e.cfg.Ring(), time.Now()
	scrub := e.mends.status()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan.follow(current, e.cfg.Node, now)
	if round == 0 || round > e.plan.round {
		round = e.plan.round
	}
	s := Status{
		Round: round, Running: e.running, Paused: max(0, e.paused.Sub(now)), Oldest: -1, Scrub: scrub,
	}
	s.Settled, s.Pairs = e.plan.progress(round)
	if at := e.plan.oldest(); !at.IsZero() {
		s.Oldest = now.Sub(at)
	}
	for _, a := range e.plan.behind(round, maxShown) {
		s.Behind = append(s.Behind, Behind{
			Partition: a.partition, Node: a.node, Name: nameOf(current, a.node),
			Outcome: a.outcome, Why: a.why,
		})
	}
	return s
}

// PeerStatus is how the pairs with one other owner stand.
type PeerStatus struct {
	Node  kv.NodeID
	Pairs int
	// Newest is when one of them was settled last, Oldest when the one was that has waited
	// longest; zero where that never happened.
	Newest, Oldest time.Time
}

// Peers tells of each other owner that this node compares with.
func (e *Exchange) Peers() []PeerStatus {
	current, now := e.cfg.Ring(), time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan.follow(current, e.cfg.Node, now)
	return e.plan.peers()
}

// Begin begins a round, in which all pairs are compared anew, and returns its number. It
// goes on until each of them is settled, whoever waits for it.
func (e *Exchange) Begin() uint64 {
	current, now := e.cfg.Ring(), time.Now()
	defer e.poke()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan.follow(current, e.cfg.Node, now)
	return e.plan.begin(now)
}

// Wait returns when all pairs are settled in a round, or when ctx ends, with how far it is.
func (e *Exchange) Wait(ctx context.Context, round uint64) Status {
	for {
		news := e.listen()
		s := e.Status(round)
		if s.Done() {
			return s
		}
		select {
		case <-news:
		case <-ctx.Done():
			return s
		}
	}
}

// listen returns what is closed at the next news.
func (e *Exchange) listen() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.news == nil {
		e.news = make(chan struct{})
	}
	return e.news
}

// Pause has nothing compared, repaired or scrubbed for a while; what is under way ends at
// its next step. It does not outlast the node: that replicas are compared is what keeps
// the promises, and a pause that somebody forgot must not be what ends it.
func (e *Exchange) Pause(d time.Duration) error {
	if d <= 0 || d > MaxPause {
		return fmt.Errorf("exchange: a pause of %v must be above 0, at most %v", d, MaxPause)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.paused = time.Now().Add(d)
	e.spread()
	return nil
}

// Resume ends a pause.
func (e *Exchange) Resume() {
	defer e.poke()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.paused = time.Time{}
	e.spread()
}

// Drain has nothing begun any more, and returns when no key is being repaired or mended, or
// with ctx's error. The node is about to end: what is left the next exchange finds.
func (e *Exchange) Drain(ctx context.Context) error {
	e.mu.Lock()
	if !e.drained {
		e.drained = true
		close(e.ending)
	}
	e.mu.Unlock()
	for {
		news := e.listen()
		if e.idle() {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *Exchange) idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running == 0 && !e.mending
}
