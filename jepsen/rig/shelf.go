// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/workload"
)

// leastSteps and mostSteps are how many steps a key is used for, in the mean of its shelf. A
// checker's work for a key grows with the square of its writes.
const leastSteps, mostSteps = 150, 350

// shelf is a workload that some sessions do together on some keys, and, when those have been
// used enough, on new ones. It is drawn anew each time: keys do not line up with each other.
type shelf struct {
	kind, name string
	options    workload.Options
	shape      func(*workload.Register) // what is drawn is changed by it; nil: it is not

	mu   sync.Mutex // guards what follows
	rng  *rand.Rand
	now  workload.Workload
	left int // steps until there are new keys
	all  []workload.Workload
}

func newShelf(seed uint64, kind string, n int, o workload.Options) *shelf {
	name := fmt.Sprintf("%s %d", kind, n)
	h := uint64(14695981039346656037) // FNV-1a: each shelf draws for itself
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return &shelf{kind: kind, name: name, options: o, rng: rand.New(rand.NewPCG(seed, h))}
}

// next draws a session's next step.
func (s *shelf) next(rng *rand.Rand) (workload.Step, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		prefix := fmt.Sprintf("%s/%d/", s.name, len(s.all))
		w, err := workload.Draw(s.rng, s.kind, prefix, s.options)
		if err != nil {
			return workload.Step{}, err
		}
		if r, ok := w.(workload.Register); ok && s.shape != nil {
			s.shape(&r)
			w = r
		}
		s.now, s.all = w, append(s.all, w)
		s.left = len(w.Final(1)) * (leastSteps + s.rng.IntN(mostSteps-leastSteps))
	}
	s.left--
	return s.now.Next(rng), nil
}

// finals are the reads of all keys that were used, of one round and with one level.
func (s *shelf) finals(round, r uint8) []workload.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	var steps []workload.Step
	for _, w := range s.all {
		for _, step := range w.Final(round) {
			step.Levels = workload.Levels{R: r}
			steps = append(steps, step)
		}
	}
	return steps
}

// pauseFor is the mean pause of each of some sessions that make so many operations a second.
func pauseFor(sessions, rate int) time.Duration {
	return max(time.Duration(sessions)*time.Second/time.Duration(rate), time.Millisecond)
}
