// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

const (
	// maxKeys and maxKeyOps bound what is told of keys one by one.
	maxKeys   = 64
	maxKeyOps = 400
	// maxShown bounds the siblings of one read that are told.
	maxShown = 12
)

// keyLine is what happened to one key, or the part of it that is told.
type keyLine struct {
	Name string `json:"name"`
	// Rules are those that were broken, each once.
	Rules []string `json:"rules,omitempty"`
	// All is how many operations there are.
	All int     `json:"all"`
	Ops []keyOp `json:"ops"`
}

// keyOp is an operation as the page's script reads it; what it does not have is left out.
type keyOp struct {
	Process int    `json:"p"`
	Kind    string `json:"k"`
	From    int64  `json:"f"` // nanoseconds since the run began
	Until   int64  `json:"u"`
	Outcome string `json:"o"`
	// Value is what was written or granted, Read and Over are siblings that were found and
	// overwritten.
	Value string   `json:"v,omitempty"`
	Read  []string `json:"r,omitempty"`
	More  int      `json:"m,omitempty"` // siblings that are not told
	Over  []string `json:"c,omitempty"`
	Node  string   `json:"n,omitempty"`
	Error string   `json:"e,omitempty"`
	Text  string   `json:"t"`           // the whole operation in one line
	Bad   []string `json:"b,omitempty"` // rules that it is evidence for
	Final bool     `json:"z,omitempty"`
}

// newKeys picks the keys that are told: first those with violations, then those that were
// used most; and of each of them what is around its violations, or the beginning.
func newKeys(h *history.History, report *checker.Report, from int64) []keyLine {
	bad := make(map[int][]string)
	broken := make(map[string][]string)
	var names []string
	for _, v := range violationsOf(report) {
		if v.Key == "" {
			continue
		}
		if broken[v.Key] == nil {
			names = append(names, v.Key)
		}
		broken[v.Key] = appendOnce(broken[v.Key], v.Rule)
		for _, i := range v.Ops {
			bad[i] = appendOnce(bad[i], v.Rule)
		}
	}
	used := make(map[string]int)
	for i := range h.Ops {
		used[h.Ops[i].Key]++
	}
	names = slices.DeleteFunc(names, func(name string) bool { return used[name] == 0 })
	names = append(names, mostUsed(used, broken)...)
	names = names[:min(len(names), maxKeys)]

	ops := make(map[string][]int32, len(names))
	for _, name := range names {
		ops[name] = make([]int32, 0, used[name])
	}
	for i := range h.Ops {
		if list, told := ops[h.Ops[i].Key]; told {
			ops[h.Ops[i].Key] = append(list, int32(i))
		}
	}
	lines := make([]keyLine, len(names))
	for n, name := range names {
		lines[n] = keyLine{Name: name, Rules: broken[name], All: used[name]}
		for _, i := range around(h, ops[name], bad) {
			lines[n].Ops = append(lines[n].Ops, newKeyOp(&h.Ops[i], bad[int(i)], from))
		}
	}
	return lines
}

// mostUsed are the keys without violations, those with most operations first.
func mostUsed(used map[string]int, broken map[string][]string) []string {
	var names []string
	for name := range used {
		if broken[name] == nil {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(-cmp.Compare(used[a], used[b]), cmp.Compare(a, b))
	})
	return names
}

// around picks of one key's operations those that are evidence, and as many of those
// nearest to them as there is room for, in the order in which they began.
func around(h *history.History, ops []int32, bad map[int][]string) []int32 {
	slices.SortStableFunc(ops, func(a, b int32) int {
		return cmp.Compare(h.Ops[a].Invoked, h.Ops[b].Invoked)
	})
	if len(ops) <= maxKeyOps {
		return ops
	}
	distance := make([]int, len(ops)) // to evidence, in operations
	far := len(ops)
	for n, i := range ops {
		if far++; bad[int(i)] != nil {
			far = 0
		}
		distance[n] = far
	}
	far = 2 * len(ops)
	for n := len(ops) - 1; n >= 0; n-- {
		if far++; bad[int(ops[n])] != nil {
			far = 0
		}
		distance[n] = min(distance[n], far)
	}
	nearest := make([]int, len(ops))
	for n := range nearest {
		nearest[n] = n
	}
	slices.SortStableFunc(nearest, func(a, b int) int { return cmp.Compare(distance[a], distance[b]) })
	nearest = nearest[:maxKeyOps]
	slices.Sort(nearest)
	kept := make([]int32, len(nearest))
	for n, at := range nearest {
		kept[n] = ops[at]
	}
	return kept
}

func newKeyOp(op *history.Op, bad []string, from int64) keyOp {
	k := keyOp{
		Process: op.Process, Kind: op.Kind.String(), Outcome: op.Outcome.String(),
		From: op.Invoked - from, Until: op.Completed - from,
		Node: op.Node, Error: op.Error, Text: op.String(), Bad: bad, Final: op.Final > 0,
		Read: texts(op.Read), Over: texts(op.Context),
		More: max(len(op.Read)-maxShown, 0),
	}
	switch {
	case !op.Value.IsZero():
		k.Value = op.Value.String()
	case op.Granted():
		k.Value = fmt.Sprintf("fence %d", op.Lock.Fence)
	}
	return k
}

// texts are values for people, not too many.
func texts(values []history.Value) []string {
	var list []string
	for _, v := range values[:min(len(values), maxShown)] {
		list = append(list, v.String())
	}
	return list
}

func appendOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// violationsOf are all that were kept, by checker.
func violationsOf(report *checker.Report) []*checker.Violation {
	var all []*checker.Violation
	for i := range report.Results {
		for j := range report.Results[i].Violations {
			all = append(all, &report.Results[i].Violations[j])
		}
	}
	return all
}
