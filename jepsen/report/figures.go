// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// kindRow is what became of one kind of operations, and how long those that were ok took.
type kindRow struct {
	Kind                string
	OK, Fail, Info      string
	Share               string
	P50, P99, P999, Max string
}

// tallied is the same while it is counted.
type tallied struct {
	outcomes [history.Info + 1]int64
	took     histogram
	longest  int64
}

func (t *tallied) add(op *history.Op) {
	t.outcomes[op.Outcome]++
	if op.Outcome == history.OK && asks(op) {
		t.took.add(code(op.Completed - op.Invoked))
		t.longest = max(t.longest, op.Completed-op.Invoked)
	}
}

func (t *tallied) row(name string) kindRow {
	r := kindRow{
		Kind: name, OK: grouped(t.outcomes[history.OK]), Fail: grouped(t.outcomes[history.Fail]),
		Info: grouped(t.outcomes[history.Info]), Share: percent(t.outcomes[history.OK], t.all()),
	}
	if t.took.all > 0 {
		at := func(share float64) string {
			return took(min(latencyOf(t.took.quantile(share)), float64(t.longest)))
		}
		r.P50, r.P99, r.P999 = at(0.5), at(0.99), at(0.999)
		r.Max = took(float64(t.longest))
	}
	return r
}

func (t *tallied) all() int64 {
	return t.outcomes[history.OK] + t.outcomes[history.Fail] + t.outcomes[history.Info]
}

// kindRows are those of a history, and behind them all together.
func kindRows(h *history.History) []kindRow {
	by := make(map[history.Kind]*tallied)
	all := &tallied{}
	for i := range h.Ops {
		op := &h.Ops[i]
		if by[op.Kind] == nil {
			by[op.Kind] = &tallied{}
		}
		by[op.Kind].add(op)
		all.add(op)
	}
	var rows []kindRow
	for _, k := range slices.Sorted(maps.Keys(by)) {
		rows = append(rows, by[k].row(k.String()))
	}
	return append(rows, all.row("all"))
}

// asks reports whether an operation is a request, and no word of a client about itself.
func asks(op *history.Op) bool {
	return op.Kind != history.SessionLeave && op.Kind != history.SessionLost
}

// nodeRow is how one node answered over the run.
type nodeRow struct {
	Name, All, OK, Fail, Info, Share string
}

func nodeRows(h *history.History) []nodeRow {
	by := make(map[string]*tallied)
	for i := range h.Ops {
		op := &h.Ops[i]
		name := nodeOf(op)
		if name == "" {
			continue
		}
		if by[name] == nil {
			by[name] = &tallied{}
		}
		by[name].outcomes[op.Outcome]++
	}
	var rows []nodeRow
	for _, name := range slices.Sorted(maps.Keys(by)) {
		t := by[name]
		rows = append(rows, nodeRow{
			Name: name, All: grouped(t.all()), OK: grouped(t.outcomes[history.OK]),
			Fail: grouped(t.outcomes[history.Fail]), Info: grouped(t.outcomes[history.Info]),
			Share: percent(t.outcomes[history.OK], t.all()),
		})
	}
	return rows
}

// throughput is how many operations were acknowledged in a second of the run, final reads
// aside.
type throughput struct{ Median, Least, Most string }

func newThroughput(h *history.History) throughput {
	first, last := int64(0), int64(0)
	for i := range h.Ops {
		op := &h.Ops[i]
		if op.Final > 0 {
			continue
		}
		if first == last {
			first, last = op.Invoked, op.Completed
		}
		first, last = min(first, op.Invoked), max(last, op.Completed)
	}
	const most = 1 << 20 // seconds: longer runs are none
	seconds := int((last - first) / int64(time.Second))
	if seconds < 1 || seconds > most {
		return throughput{}
	}
	counts := make([]int64, seconds) // the last one, which is not whole, is left out
	for i := range h.Ops {
		op := &h.Ops[i]
		at := int((op.Completed - first) / int64(time.Second))
		if op.Final == 0 && op.Outcome == history.OK && at < seconds {
			counts[at]++
		}
	}
	slices.Sort(counts)
	return throughput{
		Median: grouped(counts[len(counts)/2]), Least: grouped(counts[0]),
		Most: grouped(counts[len(counts)-1]),
	}
}

// grouped is a number with spaces between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "\u202f" + s[at:]
	}
	return s
}

func percent(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	// Rounded down: what is not all must not look like all.
	hundredths := part * 10000 / whole
	return fmt.Sprintf("%d.%02d %%", hundredths/100, hundredths%100)
}

// took is a latency with three digits.
func took(ns float64) string {
	for _, unit := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= unit.ns {
			return strconv.FormatFloat(ns/unit.ns, 'g', 3, 64) + " " + unit.name
		}
	}
	return strconv.FormatFloat(ns, 'g', 3, 64) + " ns"
}

// brief is a duration with three digits.
func brief(d time.Duration) string {
	if d < time.Minute {
		return took(float64(d))
	}
	return d.Round(time.Second).String()
}
