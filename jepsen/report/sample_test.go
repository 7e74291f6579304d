// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// hostile is what a key, an error or a name may be, and must not become.
const hostile = `</script><img src=x onerror="document.title='owned'"><!-- ' " & {{.}}`

// brokenInput is a run with keys and locks, some of whose answers are spoiled.
func brokenInput(t *testing.T) *Input {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	h, err := checker.Generate(rng, checker.Shape{
		Ops: 4000, Keys: 12, Processes: 8, N: 3, R: 2, W: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checker.Corruptors() {
		if slices.Contains([]string{"C2", "C4", "C5", "C6", "C10"}, c.Name) {
			if spoiled, done := c.Corrupt(rng, h); done {
				h = spoiled
			}
		}
	}
	locks, err := checker.GenerateLocks(rng, checker.DefaultLockShape())
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range locks.Ops { // beside the keys, by other processes
		op.Process += 100
		h.Ops = append(h.Ops, op)
	}
	slower(h, 1000)
	h.Events = append(h.Events, history.Event{
		Name: "kill", Nodes: []string{"n2"}, From: int64(time.Second), Until: int64(3 * time.Second),
	})
	in := input(t, h)
	in.Run.Faults = []Fault{
		{Kind: "kill", Nodes: []string{"n2"}, From: int64(time.Second), Until: int64(3 * time.Second),
			Bit: true, Counts: []Count{{"killed", 1}}, Detail: "with SIGKILL"},
		{Kind: "loss", From: int64(2 * time.Second), Until: int64(6 * time.Second), Bit: true,
			Counts: []Count{{"dropped packets", 1234}}},
		{Kind: "loss", From: int64(7 * time.Second), Until: int64(8 * time.Second), Bit: true,
			Counts: []Count{{"dropped packets", 66}}},
		{Kind: "disk-full", Nodes: []string{"n1"}, From: int64(4 * time.Second),
			Until: int64(5 * time.Second), Error: "no room to begin with"},
	}
	in.Run.Command = "dyno-jepsen run --workload all --seed 7 --time 5m"
	in.Run.Seed, in.Run.Mode, in.Run.Lacks = 7, "switch", []string{"clock-step", "corrupt"}
	in.Run.Commit, in.Run.Toolchain = "0123456789abcdef", "go1.26.8"
	in.Run.Plan = []byte(`{"faults":[{"kind":"kill"}]}`)
	return in
}

// slower makes the times of a model, which are short, like those of clients.
func slower(h *history.History, factor int64) {
	for i := range h.Ops {
		op := &h.Ops[i]
		op.Invoked, op.Completed = op.Invoked*factor, op.Completed*factor
		op.TTL *= factor
		op.Lock.Wait, op.Lock.Renewed = op.Lock.Wait*factor, op.Lock.Renewed*factor
	}
}

func input(t *testing.T, h *history.History) *Input {
	t.Helper()
	report, err := checker.Check(h, checker.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	orders, err := checker.Pictures(h, checker.DefaultConfig(), nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	return &Input{History: h, Report: report, Run: RunOf(h), Orders: orders}
}

func page(t *testing.T, in *Input) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, in); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// longInput is a run of so many operations in ten minutes, with faults that can be seen. No
// store would answer like this; here it is about drawing.
func longInput(ops int) *Input {
	const span = 10 * time.Minute
	rng := rand.New(rand.NewPCG(7, 8))
	h := &history.History{Header: history.Header{Version: history.Version, N: 3, Seed: 99}}
	run := &Run{Version: RunVersion, Seed: 99, Mode: "switch", Nodes: 5, Duration: span}
	for i := range 60 {
		from := int64(i) * int64(span) / 60
		run.Faults = append(run.Faults, Fault{
			Kind: fmt.Sprintf("fault-%02d", i%22), Nodes: []string{fmt.Sprintf("n%d", 1+i%5)},
			From: from, Until: from + rng.Int64N(int64(12*time.Second)), Bit: i%7 > 0,
		})
	}
	for i := range ops {
		at := int64(span) * int64(i) / int64(ops)
		node := fmt.Sprintf("n%d", 1+rng.IntN(5))
		slow, outcome := 1.0, history.OK
		for _, f := range run.Faults {
			if f.Bit && at >= f.From && at <= f.Until && f.Nodes[0] == node {
				slow = 20
				if n := rng.IntN(10); n < 2 {
					outcome = history.Info
				} else if n < 4 {
					outcome = history.Fail
				}
			}
		}
		took := slow * math.Exp(rng.NormFloat64()*0.7) * float64(700*time.Microsecond)
		op := history.Op{
			Process: i % 50, Kind: history.Get, Key: fmt.Sprintf("key %d", rng.IntN(5000)),
			Invoked: at, Completed: at + int64(took), Outcome: outcome, Node: node, R: 2,
		}
		if i%2 == 0 {
			op.Kind, op.R, op.W = history.Put, 0, 2
			op.Value = history.Value{Client: uint32(1 + i%50), Seq: uint64(i/50 + 1)}
			op.Blind = true
		}
		h.Ops = append(h.Ops, op)
	}
	return &Input{
		History: h, Run: run,
		Report: &checker.Report{Verdict: checker.Valid, Results: []checker.Result{
			{Checker: "causal", Verdict: checker.Valid},
		}},
	}
}

// hostileInput has markup wherever a text of a run may be.
func hostileInput(t *testing.T) *Input {
	t.Helper()
	in := brokenInput(t)
	for i := range in.History.Ops {
		op := &in.History.Ops[i]
		if !op.Kind.Sessions() {
			op.Key += hostile
		}
		if op.Node != "" {
			op.Node += hostile
		}
		if op.Outcome != history.OK {
			op.Error = hostile
		}
	}
	for i := range in.Run.Faults {
		f := &in.Run.Faults[i]
		f.Kind, f.Detail, f.Nodes = f.Kind+hostile, hostile, []string{"n1" + hostile}
		f.Error, f.Counts = hostile, []Count{{hostile, 1}}
	}
	r := in.Run
	r.Command, r.Mode, r.Commit, r.Lacks = hostile, hostile, hostile, []string{hostile}
	r.Settings = []Setting{{hostile, hostile}}
	r.Judged = []checker.Result{{Checker: hostile, Verdict: checker.Unknown, Why: hostile}}
	r.Plan = []byte(`{"x":"\u003c/script\u003e"}`)
	hostileRun := input(t, in.History)
	hostileRun.Run = r
	hostileRun.Report.Results = append(hostileRun.Report.Results, r.Judged...)
	return hostileRun
}
