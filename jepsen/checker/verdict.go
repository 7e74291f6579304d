// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"fmt"
	"strings"
)

// Verdict is what a checker says. Anything but Valid is red.
type Verdict uint8

const (
	// Valid says that no rule was broken, and that enough was seen to say so.
	Valid Verdict = 1 + iota
	// Invalid says that a rule was broken.
	Invalid
	// Unknown says that it can not be told.
	Unknown
)

func (v Verdict) String() string {
	switch v {
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	case Unknown:
		return "unknown"
	default:
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
}

// MarshalText gives the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText takes the verdict's name.
func (v *Verdict) UnmarshalText(text []byte) error {
	for _, known := range []Verdict{Valid, Invalid, Unknown} {
		if known.String() == string(text) {
			*v = known
			return nil
		}
	}
	return fmt.Errorf("checker: no verdict is named %.40q", text)
}

// worse is the worse of two verdicts: a broken rule is certain, so it comes before what
// is not known.
func worse(a, b Verdict) Verdict {
	rank := func(v Verdict) int {
		switch v {
		case Invalid:
			return 2
		case Valid:
			return 0
		default:
			return 1
		}
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Violation is one broken rule, with what shows it.
type Violation struct {
	Rule string `json:"rule"`
	Key  string `json:"key"`
	// Text says what is wrong.
	Text string `json:"text"`
	// Path tells how it came about, one operation after the other, causes first.
	Path []string `json:"path,omitempty"`
	// Ops are the operations of the path, by their place in the history, and From is when
	// each began.
	Ops  []int   `json:"ops,omitempty"`
	From []int64 `json:"from_ns,omitempty"`
}

func (v *Violation) String() string {
	s := fmt.Sprintf("%s: key %q: %s", v.Rule, v.Key, v.Text)
	if len(v.Path) > 0 {
		s += "\n  " + strings.Join(v.Path, "\n  ")
	}
	return s
}

// Stat is a number that a checker found.
type Stat struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Result is what one checker found.
type Result struct {
	Checker string  `json:"checker"`
	Verdict Verdict `json:"verdict"`
	// Why says what is not known.
	Why string `json:"why,omitempty"`
	// Violations are the first ones, at most Config.Keep; Count is how many there are.
	Violations []Violation `json:"violations,omitempty"`
	Count      int         `json:"count"`
	Stats      []Stat      `json:"stats,omitempty"`
}

// Stat returns a number by its name, 0 where there is none.
func (r *Result) Stat(name string) float64 {
	for _, s := range r.Stats {
		if s.Name == name {
			return s.Value
		}
	}
	return 0
}

func (r *Result) stat(name string, value float64) {
	r.Stats = append(r.Stats, Stat{Name: name, Value: value})
}

// unsure makes the verdict Unknown, unless a rule is broken. The first reason stays.
func (r *Result) unsure(format string, args ...any) {
	if r.Why == "" {
		r.Why = fmt.Sprintf(format, args...)
	}
	r.Verdict = worse(r.Verdict, Unknown)
}

// Report is what all checkers found.
type Report struct {
	Verdict Verdict  `json:"verdict"`
	Results []Result `json:"results"`
}

// Result returns that of one checker, nil where it had nothing to look at.
func (r *Report) Result(checker string) *Result {
	for i := range r.Results {
		if r.Results[i].Checker == checker {
			return &r.Results[i]
		}
	}
	return nil
}

func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Verdict)
	for i := range r.Results {
		res := &r.Results[i]
		fmt.Fprintf(&b, "%s: %s", res.Checker, res.Verdict)
		if res.Why != "" {
			fmt.Fprintf(&b, " (%s)", res.Why)
		}
		for _, s := range res.Stats {
			fmt.Fprintf(&b, ", %s %.6g", s.Name, s.Value)
		}
		fmt.Fprintln(&b)
		for j := range res.Violations {
			fmt.Fprintln(&b, res.Violations[j].String())
		}
		if more := res.Count - len(res.Violations); more > 0 {
			fmt.Fprintf(&b, "and %d more\n", more)
		}
	}
	return b.String()
}
