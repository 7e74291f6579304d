// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// Sweep runs one seed after the other.
type Sweep struct {
	// From is the first seed; Seeds is how many there are, and Time how long new ones are
	// begun. Of both at least one is set, and the first to come ends the sweep. So does the
	// last seed that there is.
	From  uint64
	Seeds int
	Time  time.Duration
	// Parallel is how many seeds run at once; 0: one for each processor.
	Parallel int
	// Twice runs each seed in two processes at once, and compares.
	Twice bool
	// FailFast begins no seed behind the first that is not valid, and stops those that run.
	FailFast bool
	// Draw makes the plan of a seed.
	Draw func(seed uint64) *plan.Plan
	// Options go to each run.
	Options RunOptions
	// Points are the failpoints that some seed must have passed; empty: none must.
	Points []string
}

// ahead is how far ahead of the seed that is told next others may be begun: one that
// takes its whole limit then keeps no processor idle.
const ahead = 64

// Run runs the sweep and calls each for every result, in the order of seeds. An error of
// the rig ends it; the summary then tells of what was done before.
func (s *Sweep) Run(ctx context.Context, r Runner, each func(*trial.Result)) (*Summary, error) {
	began := time.Now()
	sum := newSummary(s)
	inner, stop := context.WithCancel(ctx)
	order := make(chan chan outcome, ahead)
	var handing sync.WaitGroup
	handing.Go(func() { s.begin(inner, r, began, order) })
	var failed error
	for next := range order {
		out := <-next
		if failed != nil || sum.Stopped {
			continue // they were stopped
		}
		if out.err != nil {
			failed = out.err
			stop()
			continue
		}
		sum.add(out.result)
		each(out.result)
		if s.FailFast && Red(out.result) {
			sum.Stopped = true
			stop()
		}
	}
	stop()
	handing.Wait()
	if ctx.Err() != nil {
		failed = ctx.Err()
	}
	sum.Cut = failed != nil
	sum.finish(time.Since(began))
	return sum, failed
}

type outcome struct {
	result *trial.Result
	err    error
}

// begin starts the runs, puts the place of each result into order, and returns when all
// have ended.
func (s *Sweep) begin(ctx context.Context, r Runner, began time.Time, order chan<- chan outcome) {
	defer close(order)
	slots := make(chan struct{}, s.parallel())
	var running sync.WaitGroup
	defer running.Wait()
	for n := 0; s.Seeds == 0 || n < s.Seeds; n++ {
		if s.From+uint64(n) < s.From {
			return // the last seed there is
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if s.Time > 0 && time.Since(began) >= s.Time || ctx.Err() != nil {
			return
		}
		place := make(chan outcome, 1) // nobody waits to fill it
		running.Go(func() {
			defer func() { <-slots }()
			result, err := s.one(ctx, r, s.From+uint64(n))
			place <- outcome{result, err}
		})
		order <- place // Run reads it to its end
	}
}

func (s *Sweep) parallel() int {
	switch n := runtime.NumCPU(); {
	case s.Parallel > 0:
		return s.Parallel
	case s.Twice:
		return (n + 1) / 2
	default:
		return n
	}
}

func (s *Sweep) one(ctx context.Context, r Runner, seed uint64) (*trial.Result, error) {
	p := s.Draw(seed)
	if !s.Twice {
		return r.Run(ctx, p, s.Options)
	}
	results, errs := [2]*trial.Result{}, [2]error{}
	var both sync.WaitGroup
	for i := range results {
		o := s.Options
		if i > 0 {
			o.Keep = nil // the files of the first tell it
		}
		both.Go(func() { results[i], errs[i] = r.Run(ctx, p, o) })
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	results[0].CPU += results[1].CPU // what the seed cost
	before := results[0].Verdict
	Compare(results[0], results[1])
	if s.Options.Keep == nil || results[0].Verdict == before {
		return results[0], nil
	}
	// It was valid by itself, so that nothing was kept of it.
	if err := keepResult(s.Options.Keep(results[0]), p, results[0]); err != nil {
		spoil(results[0], notKept(err))
	}
	return results[0], nil
}

func keepResult(dir string, p *plan.Plan, r *trial.Result) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return errors.Join(writePlan(filepath.Join(dir, PlanFile), p),
		WriteResult(filepath.Join(dir, trial.ResultFile), r))
}

// Compare spoils a where b, of the same plan, went another way.
func Compare(a, b *trial.Result) {
	switch {
	case !a.Replayable || !b.Replayable:
		spoil(a, trial.Problem{
			Rule: ruleDeterminism, Text: "the runtime is not the edited one", Unknown: true,
		})
	case a.Hash == "" || b.Hash == "":
		if a.Verdict == checker.Valid || b.Verdict == checker.Valid {
			spoil(a, trial.Problem{Rule: ruleDeterminism, Text: fmt.Sprintf(
				"one run has no hash: %s and %s", a.Verdict, b.Verdict)})
		}
	case a.Hash != b.Hash:
		spoil(a, trial.Problem{
			Rule: ruleDeterminism, Text: fmt.Sprintf("two runs differ: hash %s and %s", a.Hash, b.Hash),
		})
	}
}
