// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// fake is a Runner whose results are made up.
type fake struct {
	result func(p *plan.Plan, o RunOptions) (*trial.Result, error)

	mu   sync.Mutex // guards what follows
	runs int
	// now and most count runs at the same time.
	now, most int
}

func (f *fake) Run(ctx context.Context, p *plan.Plan, o RunOptions) (*trial.Result, error) {
	f.mu.Lock()
	f.runs++
	f.now++
	f.most = max(f.most, f.now)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.result(p, o)
}

// simple draws a plan that says nothing but its seed, and has a kill.
func simple(seed uint64) *plan.Plan {
	return &plan.Plan{
		Version: plan.Version, Seed: seed, Engine: plan.EngineDisk,
		Cluster: plan.Cluster{Nodes: 3, Replicas: 3, Partitions: 8}, Core: []int{1, 2},
		Faults: []plan.Fault{{Kind: plan.Kill, Hosts: []int{1}}},
	}
}

// good is a result in which everything went well.
func good(p *plan.Plan) *trial.Result {
	return &trial.Result{
		Plan: p, Verdict: checker.Valid, Hash: fmt.Sprint("hash of ", p.Seed), Replayable: true,
		Operations: 100, OK: 95, Fair: 80, FairOK: 79, Messages: 1000, Bytes: 50_000,
		Fake: time.Minute, CPU: time.Second, Peak: 100 << 20,
		Bites:  map[plan.Kind]trial.Bite{plan.Kill: {Set: 1, Bit: 1}},
		Damage: map[string]int64{"processes": 1}, Points: map[string]int{"room/point": 3},
	}
}

func breaks(p *plan.Plan, rule string) *trial.Result {
	r := good(p)
	r.Verdict, r.Problems = checker.Invalid, []trial.Problem{{Rule: rule, Text: "it is broken"}}
	return r
}
