// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func TestWhatCanNotBeToldOfLocksIsUnknown(t *testing.T) {
	cases := []struct {
		name  string
		build func(s *lockScript)
		cfg   func(*Config)
		want  string
	}{
		{"no grant", func(*lockScript) {}, nil, "0 grants, fewer than 1"},
		{"a session that nobody opened", func(s *lockScript) { s.acquire("x1", 5, 10, 11) },
			nil, "nobody opened"},
		{"a session that is opened twice", func(s *lockScript) { s.open("a") }, nil, "opened twice"},
		{"two attempts with one number", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("a1", 6, 12, 13)
		}, nil, "one number"},
		{"too many operations", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("a2", 0, 12, 13)
		}, func(c *Config) { c.MaxLockOps = 1 }, "2 operations"},
		{"too many unknown outcomes", func(s *lockScript) {
			s.acquire("a1", 5, 10, 11)
			s.acquire("a2", 0, 12, 13, unknown)
			s.acquire("b2", 0, 12, 13, unknown)
		}, func(c *Config) { c.MaxLockUnsure = 2 }, "3 holders of unknown outcome"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &lockScript{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
			for _, name := range []string{"a", "b"} {
				s.open(name)
			}
			c.build(s)
			cfg := small()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			if r := check(t, &s.h, cfg); r.Verdict != Unknown || !strings.Contains(r.String(), c.want) {
				t.Errorf("want unknown, %q: %s", c.want, r)
			}
		})
	}
}

func TestASecondHolderIsToldWithWhatMayHaveEndedTheFirst(t *testing.T) {
	s := &lockScript{TB: t, h: history.History{Header: history.Header{Version: 1, N: 3}}}
	s.open("a")
	s.open("b")
	s.acquire("a1", 5, 10, 11)
	s.acquire("b1", 6, 20, 21)
	s.release("a1", 5, 30, 31)
	found := check(t, &s.h, small()).Result("locks").Violations
	if len(found) != 1 || found[0].Rule != "two-holders" || !slices.Equal(found[0].Ops, []int{2, 3, 4}) {
		t.Errorf("%v", found)
	}
}
