// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// schedule prints a plan, and when what it says was done: r is what a run of it showed.
func (p *page) schedule(x *plan.Plan, r *trial.Result) {
	p.printf("seed %d: %d nodes, %d replicas of each key, %d partitions, engine %s\n",
		x.Seed, x.Cluster.Nodes, x.Cluster.Replicas, x.Cluster.Partitions, x.Engine)
	if x.Grouped {
		p.printf("the nodes run their metadata group\n")
	}
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
	from := time.Duration(r.ChaosFrom)
	p.printf("The load begins at %s, and all faults are over %s later.\n",
		history.Clock(int64(from)), short(x.Chaos))
	if len(x.Faults) == 0 {
		p.printf("No faults.\n")
	}
	for _, e := range faultEntries(x, r) {
		p.entry(e)
	}
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
