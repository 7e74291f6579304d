// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// view is what the template shows.
type view struct {
	Policy string
	Style  template.CSS
	Script template.JS

	Title    string
	Verdict  string
	Cut      bool
	Facts    []Setting
	Command  string
	Settings []Setting
	Lacks    []string
	Checkers []checkerRow
	Broken   []violationRow
	More     int // violations that are counted, and not told
	Faults   []faultKind
	Kinds    []kindRow
	Nodes    []nodeRow
	Figures  throughput
	Thinned  int
	Orders   []string
	Plan     string
	Data     scriptData
}

// scriptData is what the page's script reads first.
type scriptData struct {
	From      int64        `json:"from"`
	Span      int64        `json:"span"`
	Unit      int64        `json:"unit"`
	Every     int          `json:"every"`
	Points    int          `json:"points"`
	Step      float64      `json:"step"`
	Codes     int          `json:"codes"`
	Slices    []int        `json:"slices"`
	Nodes     []string     `json:"nodes"`
	NodeSlice int          `json:"nodeSlices"`
	Faults    []faultShade `json:"faults"`
	Marks     []int64      `json:"marks"` // when the violations were seen
	Orders    []string     `json:"orders"`
}

type faultShade struct {
	Kind  string `json:"kind"`
	From  int64  `json:"from"`
	Until int64  `json:"until"`
	Bit   bool   `json:"bit"`
	Title string `json:"title"`
}

type checkerRow struct {
	Name, Verdict, Why string
	Count              int
	Stats              []Setting
}

type violationRow struct {
	Number                   int
	Checker, Rule, Key, Text string
	Path                     []string
	SpaceTime                *spaceTime
	Causal                   *causalGraph
}

func newView(in *Input, s *series) (*view, error) {
	v := &view{
		Verdict: in.Report.Verdict.String(), Cut: in.Cut, Command: in.Run.Command,
		Settings: in.Run.Settings, Lacks: in.Run.Lacks, Faults: faultKinds(in.Run.Faults),
		Kinds: kindRows(in.History), Nodes: nodeRows(in.History),
		Figures: newThroughput(in.History),
	}
	v.Title = fmt.Sprintf("dyno-jepsen: seed %d, %s", in.Run.Seed, v.Verdict)
	v.Facts = facts(in)
	if s.Every > 1 {
		v.Thinned = s.Every
	}
	for i := range in.Report.Results {
		v.Checkers = append(v.Checkers, newCheckerRow(&in.Report.Results[i]))
	}
	v.violations(in)
	for _, p := range in.Orders {
		v.Orders = append(v.Orders, p.Lock)
	}
	if len(in.Run.Plan) > 0 {
		var plan bytes.Buffer
		if err := json.Indent(&plan, in.Run.Plan, "", "  "); err != nil {
			return nil, fmt.Errorf("report: plan: %w", err)
		}
		v.Plan = plan.String()
	}
	v.Data = newScriptData(in, s)
	var err error
	if v.Script, err = script(); err != nil {
		return nil, err
	}
	if v.Style, err = style(); err != nil {
		return nil, err
	}
	v.Policy = policy(v.Script, v.Style, in.Orders)
	return v, nil
}

func newScriptData(in *Input, s *series) scriptData {
	d := scriptData{
		From: s.From, Span: s.Until - s.From, Unit: s.Unit, Every: s.Every, Points: s.Points,
		Step: codeStep, Codes: codes, Slices: s.Slices, Nodes: s.Nodes, NodeSlice: nodeSlices,
	}
	for i := range in.Run.Faults {
		f := &in.Run.Faults[i]
		d.Faults = append(d.Faults, faultShade{
			Kind: f.Kind, From: f.From - s.From, Until: f.Until - s.From, Bit: f.Bit,
			Title: f.title(),
		})
	}
	for _, b := range violationsOf(in.Report) {
		if ops := known(in.History, b.Ops); len(ops) > 0 {
			d.Marks = append(d.Marks, in.History.Ops[ops[len(ops)-1]].Completed-s.From)
		}
	}
	for _, p := range in.Orders {
		d.Orders = append(d.Orders, p.Lock)
	}
	return d
}

