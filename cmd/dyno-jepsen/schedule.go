// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// schedule prints a plan.
func (p *page) schedule(x *plan.Plan) {
	p.printf("seed %d: %d nodes, %d replicas of each key, %d partitions, engine %s\n",
		x.Seed, x.Cluster.Nodes, x.Cluster.Replicas, x.Cluster.Partitions, x.Engine)
	p.printf("links: %s and up to %s more", short(x.Link.Delay), short(x.Link.Jitter))
	if x.Link.Loss > 0 {
		p.printf(", %.2g %% lost", 100*x.Link.Loss)
	}
	p.printf("; a sync takes %s; the core is %s", short(x.Sync), hosts(x.Core))
	if x.Spare > 0 {
		p.printf(", n%d may lose its disk", x.Spare)
	}
	p.printf("\n")
	if x.SeededOrder {
		p.printf("the seed chooses which goroutine runs next\n")
	}
	if x.Knobs != (plan.Knobs{}) {
		p.printf("knobs: %s\n", knobs(&x.Knobs))
	}
	p.printf("\n")
	var rows [][]any
	for _, l := range x.Loads {
		rows = append(rows, []any{l.Kind, l.Sessions, l.Steps, short(l.Pause)})
	}
	p.table([]string{"load", "sessions", "steps each", "apart"}, rows)
	p.printf("\n")
	if len(x.Faults) == 0 {
		p.printf("No faults, for %s.\n", short(x.Chaos))
		return
	}
	what := make(map[plan.Kind]string)
	for _, in := range plan.Kinds() {
		what[in.Kind] = in.What
	}
	rows = nil
	for i := range x.Faults {
		f := &x.Faults[i]
		rows = append(rows, []any{
			short(f.At), short(f.For), string(f.Kind), hosts(f.Hosts), measure(f), what[f.Kind],
		})
	}
	p.table([]string{"at", "for", "fault", "hosts", "how", "what"}, rows)
	p.printf("All within %s.\n", short(x.Chaos))
}

// knobs names those that are not as the product has them.
func knobs(k *plan.Knobs) string {
	text, err := json.Marshal(k)
	if err != nil {
		return err.Error() // numbers and times are always written
	}
	return strings.NewReplacer(`"`, "", ":", " ", ",", ", ", "{", "", "}", "").Replace(string(text))
}

// short is a time to three digits or so: the odd nanoseconds say nothing to people.
func short(s plan.Span) string {
	d := time.Duration(s)
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit || -d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

func hosts(numbers []int) string {
	if len(numbers) == 0 {
		return "all"
	}
	var names []string
	for _, n := range numbers {
		names = append(names, fmt.Sprintf("n%d", n))
	}
	return strings.Join(names, " ")
}

// measure says how hard a fault is; its kind tells what each means.
func measure(f *plan.Fault) string {
	var parts []string
	if f.N != 0 {
		parts = append(parts, fmt.Sprintf("N %d", f.N))
	}
	if f.Share != 0 {
		parts = append(parts, fmt.Sprintf("Share %.3g", f.Share))
	}
	if f.By != 0 {
		parts = append(parts, "By "+short(f.By))
	}
	if f.Point != "" {
		parts = append(parts, "at "+f.Point)
	}
	return strings.Join(parts, ", ")
}

// result prints what a run showed: why it is red, and how each violation came about.
func (p *page) result(r *trial.Result) {
	p.printf("%s: %d operations, %d ok, %d messages, %s simulated in %s\n", p.verdict(r.Verdict),
		r.Operations, r.OK, r.Messages, r.Fake.Round(time.Millisecond), r.Wall.Round(time.Millisecond))
	const most = 3 // of each rule; result.json has them all
	told := make(map[string]int)
	for _, x := range r.Problems {
		unknown := ""
		if x.Unknown {
			unknown = " (unknown)"
		}
		if told[x.Rule]++; told[x.Rule] <= most {
			p.printf("%s%s: %s\n", x.Rule, unknown, x.Text)
		}
	}
	for _, rule := range fleet.Rules(r) {
		if more := told[rule] - most; more > 0 {
			p.printf("%s: and %d more\n", rule, more)
		}
	}
	if r.Report != nil {
		p.violations(r.Report)
	}
	if r.Hash != "" {
		p.printf("hash %s\n", r.Hash)
	}
}

// violations prints those of a report, each with the operations that led to it.
func (p *page) violations(report *checker.Report) {
	for i := range report.Results {
		res := &report.Results[i]
		for j := range res.Violations {
			p.printf("\n%s\n", res.Violations[j].String())
		}
		if more := res.Count - len(res.Violations); more > 0 {
			p.printf("\n%s: and %d more\n", res.Checker, more)
		}
	}
}

// comparison says whether a run went as an earlier one of the same plan.
func comparison(now, before *trial.Result) string {
	switch {
	case before.Mutant != now.Mutant:
		return fmt.Sprintf("not compared: the stored run had mutant %q, this one %q",
			before.Mutant, now.Mutant)
	case !now.Replayable || !before.Replayable:
		return "not compared: the stock runtime does not repeat itself"
	case before.Edits != now.Edits:
		return "not compared: the stored run had other edits of the runtime"
	case before.Hash == now.Hash:
		return "equal to the stored run"
	default:
		return fmt.Sprintf("differs from the stored run, %s, whose hash is %s: the program is "+
			"another one, or something is left to chance", before.Verdict, before.Hash)
	}
}
