// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"testing"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func lives(ttl int64) change { return func(o *history.Op) { o.TTL = ttl } }

func TestValuesAreShownUntilTheyEndAndNotAnyMore(t *testing.T) {
	skewed := func(c *Config) { c.Skew = 5 }
	rounded := func(c *Config) { c.Skew, c.Grain = 5, 2 }
	lingers := func(c *Config) { c.Linger = 20 }
	// One value that lives for 100, from 10 to 14 on, and a read of it.
	value := func(read string, at int64, changes ...change) func(*script) {
		return func(s *script) {
			s.put("1.1", "-", 10, 14, append(changes, lives(100))...)
			s.get(3, read, at, at)
			s.final("")
		}
	}
	run(t, []ruleCase{
		{"gone as soon as it may", value("", 110), "", nil},
		{"gone too soon", value("", 109), "lost-update", nil},
		{"there as long as it may", value("1.1", 113), "", nil},
		{"there too long", value("1.1", 114), "expired", nil},
		{"gone as soon as clocks allow", value("", 105), "", skewed},
		{"there longer, by what times are rounded up to", value("1.1", 120), "", rounded},
		{"and not longer", value("1.1", 121), "expired", rounded},
		{"nor gone sooner by that", value("", 104), "lost-update", rounded},
		{"gone sooner than clocks allow", value("", 104), "lost-update", skewed},
		{"there as long as clocks allow", value("1.1", 118), "", skewed},
		{"there longer than clocks allow", value("1.1", 119), "expired", skewed},
		{"nobody knows when it was written", value("1.1", 500, info), "", nil},
		{"nor by which of its attempts", value("1.1", 500, moved), "", nil},
		{"unless it is known how long these go on", value("1.1", 134, info), "expired", lingers},
		{"until then it may be there", value("1.1", 133, info), "", lingers},
		{"between the two bounds by turns", func(s *script) {
			s.put("1.1", "-", 10, 14, lives(100))
			s.get(3, "", 110, 110)
			s.get(4, "1.1", 112, 112)
			s.final("")
		}, "", nil},
		{"back after it was over", func(s *script) {
			s.put("1.1", "-", 10, 14, lives(100))
			s.get(3, "", 114, 115)
			s.get(4, "1.1", 120, 121)
			s.final("")
		}, "expired", nil},
		{"the answer of a put shows it", func(s *script) {
			s.put("1.1", "-", 10, 14, lives(100))
			s.put("2.1", "-", 120, 121, func(o *history.Op) { o.Read = values(s, "1.1 2.1") })
			s.final("2.1")
		}, "expired", nil},
		{"what it overwrote does not come back", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.put("2.1", "1.1", 10, 14, lives(100))
			s.get(3, "2.1 1.1", 50, 51)
			s.final("")
		}, "false-sibling", nil},
		{"what stands beside it stays", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.put("2.1", "-", 10, 14, lives(100))
			s.final("")
		}, "lost-update", nil},
	})
}

// A delete without context deletes what it finds, and by its own clock that may have ended
// while it is there for another.
func TestDeletesNeedNotFindWhatMayHaveEnded(t *testing.T) {
	skewed := func(c *Config) { c.Skew = 20 }
	at := func(from, to, read int64) func(*script) {
		return func(s *script) {
			s.put("1.1", "-", 10, 14, lives(100))
			s.del("2.1", "-", from, to)
			s.get(3, "1.1", read, read)
			s.final("")
		}
	}
	run(t, []ruleCase{
		{"ended for the delete", at(90, 91, 100), "", skewed},
		{"during the delete", at(80, 90, 100), "", skewed},
		{"after the delete", at(80, 89, 100), "resurrection", skewed},
	})
}

func TestFinalReadsAgreeOnWhatCanNotHaveEnded(t *testing.T) {
	twice := func(ttl int64) func(*script) {
		return func(s *script) {
			s.put("1.1", "-", 0, 1, info, lives(ttl))
			s.final("1.1") // at 1001
			s.final("")    // at 1002
		}
	}
	run(t, []ruleCase{
		{"it may have ended between them", twice(1002), "", nil},
		{"it has not", twice(1003), "divergence", nil},
	})
}

// Where a replica is lost for good the final reads ask those that are left.
func TestFinalReadsOfAllThatAreLeftShowWhatMoreHaveAcknowledged(t *testing.T) {
	left := func(o *history.Op) { o.R, o.Final = 2, 1 }
	run(t, []ruleCase{
		{"by two", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.get(3, "", 100, 101, left)
		}, "lost-update", nil},
		{"by one, which may be the lost one", func(s *script) {
			s.put("1.1", "-", 0, 1, levelsAre(1))
			s.get(3, "", 100, 101, left)
		}, "", nil},
		{"all replicas show what one has acknowledged", func(s *script) {
			s.put("1.1", "-", 0, 1, levelsAre(1))
			s.final("")
		}, "lost-update", nil},
		{"deleted by two", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.del("1.2", "1.1", 2, 3)
			s.get(3, "1.1", 100, 101, left)
		}, "resurrection", nil},
		{"deleted by one", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.del("1.2", "1.1", 2, 3, levelsAre(1))
			s.get(3, "1.1", 100, 101, left)
		}, "", nil},
		{"two of them may ask different replicas", func(s *script) {
			s.put("1.1", "-", 0, 1, info)
			s.get(3, "1.1", 100, 101, left)
			s.get(4, "", 100, 101, left)
		}, "", nil},
		{"two of all may not", func(s *script) {
			s.put("1.1", "-", 0, 1, info)
			s.get(4, "", 100, 101, left)
			s.final("1.1")
			s.final("")
		}, "divergence", nil},
		{"an element on two", func(s *script) {
			s.element("1.1", 0, 1)
			s.members("", 100, 101, left)
		}, "lost-update", nil},
		{"an element on one", func(s *script) {
			s.element("1.1", 0, 1, levelsAre(1))
			s.members("", 100, 101, left)
		}, "", nil},
		{"increments by two", func(s *script) {
			s.increment(5, 0, 1)
			s.total(0, 100, 101, left)
		}, "bounds", nil},
		{"increments by one", func(s *script) {
			s.increment(5, 0, 1, levelsAre(1))
			s.total(0, 100, 101, left)
		}, "", nil},
	})
}
