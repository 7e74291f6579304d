// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// ErrGreen is returned for a plan that shows nothing to shrink towards.
var ErrGreen = errors.New("fleet: the plan is valid")

// errSpent ends a search whose budget is used up.
var errSpent = errors.New("fleet: no run left")

// Shrink makes a plan smaller that breaks a rule, so that it still breaks one of the same.
type Shrink struct {
	// Runs and Time bound the search; 0: no bound. The run that begins it is not counted.
	Runs int
	Time time.Duration
	// Tries is with how many seeds a candidate is run before it counts as valid; 0: one. What
	// a bug needs by chance a smaller plan may have with another seed only.
	Tries int
	// Parallel is how many candidates run at once; 0: one for each processor.
	Parallel int
	// Rule is the one that must stay broken. Empty: one of those whose violations tell how
	// they came about, if there are any, otherwise any of those that are broken.
	Rule string
	// Options go to each run. Nothing is kept.
	Options RunOptions
	// Progress is told what is being tried; nil: nobody is.
	Progress func(Progress)
}

// Progress is how far a search is.
type Progress struct {
	Runs   int
	What   string
	Faults int
	Loads  int
}

// Shrunk is what a search found.
type Shrunk struct {
	// Plan is the smallest plan that was found, Result what its run showed.
	Plan   *plan.Plan    `json:"plan"`
	Result *trial.Result `json:"result"`
	// Rules are those that the first plan broke, and one of which stays broken.
	Rules []string `json:"rules"`
	// Steps are what was taken away, in order.
	Steps []string `json:"steps"`
	Runs  int      `json:"runs"`
	// Spent says that the search ended with its budget, not because nothing was left to try.
	Spent bool `json:"spent"`
}

// search is the state of one.
type search struct {
	*Shrink
	runner Runner
	ctx    context.Context // of Run, which waits for all that is begun here
	began  time.Time
	rules  map[string]bool
	out    *Shrunk
	known  map[[sha256.Size]byte]*trial.Result // of each plan that was tried
	now    string
}

// Run searches. Where the first plan is valid the error is ErrGreen, and the result tells
// of its run.
func (s *Shrink) Run(ctx context.Context, r Runner, p *plan.Plan) (*Shrunk, error) {
	s.Options.Keep = nil
	first, err := r.Run(ctx, p, s.Options)
	if err != nil {
		return nil, err
	}
	out := &Shrunk{Plan: p, Result: first, Rules: s.goals(first)}
	if first.Verdict == checker.Valid {
		return out, ErrGreen
	}
	if s.Rule != "" && !slices.Contains(Rules(first), s.Rule) {
		return out, fmt.Errorf("%w as far as rule %s goes: it breaks %s",
			ErrGreen, s.Rule, strings.Join(Rules(first), ", "))
	}
	x := &search{
		Shrink: s, runner: r, ctx: ctx, began: time.Now(), out: out,
		rules: make(map[string]bool), known: make(map[[sha256.Size]byte]*trial.Result),
	}
	for _, rule := range out.Rules {
		x.rules[rule] = true
	}
	x.known[keyOf(p)] = first
	err = x.all()
	if errors.Is(err, errSpent) {
		out.Spent, err = true, nil
	}
	return out, err
}

// goals are the rules of which one must stay broken.
func (s *Shrink) goals(r *trial.Result) []string {
	if s.Rule != "" {
		return []string{s.Rule}
	}
	all := broken(r)
	if told := slices.DeleteFunc(slices.Clone(all), func(rule string) bool {
		return !hasPath(r.Report, rule)
	}); len(told) > 0 {
		return told
	}
	return all
}

// hasPath reports whether a report tells how a violation of a rule came about.
func hasPath(report *checker.Report, rule string) bool {
	if report == nil {
		return false
	}
	return slices.ContainsFunc(report.Results, func(res checker.Result) bool {
		return slices.ContainsFunc(res.Violations, func(v checker.Violation) bool {
			return v.Rule == rule && len(v.Path) > 0
		})
	})
}

// broken are the rules that certainly are, or, where there are none, those that may be.
func broken(r *trial.Result) []string {
	var certain []string
	for _, p := range r.Problems {
		if !p.Unknown && !slices.Contains(certain, p.Rule) {
			certain = append(certain, p.Rule)
		}
	}
	if len(certain) > 0 {
		return certain
	}
	return Rules(r)
}

