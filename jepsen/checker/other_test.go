// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// element adds v to the set k, members reads it.
func (s *script) element(v string, from, to int64, changes ...change) {
	o := history.Op{Kind: history.Add, Value: values(s, v)[0], Invoked: from, Completed: to, W: 2}
	o.Process = int(o.Value.Client)
	s.add(o, changes)
}

func (s *script) members(read string, from, to int64, changes ...change) {
	s.add(history.Op{
		Kind: history.Members, Process: 90, Read: values(s, read), Invoked: from, Completed: to,
		R: 2,
	}, changes)
}

// last makes a read final.
func last(o *history.Op) { o.R, o.Final = 3, 1 }

func TestSetsKeepTheirElements(t *testing.T) {
	run(t, []ruleCase{
		{"stable", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("1.1", 100, 101, last)
		}, "", nil},
		{"missed by the last read", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("1.1", 2, 3)
			s.members("", 100, 101, last)
		}, "lost-update", nil},
		{"missed by a read whose levels meet", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("", 2, 3)
			s.members("1.1", 100, 101, last)
		}, "lost-update", nil},
		{"missed by one whose levels do not", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("", 2, 3, levelsAre(1))
			s.members("1.1", 100, 101, last)
		}, "", nil},
		{"missed to the end without a final read", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("", 2, 3, levelsAre(1))
		}, "lost", noFinal},
		{"unknown outcome, seen and gone", func(s *script) {
			s.element("1.1", 0, 1, info)
			s.members("1.1", 2, 3)
			s.members("", 100, 101, last)
		}, "", nil},
		{"an element that was refused", func(s *script) {
			s.element("1.1", 0, 1, fail)
			s.members("1.1", 100, 101, last)
		}, "phantom", nil},
		{"one element twice", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("1.1 1.1", 100, 101, last)
		}, "explosion", nil},
	})
}

func TestElementsOfSetsAreClassed(t *testing.T) {
	s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.element("1.1", 0, 1)       // stable
	s.element("2.1", 0, 1)       // stale, last missed 7 ms after it was known
	s.element("3.1", 0, 1)       // lost
	s.element("4.1", 0, 1, fail) // does not count
	s.element("6.1", 0, 1, info) // known by a read, and lost
	s.element("7.1", 0, 1, info) // never read
	weak := levelsAre(1)
	s.members("1.1 3.1 6.1", 2, 3, weak)
	s.members("1.1 3.1", 7e6+1, 8e6, weak)
	s.members("1.1 2.1", 9e6, 9e6+1, weak)
	s.element("5.1", 10e6, 10e6+1) // never read
	cfg := small()
	cfg.Final = false
	report := check(t, &s.h, cfg)
	r := report.Result("set")
	for name, want := range map[string]float64{
		"elements": 6, "stable": 2, "stale": 1, "lost": 2, "never-read": 2, "reads": 3,
		"stale-ms-p50": 7, "stale-ms-max": 7,
	} {
		if got := r.Stat(name); got != want {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
}

func (s *script) increment(delta, from, to int64, changes ...change) {
	s.add(history.Op{
		Kind: history.Increment, Process: len(s.h.Ops), Delta: delta, Invoked: from, Completed: to,
		W: 2,
	}, changes)
}

func (s *script) total(n, from, to int64, changes ...change) {
	s.add(history.Op{
		Kind: history.Total, Process: len(s.h.Ops), Total: n, Invoked: from, Completed: to, R: 2,
	}, changes)
}

func TestCountersStayWithinTheirBounds(t *testing.T) {
	// Acknowledged: +5, -2. Unknown: +10, -20. Refused: +100. So -17 to 13.
	with := func(n int64, changes ...change) func(s *script) {
		return func(s *script) {
			s.increment(5, 0, 1)
			s.increment(-2, 0, 1)
			s.increment(10, 0, 1, info)
			s.increment(-20, 0, 1, info)
			s.increment(100, 0, 1, fail)
			s.total(n, 2, 3, changes...)
			s.total(3, 1000, 1001, last)
			s.increment(1000, 1002, 1003)
		}
	}
	run(t, []ruleCase{
		{"lowest", with(-17), "", nil},
		{"too low", with(-18), "bounds", nil},
		{"highest", with(13), "", nil},
		{"too high", with(14), "bounds", nil},
		{"levels that do not meet: the acknowledged may be missed", with(-22, levelsAre(1)), "", nil},
		{"levels that do not meet: too low", with(-23, levelsAre(1)), "bounds", nil},
		{"levels that do not meet: highest", with(15, levelsAre(1)), "", nil},
		{"levels that do not meet: too high", with(16, levelsAre(1)), "bounds", nil},
	})
}

func TestWhatCanNotBeToldIsUnknown(t *testing.T) {
	one := func(s *script) { s.put("1.1", "-", 0, 1) }
	cases := []struct {
		name  string
		build func(s *script)
		cfg   func(*Config)
		want  string
	}{
		{"nothing", func(*script) {}, nil, "no operation"},
		{"no final read", func(s *script) { one(s); s.get(3, "1.1", 2, 3) }, nil, "no final read"},
		{"a final read that failed", func(s *script) {
			one(s)
			s.get(3, "1.1", 2, 3)
			s.get(3, "", 4, 5, last, info)
		}, nil, "no final read"},
		{"no final read in the last round", func(s *script) {
			one(s)
			s.final("1.1")
			s.h.Ops = append(s.h.Ops, history.Op{
				Kind: history.Get, Key: "other", Outcome: history.OK, Final: 2, Process: 7,
			})
		}, nil, "no final read"},
		{"no read at all", one, noFinal, "no read was ok"},
		{"a value twice", func(s *script) {
			one(s)
			s.put("1.1", "-", 2, 3)
			s.final("1.1")
		}, nil, "two writes have the value 1.1"},
		{"a process with two operations at a time", func(s *script) {
			s.put("1.1", "-", 0, 3)
			s.put("1.2", "-", 2, 4)
			s.final("1.1 1.2")
		}, nil, "two operations"},
		{"a key used in two ways", func(s *script) {
			one(s)
			s.element("1.2", 2, 3)
		}, nil, "in two ways"},
		{"too many writes", func(s *script) {
			one(s)
			s.put("1.2", "-", 2, 3)
			s.final("1.1 1.2")
		}, func(c *Config) { c.MaxWrites = 1 }, "MaxWrites"},
		{"too many elements", func(s *script) {
			s.element("1.1", 0, 1)
			s.element("1.2", 2, 3)
			s.members("1.1 1.2", 4, 5, last)
		}, func(c *Config) { c.MaxWrites = 1 }, "MaxWrites"},
		{"a set that was not read at the end", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("1.1", 4, 5)
		}, nil, "no final read"},
		{"a counter that was not read at the end", func(s *script) {
			s.increment(1, 0, 1)
			s.total(1, 2, 3)
		}, nil, "no final read"},
		{"a counter that may overflow", func(s *script) {
			s.increment(-1<<63, 0, 1)
			s.total(1, 2, 3, last)
		}, nil, "overflow"},
		{"too few operations", func(s *script) { one(s); s.final("1.1") },
			func(c *Config) { c.MinOps = 3 }, "fewer than 3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
			c.build(s)
			cfg := small()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			r := check(t, &s.h, cfg)
			if r.Verdict != Unknown || !strings.Contains(r.String(), c.want) {
				t.Errorf("want unknown, %q: %s", c.want, r)
			}
		})
	}
}

