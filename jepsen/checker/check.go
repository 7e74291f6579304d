// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// Check runs every checker over h. Those that find none of their keys have no result.
func Check(h *history.History, cfg Config) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := h.Header.Check(); err != nil {
		return nil, err
	}
	x, fault := newIndex(h, cfg)
	if fault != "" {
		r := Result{Checker: "history", Verdict: Unknown, Why: fault}
		return &Report{Verdict: Unknown, Results: []Result{r}}, nil
	}
	report := &Report{Verdict: Valid}
	add := func(results ...*Result) {
		for _, r := range results {
			report.Results = append(report.Results, *r)
			report.Verdict = worse(report.Verdict, r.Verdict)
		}
	}
	if x.has(registers) {
		add(checkRegisters(x))
	}
	if x.has(sets) {
		add(checkSets(x))
	}
	if x.has(counters) {
		add(checkCounters(x))
	}
	if x.has(registers) || x.has(sets) || x.has(counters) {
		add(checkAvailability(x))
	}
	if x.has(lockNames) || x.has(lockSessions) {
		add(checkLocks(x)...)
	}
	return report, nil
}

// family is which of the kinds of keys a key is.
type family uint8

const (
	registers family = 1 + iota
	sets
	counters
	lockNames
	lockSessions
)

func familyOf(k history.Kind) family {
	switch {
	case k.Sessions():
		return lockSessions
	case k.Locks():
		return lockNames
	case k == history.Add || k == history.Members:
		return sets
	case k == history.Increment || k == history.Total:
		return counters
	default:
		return registers
	}
}

// keyOps are the operations of one key, in the history's order.
type keyOps struct {
	name   string
	family family
	ops    []int32
}

// index is a history with what its checkers look things up in.
type index struct {
	h       *history.History
	cfg     Config
	keys    []keyOps // in the order in which they appear
	byValue map[history.Value]int32
	// local numbers the writes of each key; by operation.
	local []int32
	// rounds is the last round of final reads.
	rounds uint8
}

// newIndex also says why a history can not be judged.
func newIndex(h *history.History, cfg Config) (*index, string) {
	x := &index{
		h: h, cfg: cfg, local: make([]int32, len(h.Ops)),
		byValue: make(map[history.Value]int32, len(h.Ops)/2),
	}
	if len(h.Ops) == 0 {
		return nil, "no operation"
	}
	known := make(map[string]int)
	busy := make(map[int]int64)
	for i := range h.Ops {
		op := &h.Ops[i]
		if err := op.Check(); err != nil {
			return nil, err.Error()
		}
		if until, ok := busy[op.Process]; ok && until > op.Invoked {
			return nil, fmt.Sprintf("process %d has two operations at %s",
				op.Process, history.Clock(op.Invoked))
		}
		busy[op.Process] = op.Completed
		if why := x.place(int32(i), op, known); why != "" {
			return nil, why
		}
		x.rounds = max(x.rounds, op.Final)
	}
	return x, ""
}

func (x *index) place(i int32, op *history.Op, known map[string]int) string {
	at, ok := known[op.Key]
	if !ok {
		at = len(x.keys)
		known[op.Key] = at
		x.keys = append(x.keys, keyOps{name: op.Key, family: familyOf(op.Kind)})
	}
	k := &x.keys[at]
	if k.family != familyOf(op.Kind) {
		return fmt.Sprintf("key %s is used in two ways, the second is %s", op.Key, op.Kind)
	}
	k.ops = append(k.ops, i)
	if op.Value.IsZero() {
		return ""
	}
	if other, twice := x.byValue[op.Value]; twice {
		return fmt.Sprintf("two writes have the value %s: %s; %s", op.Value, &x.h.Ops[other], op)
	}
	x.byValue[op.Value] = i
	return ""
}

func (x *index) has(f family) bool {
	for i := range x.keys {
		if x.keys[i].family == f {
			return true
		}
	}
	return false
}

// phantom says why a read, or a context, that was complete at the time given can not
// have value v of this key, "" where it can; and which operation wrote it.
func (x *index) phantom(key string, v history.Value, by int64) (int32, string) {
	i, ok := x.byValue[v]
	if !ok {
		return -1, "was never written"
	}
	switch op := &x.h.Ops[i]; {
	case op.Key != key:
		return i, "was written to key " + op.Key
	case op.Outcome == history.Fail:
		return i, "was refused for certain"
	case op.Invoked > by:
		return i, "was not written before " + history.Clock(op.Invoked)
	}
	return i, ""
}

// violate counts a broken rule, and tells it if there is room. The path is asked for only
// then: a store that is broken everywhere must not take long to judge.
func (x *index) violate(
	r *Result, rule, key string, path func() []int32, format string, args ...any,
) {
	r.Verdict = Invalid
	r.Count++
	if len(r.Violations) >= x.cfg.Keep {
		return
	}
	v := Violation{Rule: rule, Key: key, Text: fmt.Sprintf(format, args...)}
	for _, i := range path() {
		if i >= 0 && !slices.Contains(v.Ops, int(i)) { // -1: nobody knows that operation
			v.Ops = append(v.Ops, int(i))
			v.From = append(v.From, x.h.Ops[i].Invoked)
			v.Path = append(v.Path, x.h.Ops[i].String())
		}
	}
	r.Violations = append(r.Violations, v)
}

// path is one that is known.
func path(ops ...int32) func() []int32 { return func() []int32 { return ops } }

// levelOf is how many replicas, or owners where only those count, have an acknowledged
// write.
func (x *index) levelOf(op *history.Op) int {
	if x.h.Header.Sloppy {
		return int(op.PW)
	}
	return int(max(op.W, op.PW))
}

// needs is how many replicas must have a write for the read to show it for certain; one
// more than there can be where nothing is promised.
func (x *index) needs(read *history.Op) int {
	n, level := x.h.Header.N, int(max(read.R, read.PR))
	switch {
	case read.Final > 0 && (level == 0 || level >= n):
		return 0
	case read.Final > 0: // of all that are left: history.Op.Final
		return n - level + 1
	case !x.cfg.Strict:
		return history.MaxLevel + 1
	case x.h.Header.Sloppy:
		level = int(read.PR)
	}
	return max(n-level+1, 0)
}
