// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// LivenessConfig says how far requests overrule gossip.
type LivenessConfig struct {
	// Threshold is how many failures in a row make a node count as down. One may be
	// a slow disk or a connection that went stale.
	Threshold int
	// BaseDown is how long the first time lasts; each further failure after it
	// doubles it.
	BaseDown time.Duration
	// MaxDown bounds it: a node that came back is asked again within this time.
	MaxDown time.Duration
	// AnswerTrust is how long a node that answered counts as alive although gossip
	// says that it is down.
	AnswerTrust time.Duration
	// Forget is how long a failure counts as recent.
	Forget time.Duration
}

// DefaultLivenessConfig returns the defaults: two failures, 100 ms to 2 s down, 5 s
// of trust, 30 s of memory. A dead node then costs each coordinator two failed
// requests, and one round of requests every 2 s until gossip has found it too.
func DefaultLivenessConfig() LivenessConfig {
	return LivenessConfig{
		Threshold:   2,
		BaseDown:    100 * time.Millisecond,
		MaxDown:     2 * time.Second,
		AnswerTrust: 5 * time.Second,
		Forget:      30 * time.Second,
	}
}

// Validate returns all faults of c, joined, or nil.
func (c LivenessConfig) Validate() error {
	var faults []error
	if c.Threshold < 1 || c.Threshold > 100 {
		faults = append(faults, fmt.Errorf("gossip: threshold %d must be 1 to 100", c.Threshold))
	}
	if c.BaseDown <= 0 || c.MaxDown < c.BaseDown || c.MaxDown > time.Minute {
		faults = append(faults, fmt.Errorf(
			"gossip: base down %v and max down %v must be above 0, in this order, at most 1m",
			c.BaseDown, c.MaxDown))
	}
	if c.AnswerTrust <= 0 || c.Forget < c.MaxDown {
		faults = append(faults, fmt.Errorf(
			"gossip: answer trust %v must be above 0, forget %v at least max down %v",
			c.AnswerTrust, c.Forget, c.MaxDown))
	}
	return errors.Join(faults...)
}

// Liveness blends what gossip says with what requests met. It orders replicas and
// picks fallbacks, and decides nothing else. It reads no clock: what it answers
// follows from the calls and their `now`. Safe for concurrent use.
type Liveness struct {
	cfg    LivenessConfig
	gossip func(kv.NodeID) bool

	// Guarded by mu.
	mu    sync.Mutex
	nodes map[kv.NodeID]evidence // at most maxEvidence
}

// maxEvidence bounds what is remembered: callers ask about members of the ring only.
const maxEvidence = MaxMembers

// evidence is what requests to one node met.
type evidence struct {
	failures   int // in a row, since the last answer
	lastFail   time.Time
	downUntil  time.Time // zero: not down
	lastAnswer time.Time
}

// NewLiveness returns a Liveness without evidence. gossip is Gossip.Alive, or
// anything like it that does not wait. It returns the faults of cfg.
func NewLiveness(cfg LivenessConfig, gossip func(kv.NodeID) bool) (*Liveness, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Liveness{cfg: cfg, gossip: gossip, nodes: make(map[kv.NodeID]evidence)}, nil
}

// Alive reports whether node is worth a request now: not while it is down for its
// failures; else if it answered lately; else as gossip says.
func (l *Liveness) Alive(node kv.NodeID, now time.Time) bool {
	l.mu.Lock()
	e := l.nodes[node]
	l.mu.Unlock()
	switch {
	case l.isDown(e, now):
		return false
	case e.failures == 0 && within(e.lastAnswer, now, l.cfg.AnswerTrust):
		return true
	default:
		return l.gossip(node)
	}
}

// Failed records that a request to node met no answer: refused, reset or timed out.
// An error that the node itself sent is an answer. What fails while the node is down
// does not count: it was under way before, and says nothing new.
func (l *Liveness) Failed(node kv.NodeID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.nodes[node]
	if now.Before(e.lastAnswer) || l.isDown(e, now) {
		return
	}
	if e.failures > 0 && !within(e.lastFail, now, l.cfg.Forget) {
		e.failures = 0
	}
	e.lastFail = now
	e.failures++
	if e.failures >= l.cfg.Threshold {
		e.downUntil = now.Add(l.downFor(e.failures - l.cfg.Threshold))
	}
	l.store(node, e, now)
}

// Succeeded records that node answered.
func (l *Liveness) Succeeded(node kv.NodeID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.nodes[node]
	if now.Before(e.lastAnswer) {
		now = e.lastAnswer
	}
	l.store(node, evidence{lastAnswer: now}, now)
}

// downFor doubles BaseDown doublings times, up to MaxDown.
func (l *Liveness) downFor(doublings int) time.Duration {
	d := l.cfg.BaseDown
	for range doublings {
		if d >= l.cfg.MaxDown {
			break
		}
		d *= 2
	}
	return min(d, l.cfg.MaxDown)
}

// isDown bounds the time by MaxDown from both ends, so that a clock that went back
// does not keep a node down.
func (l *Liveness) isDown(e evidence, now time.Time) bool {
	left := e.downUntil.Sub(now)
	return left > 0 && left <= l.cfg.MaxDown
}

func within(then, now time.Time, d time.Duration) bool {
	return !then.IsZero() && now.Sub(then) <= d
}

// store keeps e, and where there is no room forgets what has no more effect.
func (l *Liveness) store(node kv.NodeID, e evidence, now time.Time) {
	if _, known := l.nodes[node]; !known && len(l.nodes) >= maxEvidence {
		for n, old := range l.nodes {
			if !within(old.lastFail, now, l.cfg.Forget) &&
				!within(old.lastAnswer, now, l.cfg.AnswerTrust) {
				delete(l.nodes, n)
			}
		}
		if len(l.nodes) >= maxEvidence {
			return // gossip decides for the rest
		}
	}
	l.nodes[node] = e
}
