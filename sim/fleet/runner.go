// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// Runner runs one plan. Several goroutines may ask at once.
type Runner interface {
	Run(ctx context.Context, p *plan.Plan, o RunOptions) (*trial.Result, error)
}

// RunOptions say how one plan is run.
type RunOptions struct {
	// Mutant is the known bug that is switched on; empty: none.
	Mutant string
	// Keep says where the files of a run go: a folder, or nowhere if it is empty. It is asked
	// when the result is there; nil keeps nothing.
	Keep func(*trial.Result) string
}

// Rules of this package, beside those of the checkers and of the trial.
const (
	ruleCrash       = "crash"       // the process panicked, or found itself in a deadlock
	ruleRace        = "race"        // the race detector spoke
	ruleTimeout     = "timeout"     // it took longer than it may
	ruleMemory      = "memory"      // it took more memory than it may
	ruleKilled      = "killed"      // somebody else ended it
	ruleChild       = "child"       // it ended without a result, and without a stack
	ruleDeterminism = "determinism" // two runs of one plan differ
	ruleFiles       = "files"       // what it left could not be put where it was asked for
)

// spoil adds a problem to a result, and makes its verdict as bad as that.
func spoil(r *trial.Result, p trial.Problem) {
	verdict := checker.Invalid
	if p.Unknown {
		verdict = checker.Unknown
	}
	if r.Verdict != checker.Invalid {
		r.Verdict = verdict
	}
	if p.Unknown {
		r.Problems = append(r.Problems, p)
		return
	}
	r.Problems = append([]trial.Problem{p}, r.Problems...) // worst first
}

// Red reports whether a result is anything but valid.
func Red(r *trial.Result) bool { return r.Verdict != checker.Valid }

// Stored reports whether the files of a result are where they were asked for.
func Stored(r *trial.Result) bool { return !slices.Contains(Rules(r), ruleFiles) }

// Rules names what a result says was broken, each once, worst first.
func Rules(r *trial.Result) []string {
	var rules []string
	known := make(map[string]bool)
	for _, p := range r.Problems {
		if !known[p.Rule] {
			known[p.Rule] = true
			rules = append(rules, p.Rule)
		}
	}
	return rules
}
