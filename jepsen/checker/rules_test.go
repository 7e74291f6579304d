// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

func TestWhatIsShownMustHaveBeenWritten(t *testing.T) {
	run(t, []ruleCase{
		{"by nobody", func(s *script) { s.get(3, "1.1", 1, 2) }, "phantom", noFinal},
		{"refused for certain", func(s *script) {
			s.put("1.1", "-", 0, 1, fail)
			s.get(3, "1.1", 2, 3)
			s.final("")
		}, "phantom", nil},
		{"after the read was over", func(s *script) {
			s.get(3, "1.1", 1, 2)
			s.put("1.1", "-", 3, 4)
			s.final("1.1")
		}, "phantom", nil},
		{"in the same moment", func(s *script) {
			s.put("1.1", "-", 3, 4)
			s.get(3, "1.1", 1, 3)
			s.final("1.1")
		}, "", nil},
		{"a delete is no value", func(s *script) {
			s.del("1.1", "-", 1, 2)
			s.final("1.1")
		}, "phantom", nil},
		{"a context is shown too", func(s *script) {
			s.put("1.1", "2.7", 1, 2)
			s.final("1.1")
		}, "phantom", nil},
		{"two that overwrote each other", func(s *script) {
			s.put("1.1", "2.1", 1, 2)
			s.put("2.1", "1.1", 1, 2)
			s.final("1.1")
		}, "phantom", nil},
		{"unknown outcome may show, and need not", func(s *script) {
			s.put("1.1", "-", 0, 1, info)
			s.put("2.1", "-", 0, 1, info)
			s.get(3, "1.1", 2, 3)
			s.final("1.1")
		}, "", nil},
		{"an answer of a put is a read", func(s *script) {
			s.put("1.1", "-", 0, 1, func(o *history.Op) { o.Read = values(s, "1.1 7.7") })
			s.final("1.1")
		}, "phantom", nil},
	})
}

func TestNothingIsShownBesideWhatOverwroteIt(t *testing.T) {
	chain := func(s *script) {
		s.put("1.1", "-", 0, 1)
		s.put("1.2", "1.1", 2, 3)
		s.put("2.1", "1.2", 4, 5)
	}
	run(t, []ruleCase{
		{"direct", func(s *script) { chain(s); s.final("1.2 2.1") }, "false-sibling", nil},
		{"through another", func(s *script) { chain(s); s.final("1.1 2.1") }, "false-sibling", nil},
		{"of which one may be there twice", func(s *script) {
			s.put("1.1", "-", 0, 1, moved)
			s.put("1.2", "1.1", 2, 3)
			s.final("1.1 1.1 1.2")
		}, "", nil},
		{"twice, although readers see tries at one node once", func(s *script) {
			s.put("1.1", "-", 0, 1, again)
			s.final("1.1 1.1")
		}, "explosion", nil},
		{"of which one try may be there", func(s *script) {
			s.put("1.1", "-", 0, 1, again)
			s.put("1.2", "1.1", 2, 3)
			s.final("1.1 1.2")
		}, "", nil},
		{"deleted by the first try of a delete, of which the second knows nothing", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.del("2.1", "-", 2, 3, again)
			s.put("2.2", "2.1", 4, 5, func(o *history.Op) { o.Read = values(s, "1.1 2.2") })
			s.final("2.2")
		}, "", nil},
		{"deleted by what was tried once", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.del("2.1", "-", 2, 3)
			s.put("2.2", "2.1", 4, 5, func(o *history.Op) { o.Read = values(s, "1.1 2.2") })
			s.final("2.2")
		}, "false-sibling", nil},
		{"deleted by a second try, and there at the end", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.del("2.1", "-", 2, 3, again)
			s.put("2.2", "2.1", 4, 5)
			s.final("1.1 2.2")
		}, "false-sibling resurrection", nil},
		{"twice", func(s *script) { chain(s); s.final("2.1 2.1") }, "explosion", nil},
		{"more than there are writers", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.put("1.2", "-", 2, 3)
			s.final("1.1 1.2")
		}, "explosion", func(c *Config) { c.MaxSiblings = 1 }},
	})
}

