// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// The operations of these tests are of key k, at levels 2 of 3. Writes are named
// "client.seq"; the process is the client.

func values(t testing.TB, text string) []history.Value {
	t.Helper()
	var out []history.Value
	for _, f := range strings.Fields(text) {
		var v history.Value
		if err := v.UnmarshalText([]byte(f)); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

type change func(*history.Op)

func info(o *history.Op)   { o.Outcome = history.Info }
func fail(o *history.Op)   { o.Outcome = history.Fail }
func moved(o *history.Op)  { o.Moved = true }
func again(o *history.Op)  { o.Again = true }
func atomic(o *history.Op) { o.Atomic = true }

func levelsAre(n uint8) change {
	return func(o *history.Op) { o.R, o.W = min(o.R, n), min(o.W, n) }
}

// script builds a history.
type script struct {
	testing.TB
	h history.History
}

func (s *script) add(o history.Op, changes []change) {
	o.Outcome = history.OK
	o.Key = "k"
	for _, c := range changes {
		c(&o)
	}
	s.h.Ops = append(s.h.Ops, o)
}

// write is a put or a delete; over says what its context lists, "-" that it has none.
func (s *script) write(k history.Kind, v, over string, from, to int64, changes ...change) {
	o := history.Op{Kind: k, Value: values(s, v)[0], Invoked: from, Completed: to, W: 2}
	o.Process = int(o.Value.Client)
	if o.Blind = over == "-"; !o.Blind {
		o.Context = values(s, over)
	}
	s.add(o, changes)
}

func (s *script) put(v, over string, from, to int64, changes ...change) {
	s.write(history.Put, v, over, from, to, changes...)
}

func (s *script) del(v, over string, from, to int64, changes ...change) {
	s.write(history.Delete, v, over, from, to, changes...)
}

func (s *script) get(process int, read string, from, to int64, changes ...change) {
	s.add(history.Op{
		Kind: history.Get, Process: process, Read: values(s, read), Invoked: from, Completed: to,
		R: 2,
	}, changes)
}

// final reads everywhere, behind all else.
func (s *script) final(read string) {
	n := int64(1000 + len(s.h.Ops))
	s.get(99, read, n, n, func(o *history.Op) { o.R, o.Final = 3, 1 })
}

func small() Config {
	cfg := DefaultConfig()
	cfg.MinOps, cfg.MinAvailable, cfg.Grain = 1, 0, 0
	return cfg
}

// rulesOf are the broken ones, each once.
func rulesOf(r *Report) string {
	var rules []string
	for _, res := range r.Results {
		for _, v := range res.Violations {
			rules = append(rules, v.Rule)
		}
	}
	slices.Sort(rules)
	return strings.Join(slices.Compact(rules), " ")
}

type ruleCase struct {
	name  string
	build func(s *script)
	want  string // the broken rules
	cfg   func(*Config)
}

func run(t *testing.T, cases []ruleCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
			c.build(s)
			slices.SortStableFunc(s.h.Ops, func(a, b history.Op) int {
				return cmp.Compare(a.Completed, b.Completed)
			})
			cfg := small()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			r := check(t, &s.h, cfg)
			want := Valid
			if c.want != "" {
				want = Invalid
			}
			if got := rulesOf(r); got != c.want || r.Verdict != want {
				t.Errorf("broken: %q, want %q: %s", got, c.want, r)
			}
		})
	}
}

func noFinal(c *Config) { c.Final = false }
