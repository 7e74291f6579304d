// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim/fleet"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

// entry is something that happened in a run, on the clock of its history.
type entry struct {
	at, until time.Duration
	text      string
}

// entry prints one; what does not fit on a line of the terminal is indented.
func (p *page) entry(e entry) {
	const indent = 16
	body := e.text
	if p.width > 2*indent {
		body = text.WrapSoft(body, p.width-indent)
	}
	clock := fmt.Sprintf("%*s", indent-2, history.Clock(int64(e.at)))
	for line := range strings.Lines(body) {
		p.printf("%s  %s\n", clock, strings.TrimRight(line, " \n"))
		clock = strings.Repeat(" ", len(clock))
	}
}

// faultEntries tell what each fault of a plan was, and whether it met anything in a run.
func faultEntries(x *plan.Plan, r *trial.Result) []entry {
	var all []entry
	for i := range x.Faults {
		f := &x.Faults[i]
		e := entry{at: r.ChaosFrom + time.Duration(f.At), until: r.ChaosFrom + f.End()}
		e.text = fmt.Sprintf("fault %s, %s: %s", f.Kind, hosts(f.Hosts), effect(f, e.at))
		if i < len(r.Met) && !r.Met[i] {
			e.text += " (met nothing)"
		}
		all = append(all, e)
	}
	return all
}

// parameter is a word for a number in what a kind says of itself.
var parameter = regexp.MustCompile(
	`\b(N-th|N bytes|N|Share|By|For|Hosts are|Hosts|At|the failpoint)\b`)

// variant is what a fault does beside what it does anyway, if its N is 1.
var variant = regexp.MustCompile(`([,;](?: which)?) with N 1( [^,;]*)`)

// effect says what a fault does, with its numbers.
func effect(f *plan.Fault, at time.Duration) string {
	what := ""
	for _, in := range plan.Kinds() {
		if in.Kind == f.Kind {
			what = in.What
		}
	}
	switch f.Kind { // of those N says which one it is
	case plan.OneWay:
		what = "nothing that Hosts send reaches the others"
		if f.N == 1 {
			what = "nothing that the others send reaches Hosts"
		}
	case plan.Group:
		moods := []string{"fails", "hangs", "loses its answers"}
		what = "the process is killed, and the next one starts while the metadata group " +
			moods[max(0, f.N-1)%len(moods)] + ", for For"
	}
	if f.N == 1 {
		what = variant.ReplaceAllString(what, "$1$2")
	} else {
		what = variant.ReplaceAllString(what, "")
	}
	switch {
	case f.Kind == plan.CrashAt || f.Kind == plan.FailAt || strings.Contains(what, "For"):
	case strings.Contains(what, "N-th"):
		what += ", if it comes within For"
	case f.For > 0:
		what += ", for For"
	}
	return parameter.ReplaceAllStringFunc(what, func(word string) string {
		switch word {
		case "N-th":
			return ordinal(f.N)
		case "N bytes":
			return size(int64(f.N))
		case "N":
			return fmt.Sprint(f.N)
		case "Share":
			return fmt.Sprintf("%.2g %%", 100*f.Share)
		case "By":
			return short(f.By)
		case "For":
			return short(f.For)
		case "Hosts are":
			if len(f.Hosts) == 1 {
				return hosts(f.Hosts) + " is"
			}
			return hosts(f.Hosts) + " are"
		case "Hosts":
			return hosts(f.Hosts)
		case "At":
			return history.Clock(int64(at))
		default:
			return "failpoint " + f.Point
		}
	})
}

func ordinal(n int) string {
	suffix := "th"
	if tens := n / 10 % 10; tens != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}

// mostTold bounds what is told of one rule; result.json has more.
const mostTold = 3

// result prints what a run showed: why it is red, and how each violation came about.
func (p *page) result(r *trial.Result) {
	p.printf("%s: %d operations, %d ok, %d messages, %s simulated in %s\n", p.verdict(r.Verdict),
		r.Operations, r.OK, r.Messages, r.Fake.Round(time.Millisecond), r.Wall.Round(time.Millisecond))
	withPath := make(map[string]bool) // they are told below, as a story
	if r.Report != nil {
		for i := range r.Report.Results {
			for _, v := range r.Report.Results[i].Violations {
				withPath[v.Rule+v.Key+": "+v.Text] = len(v.Path) > 0
			}
		}
	}
	told := make(map[string]int)
	for _, x := range r.Problems {
		if withPath[x.Rule+x.Text] {
			continue
		}
		unknown := ""
		if x.Unknown {
			unknown = " (unknown)"
		}
		if told[x.Rule]++; told[x.Rule] <= mostTold {
			p.printf("%s%s: %s\n", x.Rule, unknown, x.Text)
		}
	}
	for _, rule := range fleet.Rules(r) {
		p.more(rule, told[rule]-mostTold)
	}
	if r.Report != nil {
		p.violations(r.Report, mostTold, faultEntries(r.Plan, r))
	}
	if r.Hash != "" {
		p.printf("hash %s\n", r.Hash)
	}
}

func (p *page) more(what string, n int) {
	if n > 0 {
		p.printf("%s: and %d more\n", what, n)
	}
}

// violations prints those of a report, so many of each rule, each with what led to it.
func (p *page) violations(report *checker.Report, most int, faults []entry) {
	told := make(map[string]int)
	for i := range report.Results {
		res := &report.Results[i]
		shown := 0
		for j := range res.Violations {
			v := &res.Violations[j]
			if told[v.Rule]++; told[v.Rule] > most {
				continue
			}
			shown++
			p.printf("\n%s: key %q: %s\n", v.Rule, v.Key, v.Text)
			p.story(v, faults)
		}
		p.more("\nchecker "+res.Checker, res.Count-shown)
	}
}

// story prints the operations that led to a violation in the order of their time, causes
// first, and between them the faults that were on the way.
func (p *page) story(v *checker.Violation, faults []entry) {
	var all []entry
	for i, line := range v.Path {
		e := entry{text: line}
		if i < len(v.From) {
			e.at = time.Duration(v.From[i])
			e.text = strings.TrimPrefix(line, history.Clock(v.From[i])+": ")
		}
		all = append(all, e)
	}
	byTime := func(a, b entry) int { return cmp.Compare(a.at, b.at) }
	slices.SortStableFunc(all, byTime)
	if len(all) == 0 {
		return
	}
	first, last := all[0].at, all[len(all)-1].at
	meanwhile := slices.DeleteFunc(slices.Clone(faults), func(e entry) bool {
		return e.until < first || e.at > last || strings.HasSuffix(e.text, " (met nothing)")
	})
	const few = 8
	if len(meanwhile) > few {
		defer p.printf("  (%d faults were on the way meanwhile; shrink leaves those that matter)\n",
			len(meanwhile))
		meanwhile = nil
	}
	all = append(all, meanwhile...)
	slices.SortStableFunc(all, byTime)
	for _, e := range all {
		p.entry(e)
	}
}