func TestAnAcknowledgedWriteStaysUntilItIsOverwritten(t *testing.T) {
	two := func(s *script) {
		s.put("1.1", "-", 0, 1)
		s.put("2.1", "-", 0, 1)
	}
	run(t, []ruleCase{
		{"lost at the end", func(s *script) { two(s); s.final("1.1") }, "lost-update", nil},
		{"missed by a strict read", func(s *script) {
			two(s)
			s.get(3, "1.1", 2, 3)
			s.final("1.1 2.1")
		}, "lost-update", nil},
		{"missed by levels that do not meet", func(s *script) {
			two(s)
			s.get(3, "1.1", 2, 3, levelsAre(1))
			s.final("1.1 2.1")
		}, "", nil},
		{"missed in a run that promises nothing", func(s *script) {
			two(s)
			s.get(3, "1.1", 2, 3)
			s.final("1.1 2.1")
		}, "", func(c *Config) { c.Strict = false }},
		{"lost at the end of a run that promises nothing else", func(s *script) {
			two(s)
			s.final("1.1")
		}, "lost-update", func(c *Config) { c.Strict = false }},
		{"missed in the same moment", func(s *script) {
			two(s)
			s.get(3, "1.1", 1, 3)
			s.final("1.1 2.1")
		}, "", nil},
		{"overwritten by what nobody acknowledged", func(s *script) {
			two(s)
			s.put("3.1", "1.1", 2, 3, info)
			s.final("2.1 3.1")
		}, "", nil},
		{"overwritten by what is not there", func(s *script) {
			two(s)
			s.put("3.1", "1.1", 2, 3, info)
			s.final("2.1")
		}, "lost-update", nil},
		{"its time is over", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.put("1.2", "1.1", 2, 3, func(o *history.Op) { o.TTL = 100 })
			s.get(3, "1.2", 50, 51)
			s.final("")
		}, "", nil},
		{"its time is not over", func(s *script) {
			s.put("1.1", "-", 0, 1, func(o *history.Op) { o.TTL = 100 })
			s.get(3, "", 98, 99)
			s.final("")
		}, "lost-update", nil},
		{"its time is over by another clock", func(s *script) {
			s.put("1.1", "-", 0, 1, func(o *history.Op) { o.TTL = 100 })
			s.get(3, "", 98, 99)
			s.final("")
		}, "", func(c *Config) { c.Skew = 2 }},
	})
}

func TestDeletesRemoveWhatTheyCoverAndNothingElse(t *testing.T) {
	one := func(s *script) {
		s.put("1.1", "-", 0, 1)
		s.put("1.2", "1.1", 2, 3)
	}
	run(t, []ruleCase{
		{"gone", func(s *script) { one(s); s.del("2.1", "1.2", 4, 5); s.final("") }, "", nil},
		{"back", func(s *script) {
			one(s)
			s.del("2.1", "1.2", 4, 5)
			s.get(3, "1.2", 6, 7)
			s.final("")
		}, "resurrection", nil},
		{"back through levels that do not meet", func(s *script) {
			one(s)
			s.del("2.1", "1.2", 4, 5)
			s.get(3, "1.2", 6, 7, levelsAre(1))
			s.final("")
		}, "", nil},
		{"an ancestor is back at the end", func(s *script) {
			one(s)
			s.del("2.1", "1.2", 4, 5)
			s.final("1.1")
		}, "resurrection", nil},
		{"back by a twin", func(s *script) {
			s.put("1.1", "-", 0, 1, moved)
			s.del("2.1", "1.1", 4, 5)
			s.final("1.1")
		}, "", nil},
		{"back by a try before it that was not known any more", func(s *script) {
			s.put("1.1", "-", 0, 1, again)
			s.del("2.1", "1.1", 4, 5)
			s.final("1.1")
		}, "", nil},
		{"gone by a try of a delete that goes on after it", func(s *script) {
			one(s)
			s.del("2.1", "-", 4, 5, again)
			s.put("3.1", "-", 6, 7)
			s.final("")
		}, "", nil},
		{"a write beside the delete is gone", func(s *script) {
			one(s)
			s.put("3.1", "1.1", 4, 5)
			s.del("2.1", "1.2", 4, 5)
			s.final("")
		}, "lost-update", nil},
		{"a delete of unknown outcome", func(s *script) {
			one(s)
			s.del("2.1", "1.2", 4, 5, info)
			s.final("")
		}, "", nil},
		{"a delete that was refused", func(s *script) {
			one(s)
			s.del("2.1", "1.2", 4, 5, fail)
			s.final("")
		}, "lost-update", nil},
		{"back although a delete must have found it", func(s *script) {
			one(s)
			s.del("2.1", "-", 4, 5)
			s.final("1.2")
		}, "resurrection", nil},
		{"a delete may find what was written meanwhile", func(s *script) {
			one(s)
			s.put("3.1", "-", 4, 6)
			s.del("2.1", "-", 4, 5)
			s.final("")
		}, "", nil},
		{"it may as well not find it", func(s *script) {
			one(s)
			s.put("3.1", "-", 4, 6)
			s.del("2.1", "-", 4, 5)
			s.final("3.1")
		}, "", nil},
		{"it does not find what comes after it", func(s *script) {
			one(s)
			s.del("2.1", "-", 4, 5)
			s.put("3.1", "-", 6, 7)
			s.final("")
		}, "lost-update", nil},
		{"unless nobody knows how long it goes on", func(s *script) {
			one(s)
			s.del("2.1", "-", 4, 5, info)
			s.put("3.1", "-", 6, 7)
			s.final("")
		}, "", nil},
		{"or that is known", func(s *script) {
			one(s)
			s.del("2.1", "-", 4, 5, info)
			s.put("3.1", "-", 106, 107)
			s.final("")
		}, "lost-update", func(c *Config) { c.Linger = 100 * time.Nanosecond }},
		{"shown beside what came after the delete", func(s *script) {
			one(s)
			s.del("2.1", "1.2", 4, 5)
			s.put("2.2", "2.1", 6, 7)
			s.get(3, "1.2 2.2", 8, 9)
			s.final("2.2")
		}, "false-sibling resurrection", nil},
	})
}

