// SPDX-License-Identifier: Apache-2.0

package fail

import (
	"errors"
	"fmt"
	"sync"
)

// ErrDropped is what a point with Drop answers: the caller throws away what it was
// about to send or store, and says nothing, as a lossy network or disk would.
var ErrDropped = errors.New("fail: dropped by a failpoint")

// Plan says what happens at a point, and when. What is set of Hook, Panic, Err and
// Drop happens in this order; a plan with none of them only counts.
type Plan struct {
	// Skip lets this many hits pass first, counted from when the plan was armed.
	Skip int
	// Times is how many hits then fail; 0 means all of them.
	Times int
	// Hook runs in the goroutine that hit the point. It may sleep, or hold the caller
	// on a channel; its error goes to the caller.
	Hook func() error
	// Panic ends the goroutine by a panic with this text, for crashes at a point.
	Panic string
	// Err goes to the caller.
	Err error
	// Drop answers ErrDropped.
	Drop bool
}

// Set is the failpoints of one node. It is safe for concurrent use; a nil *Set is one
// that never fails.
type Set struct {
	mu     sync.Mutex
	points map[string]*point // guarded by mu
}

// point is what is known of one name.
type point struct {
	hits  int // since the set was made
	armed bool
	plan  Plan
	since int // hits since the plan was armed
}

// NewSet returns a set with nothing armed.
func NewSet() *Set { return &Set{points: make(map[string]*point)} }

// Hit passes a point. It returns nil unless a plan says otherwise. It is small enough
// to be inlined: a nil set costs one comparison.
func (s *Set) Hit(name string) error {
	if s == nil {
		return nil
	}
	return s.hit(name)
}

// Dropped passes a point where only Drop makes sense. It reports whether what was
// about to happen must silently not happen; any other error counts as a drop too.
func (s *Set) Dropped(name string) bool {
	if s == nil {
		return false
	}
	return s.hit(name) != nil
}

// Arm sets the plan of a point, in the place of an earlier one.
func (s *Set) Arm(name string, plan Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.point(name)
	p.armed, p.plan, p.since = true, plan, 0
}

// Disarm takes the plan away. Hits that its hook holds are not released by it.
func (s *Set) Disarm(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.point(name).armed = false
}

// Hits returns how often a point was passed since the set was made.
func (s *Set) Hits(name string) int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.point(name).hits
}

func (s *Set) hit(name string) error {
	plan, due := s.count(name)
	if !due {
		return nil
	}
	if plan.Hook != nil {
		if err := plan.Hook(); err != nil {
			return fmt.Errorf("failpoint %s: %w", name, err)
		}
	}
	if plan.Panic != "" {
		panic(fmt.Sprintf("failpoint %s: %s", name, plan.Panic))
	}
	if plan.Err != nil {
		return fmt.Errorf("failpoint %s: %w", name, plan.Err)
	}
	if plan.Drop {
		return ErrDropped
	}
	return nil
}

// count notes a hit and says whether the plan is due at it.
func (s *Set) count(name string) (Plan, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.point(name)
	p.hits++
	if !p.armed {
		return Plan{}, false
	}
	p.since++
	due := p.since > p.plan.Skip && (p.plan.Times == 0 || p.since <= p.plan.Skip+p.plan.Times)
	return p.plan, due
}

// point returns the point of a name. The caller holds mu. The map is bounded by the
// constants in the code: a name never comes from outside.
func (s *Set) point(name string) *point {
	p, ok := s.points[name]
	if !ok {
		p = new(point)
		s.points[name] = p
	}
	return p
}
