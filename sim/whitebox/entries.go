// SPDX-License-Identifier: Apache-2.0

package whitebox

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/internal/trace"
)

// entry is an entry of the metadata group's log.
type entry struct{ index, term uint64 }

func (e entry) String() string { return fmt.Sprintf("entry %d of term %d", e.index, e.term) }

// groupLog is what is known of the log of the metadata group. Nobody recovers the group by
// force in a run that is judged: then another log would begin.
type groupLog struct {
	stored    map[entry][]uint16 // the nodes that have, or had, it durably
	committed map[uint64]uint64  // the term of each index
}

func newGroupLog() groupLog {
	return groupLog{stored: make(map[entry][]uint16), committed: make(map[uint64]uint64)}
}

func entryOf(e *trace.Event) entry { return entry{index: e.Value, term: e.Counter} }

// stored notes who has an entry durably. That it is overwritten later, or that a wiped disk
// takes it, changes nothing: it could be counted before.
func (c *Checker) stored(e *trace.Event) {
	at := entryOf(e)
	if !slices.Contains(c.log.stored[at], e.Emitter) {
		c.log.stored[at] = append(c.log.stored[at], e.Emitter)
	}
}

// committed is the rules same-entry and entry-by-majority. By the latter it is judged once:
// when the first node takes it for committed.
func (c *Checker) committed(e *trace.Event) {
	at := entryOf(e)
	if term, known := c.log.committed[at.index]; known {
		if term != at.term {
			c.violated(RuleSameEntry, "node %d takes %s for committed, and %s was before",
				e.Emitter, at, entry{at.index, term})
		}
		return
	}
	c.log.committed[at.index] = at.term
	c.counts.Entries++
	if e.Need == 0 {
		c.violated(RuleByMajority, "node %d takes %s for committed and does not say how many nodes "+
			"had to have it", e.Emitter, at)
	}
	if by := c.log.stored[at]; len(by) < int(e.Need) {
		c.violated(RuleByMajority, "node %d takes %s for committed, %d nodes had to have it, and "+
			"these have it durably: %v", e.Emitter, at, e.Need, by)
	}
}