func TestSessionsDoNotGoBack(t *testing.T) {
	run(t, []ruleCase{
		{"behind their writes", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.get(1, "", 1, 2) // equal times: rule 3 can not tell
			s.final("1.1")
		}, "read-your-writes", nil},
		{"behind their deletes", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.del("1.2", "1.1", 1, 2)
			s.get(1, "1.1", 2, 3) // equal times again
			s.final("")
		}, "read-your-writes", nil},
		{"behind deletes whose levels do not meet theirs", func(s *script) {
			s.put("1.1", "-", 0, 1, moved)
			s.put("1.2", "-", 1, 2)
			s.del("1.3", "1.2 1.1", 2, 3)
			s.get(1, "1.1", 3, 4) // by a twin
			s.get(1, "1.2", 5, 6, levelsAre(1))
			s.final("1.1")
		}, "", nil},
		{"but where levels do not meet they may", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.get(1, "1.1", 1, 2)
			s.get(1, "", 2, 3, levelsAre(1))
			s.final("1.1")
		}, "", nil},
		{"behind their reads of what is acknowledged", func(s *script) {
			s.put("1.1", "-", 0, 1)
			s.get(2, "1.1", 0, 1)
			s.get(2, "", 1, 2)
			s.final("1.1")
		}, "monotonic-reads", nil},
		{"behind what is not, they may", func(s *script) {
			s.put("1.1", "-", 0, 9)
			s.get(2, "1.1", 1, 2)
			s.get(2, "", 3, 4)
			s.final("1.1")
		}, "", nil},
		{"unless they ask for it, also in other sessions", func(s *script) {
			s.put("1.1", "-", 0, 9)
			s.get(2, "1.1", 1, 2, atomic)
			s.get(3, "", 3, 4, atomic)
			s.final("1.1")
		}, "atomic", nil},
		{"other reads may", func(s *script) {
			s.put("1.1", "-", 0, 9)
			s.get(2, "1.1", 1, 2, atomic)
			s.get(3, "", 3, 4)
			s.final("1.1")
		}, "", nil},
	})
}

func TestFinalReadsOfOneRoundAgree(t *testing.T) {
	unsure := func(s *script) { s.put("1.1", "-", 0, 1, info) }
	run(t, []ruleCase{
		{"they do not", func(s *script) { unsure(s); s.final("1.1"); s.final("") }, "divergence", nil},
		{"they do", func(s *script) { unsure(s); s.final("1.1"); s.final("1.1") }, "", nil},
		{"but for what expires", func(s *script) {
			s.put("1.1", "-", 0, 1, func(o *history.Op) { o.TTL = 1001 })
			s.final("1.1")
			s.final("")
		}, "", nil},
	})
}
