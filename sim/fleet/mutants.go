// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// MutantsMedian is within how many seeds half of the mutants must be caught.
const MutantsMedian = 10

// Mutants asks after how many seeds each known bug is seen.
type Mutants struct {
	// List are the bugs; Seeds is how many seeds each may take, from From on.
	List  []mutant.Info
	From  uint64
	Seeds int
	// Time is how long seeds are begun, for all mutants together; 0: no bound.
	Time     time.Duration
	Parallel int
	Draw     func(seed uint64) *plan.Plan
	// Keep is asked where the files of a run go; nil keeps none.
	Keep func(*trial.Result) string
	// Progress is told after each seed how many the mutant has had; nil: nobody is.
	Progress func(name mutant.Name, seeds int)

	alarms map[uint64]bool // whether a seed is invalid without a mutant, as far as it was asked
}

// Caught tells of one mutant.
type Caught struct {
	Name   mutant.Name `json:"name"`
	Number string      `json:"number"`
	What   string      `json:"what"`
	// Caught says that a seed was invalid, After how many seeds with that one, Seed which
	// one, and Rules what it broke.
	Caught  bool     `json:"caught"`
	After   int      `json:"after,omitempty"`
	Seed    uint64   `json:"seed"`
	Rules   []string `json:"rules,omitempty"`
	Seconds float64  `json:"seconds"`
	// Unknown counts seeds before it of which nobody can tell; Alarms lists those that are
	// invalid without the mutant as well: they do not count.
	Unknown int `json:"unknown,omitempty"`
	// Cut says that it was not caught in the seeds that the time was enough for.
	Cut    bool     `json:"cut,omitempty"`
	Alarms []uint64 `json:"alarms,omitempty"`
}

// Score is what all mutants showed.
type Score struct {
	Mutants []Caught `json:"mutants"`
	Caught  int      `json:"caught"`
	// Median and Worst are over all, a mutant that was not caught counting as one more seed
	// than there were.
	Median float64 `json:"median"`
	Worst  int     `json:"worst"`
	Pass   bool    `json:"pass"`
	// Spent says that the time ended before all seeds were run: that a mutant was not caught
	// says nothing then.
	Spent bool `json:"spent,omitempty"`
}

// Verdict is invalid where a mutant was not caught although it had all its seeds, or where
// half of them took too many; unknown where only the time was too short.
func (s *Score) Verdict() checker.Verdict {
	missed := slices.ContainsFunc(s.Mutants, func(c Caught) bool { return !c.Caught && !c.Cut })
	switch {
	case s.Pass:
		return checker.Valid
	case s.Spent && !missed || len(s.Mutants) == 0:
		return checker.Unknown
	default:
		return checker.Invalid
	}
}

// Run tries one mutant after the other, and tells each.
func (m *Mutants) Run(ctx context.Context, r Runner, each func(Caught)) (*Score, error) {
	score := &Score{}
	defer func() { score.finish(m.Seeds) }()
	began := time.Now()
	for _, info := range m.List {
		c, err := m.one(ctx, r, info, began)
		if err != nil {
			return score, fmt.Errorf("mutant %s: %w", info.Name, err)
		}
		score.Mutants = append(score.Mutants, c)
		each(c)
	}
	return score, nil
}

// one tries one mutant; all is when the first of them began.
func (m *Mutants) one(
	ctx context.Context, r Runner, info mutant.Info, all time.Time,
) (Caught, error) {
	began := time.Now()
	c := Caught{Name: info.Name, Number: info.Number, What: info.What}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	sweep := Sweep{
		From: m.From, Seeds: m.Seeds, Parallel: m.Parallel, Draw: m.Draw,
		Options: RunOptions{Mutant: string(info.Name), Keep: m.Keep},
	}
	if m.Time > 0 {
		sweep.Time = max(1, m.Time-time.Since(all)) // 0 would be no bound
	}
	n := 0
	var failed error
	_, err := sweep.Run(inner, r, func(res *trial.Result) {
		n++
		if m.Progress != nil {
			m.Progress(info.Name, n)
		}
		switch {
		case c.Caught || failed != nil: // it ran beside the last that counts
		case res.Verdict == checker.Unknown:
			c.Unknown++
		case res.Verdict == checker.Invalid:
			var alarm bool
			if alarm, failed = m.alarm(ctx, r, res.Plan); alarm {
				c.Alarms = append(c.Alarms, res.Plan.Seed)
			} else if failed == nil {
				c.Caught, c.After, c.Seed, c.Rules = true, n, res.Plan.Seed, broken(res)
				stop()
			}
		}
	})
	c.Seconds = time.Since(began).Seconds()
	c.Cut = !c.Caught && n < m.Seeds
	if failed != nil {
		return c, failed
	}
	if ctx.Err() != nil {
		return c, ctx.Err()
	}
	if c.Caught {
		err = nil // those behind it were stopped
	}
	return c, err
}

// alarm reports whether a plan breaks a rule without any mutant: then it proves nothing.
func (m *Mutants) alarm(ctx context.Context, r Runner, p *plan.Plan) (bool, error) {
	if alarm, asked := m.alarms[p.Seed]; asked {
		return alarm, nil
	}
	res, err := r.Run(ctx, p, RunOptions{})
	if err != nil {
		return false, err
	}
	if m.alarms == nil {
		m.alarms = make(map[uint64]bool)
	}
	m.alarms[p.Seed] = res.Verdict == checker.Invalid
	return m.alarms[p.Seed], nil
}

func (s *Score) finish(seeds int) {
	var after []int
	for i := range s.Mutants {
		s.Spent = s.Spent || s.Mutants[i].Cut
		n := seeds + 1
		if s.Mutants[i].Caught {
			s.Caught++
			n = s.Mutants[i].After
		}
		after = append(after, n)
	}
	if len(after) == 0 {
		return
	}
	slices.Sort(after)
	half := len(after) / 2
	s.Median = float64(after[half])
	if len(after)%2 == 0 {
		s.Median = float64(after[half-1]+after[half]) / 2
	}
	s.Worst = after[len(after)-1]
	s.Pass = s.Caught == len(s.Mutants) && s.Median <= MutantsMedian
}
