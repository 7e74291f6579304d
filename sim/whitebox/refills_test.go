// SPDX-License-Identifier: Apache-2.0

package whitebox

import (
	"testing"

	"github.com/dyno-kv/dyno/internal/trace"
)

func fenced(node uint16, partition uint32, version uint64) trace.Event {
	return trace.Event{
		Kind: trace.FenceSet, Emitter: node, Partition: partition, Value: version,
	}
}

func copied(node, from uint16, partition uint32, since uint64) trace.Event {
	return trace.Event{
		Kind: trace.PartitionCopied, Emitter: node, Peer: from, Partition: partition, Value: since,
		Counter: 20,
	}
}

func reported(node uint16, fence, instance uint64) trace.Event {
	return trace.Event{
		Kind: trace.RefillReported, Emitter: node, Value: fence, Counter: instance,
	}
}

func phased(node uint16, instance, phase uint64) trace.Event {
	return trace.Event{
		Kind: trace.PhaseCommitted, Emitter: node, Value: instance, Counter: phase,
	}
}

func TestRulesOfRefills(t *testing.T) {
	filled := []trace.Event{
		wiped(2), started(2), phased(2, 20, trace.PhaseFilling), fenced(1, 7, 9), copied(2, 1, 7, 9),
		fenced(2, 7, 9), reported(2, 9, 20), phased(2, 20, trace.PhaseFull),
	}
	except := func(i int, in ...trace.Event) []trace.Event {
		return append(append(append([]trace.Event{}, filled[:i]...), in...), filled[i+1:]...)
	}
	judge(t, []ruling{
		{name: "a store that is filled", events: filled},
		{name: "by a process that dies before it hears of the end", events: except(7, started(2),
			phased(2, 20, trace.PhaseFull))},
		{name: "whose word counts when it is full", events: append(filled[:len(filled):len(filled)],
			minted(1, "k", 1, "r"), covered(2, "k", upTo(1)), acknowledged(1, "k", 1, "r", 1))},
		{
			name: "whose word counts before", events: except(7, minted(1, "k", 1, "r"),
				covered(2, "k", upTo(1)), acknowledged(1, "k", 1, "r", 1)),
			want: RuleAcknowledged, says: "and these have it durably: []",
		}, {
			name: "whose word counts before, and that is lost again", events: except(7,
				minted(1, "k", 1, "r"), covered(2, "k", upTo(1)), wiped(2), acknowledged(1, "k", 1, "r", 1)),
			want: RuleAcknowledged, says: "and these have it durably: []",
		},
		{name: "from an owner that is fenced for a later one", events: except(3, fenced(1, 7, 12))},
		{
			name: "without a fence", events: except(3),
			want: RuleRefill, says: "fenced at placement 0, and had to be at 9",
		}, {
			name: "with a fence of an earlier refill", events: except(3, fenced(1, 7, 8)),
			want: RuleRefill, says: "fenced at placement 8",
		}, {
			name: "with a fence in another partition", events: except(3, fenced(1, 6, 9)),
			want: RuleRefill, says: "partition 7 of node 1",
		}, {
			name: "with a fence that was lost", events: except(3, fenced(1, 7, 9), wiped(1), started(1)),
			want: RuleRefill, says: "fenced at placement 0",
		}, {
			name: "that has copied nobody", events: except(4),
			want: RuleRefill, says: "copied nobody in partition 7",
		}, {
			name: "that has not fenced itself", events: except(5),
			want: RuleRefill, says: "fenced at placement 9, and is at 0",
		}, {
			name: "that is full before it was reported", events: except(6),
			want: RuleRefill, says: "instance 20 for full, and reported 0",
		}, {
			name:   "that was reported in an earlier life",
			events: append(append([]trace.Event{}, filled...), phased(2, 21, trace.PhaseFull)),
			want:   RuleRefill, says: "instance 21 for full, and reported 20",
		},
	})
}