func TestAvailabilityCountsWhatDoesNotRunIntoAnOutage(t *testing.T) {
	for _, c := range []struct {
		name         string
		failed       int
		from, to     int64 // of those that failed
		want         Verdict
		minAvailable float64
	}{
		{"enough", 2, 0, 1, Valid, 0.8},
		{"too few", 3, 0, 1, Invalid, 0.8},
		{"in the outage", 3, 125, 130, Valid, 0.8},
		{"in what lengthens it", 3, 170, 180, Valid, 0.8},
		{"into the outage", 3, 90, 100, Valid, 0.8},
		{"out of it", 3, 200, 210, Valid, 0.8},
		{"around it", 3, 90, 210, Valid, 0.8},
		{"behind it", 3, 201, 210, Invalid, 0.8},
		{"in what is none", 3, 300, 310, Invalid, 0.8},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
			s.h.Events = []history.Event{
				{From: 150, Until: 200, Name: "partition", Outage: true},
				{From: 100, Until: 160, Name: "partition", Outage: true},
				{From: 110, Until: 120, Name: "partition", Outage: true},
				{From: 250, Until: 350, Name: "delay"},
			}
			for i := range 10 {
				o := history.Op{Kind: history.Get, R: 2, Process: i, Node: "n1"}
				if i < c.failed {
					o.Invoked, o.Completed = c.from, c.to
					s.add(o, []change{fail})
				} else {
					s.add(o, nil)
				}
			}
			cfg := small()
			cfg.Final, cfg.MinAvailable = false, c.minAvailable
			if r := check(t, &s.h, cfg).Result("availability"); r.Verdict != c.want {
				t.Errorf("%s: %+v", r.Verdict, r)
			}
		})
	}
}

func TestSloppyLevelsPromiseOnlyWhatOwnersDo(t *testing.T) {
	for _, c := range []struct {
		pw, pr uint8
		want   Verdict
	}{{0, 0, Valid}, {0, 2, Valid}, {2, 0, Valid}, {1, 2, Valid}, {2, 2, Invalid}} {
		s := &script{TB: t, h: history.History{
			Header: history.Header{Version: 1, N: 3, Sloppy: true},
		}}
		s.put("1.1", "-", 0, 1, func(o *history.Op) { o.PW = c.pw })
		s.get(3, "", 2, 3, func(o *history.Op) { o.PR = c.pr })
		s.final("1.1")
		if r := check(t, &s.h, small()); r.Verdict != c.want {
			t.Errorf("pw = %d, pr = %d: %s", c.pw, c.pr, r)
		}
	}
}