// all goes on until a whole round finds nothing: what could not be left out of a large plan
// may be left out of a small one.
func (x *search) all() error {
	for {
		before := len(x.out.Steps)
		if err := x.faults(); err != nil {
			return err
		}
		if err := x.rest(); err != nil {
			return err
		}
		if len(x.out.Steps) == before {
			return nil
		}
	}
}

func (x *search) faults() error {
	from := x.out.Plan
	least, err := ddmin(len(from.Faults), func(subsets [][]int) (int, error) {
		plans := make([]*plan.Plan, len(subsets))
		for i, keep := range subsets {
			plans[i] = from.WithFaults(keep)
		}
		x.now = fmt.Sprintf("%d of %d faults", len(subsets[0]), len(from.Faults))
		return x.firstRed(plans)
	})
	if n := len(from.Faults) - len(least); n > 0 {
		x.out.Steps = append(x.out.Steps, fmt.Sprintf("without %d faults", n))
	}
	return err
}

// rest takes one step after the other, as long as the run stays red.
func (x *search) rest() error {
	failed := make(map[string]bool)
	for {
		var names []string
		var plans []*plan.Plan
		for _, step := range x.out.Plan.Smaller() {
			if !failed[step.What] {
				names, plans = append(names, step.What), append(plans, step.Plan)
			}
		}
		if len(plans) == 0 {
			return nil
		}
		plans = plans[:min(len(plans), x.parallel())]
		x.now = strings.Join(names[:len(plans)], ", ")
		i, err := x.firstRed(plans)
		if err != nil {
			return err
		}
		for n, name := range names[:len(plans)] {
			if n == i {
				x.out.Steps = append(x.out.Steps, name)
				break // what comes behind it was not asked
			}
			failed[name] = true
		}
	}
}

func (x *search) parallel() int {
	if x.Parallel > 0 {
		return x.Parallel
	}
	return runtime.NumCPU()
}

// firstRed returns the place of the first plan that breaks one of the rules, and takes it;
// -1 where none does. Each is run with the seed of the smallest plan so far, and then each
// with another one.
func (x *search) firstRed(plans []*plan.Plan) (int, error) {
	seed := x.out.Plan.Seed
	for try := range max(1, x.Tries) {
		for i, p := range plans {
			plans[i] = p.Clone()
			plans[i].Seed = seed + uint64(try)
		}
		if i, err := x.firstOf(plans); i >= 0 || err != nil {
			return i, err
		}
	}
	return -1, nil
}

// firstOf does it with the seeds as they are. Several run at once, the first counts: the
// result does not depend on which of them is the fastest.
func (x *search) firstOf(plans []*plan.Plan) (int, error) {
	for from := 0; from < len(plans); from += x.parallel() {
		batch := plans[from:min(len(plans), from+x.parallel())]
		results, err := x.try(batch)
		if err != nil {
			return -1, err
		}
		for i, r := range results {
			if x.red(r) {
				x.out.Plan, x.out.Result = batch[i], r
				return from + i, nil
			}
		}
	}
	return -1, nil
}

func (x *search) red(r *trial.Result) bool {
	return slices.ContainsFunc(Rules(r), func(rule string) bool { return x.rules[rule] })
}

// try runs those plans that have not been run yet.
func (x *search) try(plans []*plan.Plan) ([]*trial.Result, error) {
	results, errs := make([]*trial.Result, len(plans)), make([]error, len(plans))
	keys := make([][sha256.Size]byte, len(plans))
	var running sync.WaitGroup
	defer running.Wait()
	for i, p := range plans {
		keys[i] = keyOf(p)
		if results[i] = x.known[keys[i]]; results[i] != nil {
			continue
		}
		if x.spent() {
			return nil, errSpent
		}
		x.out.Runs++
		if x.Progress != nil {
			x.Progress(Progress{Runs: x.out.Runs, What: x.now,
				Faults: len(x.out.Plan.Faults), Loads: len(x.out.Plan.Loads)})
		}
		running.Go(func() { results[i], errs[i] = x.runner.Run(x.ctx, p, x.Options) })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, key := range keys {
		x.known[key] = results[i]
	}
	return results, nil
}

func (x *search) spent() bool {
	return x.Runs > 0 && x.out.Runs >= x.Runs || x.Time > 0 && time.Since(x.began) >= x.Time
}

func keyOf(p *plan.Plan) [sha256.Size]byte {
	h := sha256.New()
	_ = plan.Write(h, p) // a hash takes everything
	return [sha256.Size]byte(h.Sum(nil))
}
