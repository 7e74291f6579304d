// SPDX-License-Identifier: Apache-2.0

package whitebox

import (
	"testing"

	"github.com/dyno-kv/dyno/internal/trace"
)

func stored(node uint16, index, term uint64) trace.Event {
	return trace.Event{Kind: trace.EntryStored, Emitter: node, Value: index, Counter: term}
}

func committed(node uint16, index, term uint64, need uint16) trace.Event {
	return trace.Event{
		Kind: trace.EntryCommitted, Emitter: node, Value: index, Counter: term, Need: need,
	}
}

func TestRulesOfEntries(t *testing.T) {
	judge(t, []ruling{
		{name: "an entry that two have", events: []trace.Event{
			stored(1, 5, 2), stored(2, 5, 2), committed(1, 5, 2, 2), committed(3, 5, 2, 2),
		}},
		{name: "one that is overwritten before it is committed", events: []trace.Event{
			stored(1, 5, 2), stored(2, 5, 3), stored(3, 5, 3), committed(2, 5, 3, 2),
			stored(1, 5, 3), committed(1, 5, 3, 2),
		}},
		{name: "one of a group of one", events: []trace.Event{
			stored(1, 5, 2), committed(1, 5, 2, 1),
		}},
		{name: "one whose holder is wiped, and started again", events: []trace.Event{
			stored(1, 5, 2), stored(2, 5, 2), wiped(2), started(2), committed(1, 5, 2, 2),
		}},
		{
			name:   "one that the leader alone has",
			events: []trace.Event{stored(1, 5, 2), committed(1, 5, 2, 2)},
			want:   RuleByMajority, says: "these have it durably: [1]",
		}, {
			name:   "one that a node says twice to have",
			events: []trace.Event{stored(1, 5, 2), started(1), stored(1, 5, 2), committed(1, 5, 2, 2)},
			want:   RuleByMajority, says: "[1]",
		}, {
			name:   "one of another term counted",
			events: []trace.Event{stored(1, 5, 2), stored(2, 5, 1), committed(1, 5, 2, 2)},
			want:   RuleByMajority, says: "[1]",
		}, {
			name:   "one that does not say for how many",
			events: []trace.Event{stored(1, 5, 2), committed(1, 5, 2, 0)},
			want:   RuleByMajority, says: "does not say",
		}, {
			name: "two under one index",
			events: []trace.Event{
				stored(1, 5, 2), stored(2, 5, 2), committed(1, 5, 2, 2),
				stored(2, 5, 3), stored(3, 5, 3), committed(2, 5, 3, 2),
			},
			want: RuleSameEntry, says: "entry 5 of term 3 for committed, and entry 5 of term 2",
		},
	})
}