func TestABrokenRuleIsCertainWhateverElseIsNotKnown(t *testing.T) {
	for _, key := range []string{"a", "z"} { // before and behind the broken one
		s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
		s.put("2.1", "-", 0, 1)
		s.h.Ops[0].Key = key // never read
		s.put("1.1", "-", 0, 1)
		s.final("")
		if key == "z" {
			s.h.Ops = append(s.h.Ops[1:], s.h.Ops[0])
		}
		r := check(t, &s.h, small())
		text, err := json.Marshal(r)
		if err != nil || r.Verdict != Invalid || r.Result("causal").Why == "" ||
			!strings.HasPrefix(string(text), `{"verdict":"invalid"`) {
			t.Errorf("%v, %s, %s", err, r, text)
		}
	}
	s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.put("1.1", "-", 0, 1)
	s.final("")
	cfg := small()
	cfg.MinOps = 3 // availability, which comes later, is unknown
	if r := check(t, &s.h, cfg); r.Verdict != Invalid {
		t.Errorf("%s", r)
	}
}

func TestAViolationTellsHowItCameAbout(t *testing.T) {
	s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.put("1.1", "-", 0, 1)
	s.put("2.1", "1.1", 2, 3)
	s.put("3.1", "2.1", 4, 5)
	s.get(4, "1.1 3.1", 6, 7)
	s.final("3.1")
	const want = `false-sibling: key "k": 1.1 is shown beside 3.1, which overwrote it
  0.000000 s: process 1 put "k" 1.1: ok after 1ns
  0.000000 s: process 2 put "k" 2.1 over [1.1]: ok after 1ns
  0.000000 s: process 3 put "k" 3.1 over [2.1]: ok after 1ns
  0.000000 s: process 4 get "k" = [1.1 3.1]: ok after 1ns
`
	if got := check(t, &s.h, small()).String(); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestALostUpdateIsNotExplainedByWhatCameLater: a cause comes before its effect.
func TestALostUpdateIsNotExplainedByWhatCameLater(t *testing.T) {
	s := &script{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.put("1.1", "-", 0, 1)
	s.put("2.1", "1.1", 2, 3)
	s.get(4, "", 4, 5)
	s.put("3.1", "2.1", 6, 7)
	s.final("3.1")
	found := check(t, &s.h, small()).Result("causal").Violations
	if len(found) == 0 || found[0].Rule != "lost-update" {
		t.Fatalf("%v", found)
	}
	if v := &found[0]; !slices.Equal(v.Ops, []int{0, 1, 2}) || !slices.Equal(v.From, []int64{0, 2, 4}) {
		t.Errorf("path %v from %v", v.Ops, v.From)
	}
}

// A store that shows nothing at all breaks a rule with every read.
func TestAStoreThatIsBrokenEverywhereIsJudgedSoonAndTheReportStaysShort(t *testing.T) {
	h := large(t, 50_000)
	for i := range h.Ops {
		h.Ops[i].Read = nil
	}
	begun := time.Now()
	cfg := DefaultConfig()
	r := check(t, h, cfg)
	if r.Verdict != Invalid || r.Result("causal").Count < 10_000 {
		t.Errorf("%s", r)
	}
	for _, res := range r.Results {
		if len(res.Violations) > cfg.Keep {
			t.Errorf("%s tells %d violations", res.Checker, len(res.Violations))
		}
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestCheckRefusesConfigurationsThatCanNotBe(t *testing.T) {
	h := history.History{Header: history.Header{Version: 1, N: 3}}
	for i, spoil := range []func(*Config){
		func(c *Config) { c.MaxSiblings = -1 },
		func(c *Config) { c.Linger = -1 },
		func(c *Config) { c.Skew = 1 << 62 },
		func(c *Config) { c.Grain = -1 },
		func(c *Config) { c.MinAvailable = 1.1 },
		func(c *Config) { c.MinOps = 0 },
		func(c *Config) { c.MaxWrites = 1 << 20 },
		func(c *Config) { c.Keep = 0 },
	} {
		cfg := DefaultConfig()
		spoil(&cfg)
		if _, err := Check(&h, cfg); err == nil {
			t.Errorf("configuration %d was taken: %s", i, fmt.Sprint(cfg))
		}
	}
	if _, err := Check(&history.History{}, DefaultConfig()); err == nil {
		t.Error("a header without replicas was taken")
	}
}

func TestVerdictsAreReadAsTheyAreWritten(t *testing.T) {
	for _, v := range []Verdict{Valid, Invalid, Unknown} {
		text, err := v.MarshalText()
		var got Verdict
		if err = errors.Join(err, got.UnmarshalText(text)); err != nil || got != v {
			t.Errorf("%s was read as %s: %v", v, got, err)
		}
	}
	var v Verdict
	if err := v.UnmarshalText([]byte("verdict(0)")); err == nil {
		t.Error("what is no verdict was read as one")
	}
}