// facts are the lines at the head of the page.
func facts(in *Input) []Setting {
	r, h := in.Run, in.History
	var list []Setting
	add := func(name, value string) {
		if value != "" {
			list = append(list, Setting{name, value})
		}
	}
	add("seed", strconv.FormatUint(r.Seed, 10))
	add("workload", r.Workload)
	add("faults drawn", r.Nemesis)
	if r.Nodes > 0 {
		add("nodes", strconv.Itoa(r.Nodes))
	}
	add("mode", r.Mode)
	add("commit", r.Commit)
	add("toolchain", r.Toolchain)
	if !r.Started.IsZero() {
		add("started", r.Started.UTC().Format(time.RFC3339))
	}
	if r.Duration > 0 {
		add("faults for", r.Duration.String())
	}
	add("copies of a key", strconv.Itoa(h.Header.N))
	if h.Header.Sloppy {
		add("stand-ins", "fallbacks may stand in for owners")
	}
	add("operations", grouped(int64(len(h.Ops))))
	add("faults", grouped(int64(len(r.Faults))))
	return list
}

func newCheckerRow(r *checker.Result) checkerRow {
	c := checkerRow{Name: r.Checker, Verdict: r.Verdict.String(), Why: r.Why, Count: r.Count}
	for _, s := range r.Stats {
		c.Stats = append(c.Stats, Setting{s.Name, strconv.FormatFloat(s.Value, 'g', 6, 64)})
	}
	return c
}

// violations tells them, and draws the first few of each rule.
func (v *view) violations(in *Input) {
	const drawnOfRule, drawn = 3, 15
	var writes map[history.Value]int
	rules, all := make(map[string]int), 0
	for i := range in.Report.Results {
		r := &in.Report.Results[i]
		v.More += r.Count - len(r.Violations)
		for j := range r.Violations {
			b := &r.Violations[j]
			row := violationRow{
				Number: len(v.Broken) + 1, Checker: r.Checker, Rule: b.Rule, Key: b.Key, Text: b.Text,
				Path: b.Path,
			}
			if rules[b.Rule] < drawnOfRule && all < drawn {
				if writes == nil {
					writes = writesOf(in.History)
				}
				row.SpaceTime = newSpaceTime(in.History, b, in.Run.Faults)
				row.Causal = newCausalGraph(in.History, writes, b)
				rules[b.Rule]++
				all++
			}
			v.Broken = append(v.Broken, row)
		}
	}
}

func writesOf(h *history.History) map[history.Value]int {
	writes := make(map[history.Value]int, len(h.Ops)/2)
	for i := range h.Ops {
		if v := h.Ops[i].Value; !v.IsZero() {
			writes[v] = i
		}
	}
	return writes
}

// faultKind is all faults of one kind.
type faultKind struct {
	Kind   string
	Bit    int
	All    int
	Time   string
	Counts []Count
	Faults []faultRow
}

type faultRow struct {
	From, For, Nodes, Detail, Error string
	Bit                             bool
	Counts                          []Count
}

func faultKinds(faults []Fault) []faultKind {
	var kinds []faultKind
	spent := make(map[string]time.Duration)
	for i := range faults {
		f := &faults[i]
		at := slices.IndexFunc(kinds, func(k faultKind) bool { return k.Kind == f.Kind })
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, faultKind{Kind: f.Kind})
		}
		k := &kinds[at]
		k.All++
		if f.Bit {
			k.Bit++
		}
		spent[f.Kind] += time.Duration(f.Until - f.From)
		k.Time = brief(spent[f.Kind])
		k.Counts = addCounts(k.Counts, f.Counts)
		k.Faults = append(k.Faults, f.row())
	}
	slices.SortStableFunc(kinds, func(a, b faultKind) int { return cmp.Compare(a.Kind, b.Kind) })
	return kinds
}

func (f *Fault) row() faultRow {
	row := faultRow{
		From: history.Clock(f.From), For: brief(time.Duration(f.Until - f.From)),
		Detail: f.Detail, Error: f.Error, Bit: f.Bit, Counts: f.Counts,
	}
	for i, name := range f.Nodes {
		if i > 0 {
			row.Nodes += ", "
		}
		row.Nodes += name
	}
	return row
}

func addCounts(all, more []Count) []Count {
	for _, c := range more {
		at := slices.IndexFunc(all, func(a Count) bool { return a.Name == c.Name })
		if at < 0 {
			all = append(all, c)
			continue
		}
		all[at].Value += c.Value
	}
	return all
}
