// SPDX-License-Identifier: Apache-2.0

package whitebox

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/internal/trace"
)

const actor = 7

func at(e trace.Event, node uint16, key string) trace.Event {
	e.Emitter, e.Bucket, e.Key = node, 1, []byte(key)
	return e
}

func minted(node uint16, key string, counter uint64, request string) trace.Event {
	return at(trace.Event{
		Kind: trace.DotMinted, Actor: actor, Counter: counter, Request: []byte(request),
	}, node, key)
}

func synced(node uint16, key string, counter uint64) trace.Event {
	return at(trace.Event{Kind: trace.Synced, Actor: actor, Counter: counter}, node, key)
}

func covered(node uint16, key string, dots ...trace.Dots) trace.Event {
	return at(trace.Event{Kind: trace.Covered, Covers: dots}, node, key)
}

func removed(node uint16, key string, values uint64) trace.Event {
	return at(trace.Event{Kind: trace.Removed, Counter: values}, node, key)
}

func acknowledged(node uint16, key string, counter uint64, request string, w uint16) trace.Event {
	return at(trace.Event{
		Kind: trace.Acknowledged, Actor: actor, Counter: counter, Request: []byte(request),
		Value: uint64(w), Need: w,
	}, node, key)
}

func upTo(counter uint64) trace.Dots { return trace.Dots{Actor: actor, Counter: counter} }

func alone(counter uint64) trace.Dots {
	return trace.Dots{Actor: actor, Counter: counter, Alone: true}
}

// wiped stands for a call of Wiped in a list of events, started for a new process.
func wiped(node uint16) trace.Event   { return trace.Event{Emitter: node} }
func started(node uint16) trace.Event { return trace.Event{Emitter: node, Value: 1} }

func TestRules(t *testing.T) {
	tests := []ruling{
		{name: "nothing"},
		{name: "a write", events: []trace.Event{
			minted(1, "k", 1, "r"), synced(2, "k", 1), covered(2, "k", alone(1)),
			synced(1, "k", 1), covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "r", 2),
		}},
		{name: "an overwritten write, which its holders cover", events: []trace.Event{
			minted(1, "k", 1, "r"), minted(1, "k", 2, "s"),
			covered(1, "k", upTo(2)), covered(2, "k", upTo(2)), acknowledged(1, "k", 1, "r", 2),
		}},
		{name: "a retry that finds its dot", events: []trace.Event{
			minted(1, "k", 1, "r"), covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "r", 1),
			covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "r", 1),
		}},
		{
			name:   "a dot minted twice",
			events: []trace.Event{minted(1, "k", 1, "r"), minted(1, "k", 1, "r")},
			want:   RuleUniqueDot, says: "minted twice",
		}, {
			name:   "a dot of two keys",
			events: []trace.Event{minted(1, "k", 1, "r"), minted(1, "other", 1, "s")},
			want:   RuleUniqueDot, says: `"other"`,
		}, {
			name:   "a dot minted twice, before and after a wipe",
			events: []trace.Event{minted(1, "k", 1, "r"), wiped(1), started(1), minted(1, "k", 1, "s")},
			want:   RuleUniqueDot, says: "request 73",
		}, {
			name:   "a version under another key's dot",
			events: []trace.Event{minted(1, "k", 1, "r"), synced(2, "other", 1)},
			want:   RuleUniqueDot, says: `has a version of key "other"`,
		}, {
			name:   "a version with a dot from nowhere",
			events: []trace.Event{synced(2, "k", 1)},
			want:   RuleUniqueDot, says: "nobody minted",
		}, {
			name: "an answer with another request's dot",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "s", 1),
			},
			want: RuleUniqueDot, says: "request 73",
		}, {
			name:   "an answer with a dot from nowhere",
			events: []trace.Event{covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "r", 1)},
			want:   RuleUniqueDot, says: "nobody",
		}, {
			name: "an answer after one of two",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "r", 2),
				covered(2, "k", alone(1)),
			},
			want: RuleAcknowledged, says: "these have it durably: [1]",
		}, {
			name: "one node counted twice",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "k", upTo(1)), covered(1, "k", upTo(1)),
				acknowledged(1, "k", 1, "r", 2),
			},
			want: RuleAcknowledged, says: "[1]",
		}, {
			name: "another key's commit counted",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "other", upTo(1)), acknowledged(1, "k", 1, "r", 1),
			},
			want: RuleAcknowledged, says: "[]",
		}, {
			name: "an answer of a node whose disk was wiped after it, on its way meanwhile",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "k", upTo(1)), covered(2, "k", alone(1)), wiped(2),
				acknowledged(1, "k", 1, "r", 2),
			},
		}, {
			name: "a neighbour's dot counted",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "k", alone(2)), acknowledged(1, "k", 1, "r", 1),
			},
			want: RuleAcknowledged, says: "[]",
		}, {
			name: "an answer that does not say for how many",
			events: []trace.Event{
				minted(1, "k", 1, "r"), covered(1, "k", upTo(1)), acknowledged(1, "k", 1, "r", 0),
			},
			want: RuleAcknowledged, says: "does not say",
		},
		{name: "a context that grows", events: []trace.Event{
			covered(1, "k", alone(1)), covered(1, "k", alone(1), alone(3)),
			covered(1, "k", upTo(1), alone(2), alone(3)), covered(1, "k", upTo(3)),
			covered(1, "k", upTo(3), alone(9)),
		}},
		{name: "one whose form alone shrinks", events: []trace.Event{
			covered(1, "k", upTo(3)), covered(1, "k", upTo(1), alone(2), alone(3)),
		}},
		{
			name:   "one that lacks a dot",
			events: []trace.Event{covered(1, "k", alone(1), alone(3)), covered(1, "k", alone(3))},
			want:   RuleGrows, says: "the dot 7:1",
		}, {
			name:   "one that lacks a dot in the middle",
			events: []trace.Event{covered(1, "k", upTo(4)), covered(1, "k", upTo(1), alone(3), alone(4))},
			want:   RuleGrows, says: "the dot 7:2",
		}, {
			name:   "one that lacks all",
			events: []trace.Event{covered(1, "k", upTo(4)), covered(1, "k")},
			want:   RuleGrows, says: "the dot 7:4",
		},
		{name: "less at another node", events: []trace.Event{
			covered(1, "k", upTo(4)), covered(2, "k", upTo(1)),
		}},
		{name: "less of another key", events: []trace.Event{
			covered(1, "k", upTo(4)), covered(1, "other", upTo(1)),
		}},
		{name: "less after a wipe", events: []trace.Event{
			covered(1, "k", upTo(4)), wiped(1), started(1), covered(1, "k", upTo(1)),
		}},
		{
			name:   "less after a start",
			events: []trace.Event{covered(1, "k", upTo(4)), started(1), covered(1, "k", upTo(1))},
			want:   RuleGrows, says: "node 1",
		}, {
			name: "tombstones that are purged, and a write after it",
			events: []trace.Event{
				minted(1, "k", 1, "r"), synced(1, "k", 1), covered(1, "k", alone(1)), removed(1, "k", 0),
				acknowledged(1, "k", 1, "r", 1), minted(1, "k", 2, "s"), synced(1, "k", 2),
				covered(1, "k", alone(2)),
			},
		}, {
			name: "a value that is purged",
			events: []trace.Event{
				minted(1, "k", 1, "r"), synced(1, "k", 1), covered(1, "k", alone(1)), removed(1, "k", 1),
			},
			want: RuleRemoved, says: "with 1 values",
		},
	}
	judge(t, tests)
}

// ruling is a list of events, and how they are judged.
type ruling struct {
	name   string
	events []trace.Event
	want   string // the rule; green where empty
	says   string // in its text
}

func judge(t *testing.T, tests []ruling) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New()
			play(c, tt.events)
			got := c.Verdict()
			if tt.want == "" {
				if len(got) > 0 {
					t.Errorf("%v, want none", got)
				}
				return
			}
			if len(got) != 1 || got[0].Rule != tt.want || !strings.Contains(got[0].Text, tt.says) {
				t.Errorf("%v, want %s that says %q", got, tt.want, tt.says)
			}
		})
	}
}

// play feeds events to a checker, each through the newest process of its node.
func play(c *Checker, events []trace.Event) {
	sinks := make(map[uint16]trace.Sink)
	for _, e := range events {
		switch {
		case e.Kind == 0 && e.Value == 0:
			c.Wiped(e.Emitter)
		case e.Kind == 0 || sinks[e.Emitter] == nil:
			sinks[e.Emitter] = c.Process(e.Emitter)
		}
		if e.Kind != 0 {
			sinks[e.Emitter].Take(e)
		}
	}
}

// TestDeadProcessesAreNotHeard is I2: what a process does after its end, on its own time,
// is neither a promise nor news of the disk.
func TestDeadProcessesAreNotHeard(t *testing.T) {
	for name, end := range map[string]func(*Checker){
		"followed by another": func(c *Checker) { c.Process(1) },
		"on a wiped disk":     func(c *Checker) { c.Wiped(1) },
	} {
		c := New()
		dead, other := c.Process(1), c.Process(2)
		end(c)
		dead.Take(minted(1, "k", 1, "r"))
		dead.Take(acknowledged(1, "k", 1, "r", 3))
		other.Take(minted(2, "k", 2, "s"))
		if got := c.Counts(); got.Minted != 1 || got.Acknowledged != 0 || got.Violations != 0 {
			t.Errorf("%s: %+v, want the one mint of the other node", name, got)
		}
	}
}

// A fallback counts as an owner does: one node, however many slots it keeps a hint for.
func TestHintsCountForAnAcknowledgement(t *testing.T) {
	hinted := func(node uint16, dots ...trace.Dots) trace.Event {
		return at(trace.Event{Kind: trace.HintStored, Covers: dots}, node, "k")
	}
	c := New()
	c.Take(minted(1, "k", 1, "r"))
	c.Take(covered(1, "k", upTo(1)))
	c.Take(hinted(4, alone(1)))
	c.Take(hinted(4, alone(1)))
	c.Take(acknowledged(1, "k", 1, "r", 2))
	if got := c.Verdict(); len(got) > 0 {
		t.Errorf("an owner and a fallback: %v", got)
	}
	c.Take(minted(1, "k", 2, "r2"))
	c.Take(covered(1, "k", upTo(2)))
	c.Take(hinted(4, alone(1)))
	c.Take(acknowledged(1, "k", 2, "r2", 2))
	if got := c.Verdict(); len(got) != 1 || got[0].Rule != RuleAcknowledged {
		t.Errorf("a hint of an earlier write counted: %v", got)
	}
	c.Take(hinted(5, upTo(9)))
	c.Take(acknowledged(1, "k", 2, "r2", 2))
	if got := c.Verdict(); len(got) != 1 {
		t.Errorf("a hint that covers a whole vector did not count: %v", got)
	}
}

func TestEventsAreJudgedByCopies(t *testing.T) {
	c := New()
	mint, cover := minted(1, "k", 1, "r"), covered(1, "k", upTo(4))
	c.Take(mint)
	c.Take(cover)
	mint.Key[0], mint.Request[0], cover.Covers[0].Counter = '-', '-', 9
	c.Take(covered(1, "k", upTo(4)))
	c.Take(acknowledged(1, "k", 1, "r", 1))
	if got := c.Verdict(); len(got) > 0 {
		t.Errorf("%v changed with the buffers that were lent", got)
	}
}

func TestViolationsAreBoundedAndCounted(t *testing.T) {
	c := New()
	for range 3 * maxViolations {
		c.Take(synced(1, "k", 1))
	}
	if n, got := len(c.Verdict()), c.Counts(); n != maxViolations || got.Violations != 3*n {
		t.Errorf("%d are kept, %d counted", n, got.Violations)
	}
}

func TestOtherEventsAreNoConcern(t *testing.T) {
	c := New()
	for k := trace.Kind(0); k <= trace.RefillReported+1; k++ {
		switch k {
		case trace.DotMinted, trace.Synced, trace.Covered, trace.Acknowledged, trace.HintStored,
			trace.Removed, trace.EntryStored, trace.EntryCommitted, trace.FenceSet,
			trace.PartitionCopied, trace.RefillReported, trace.PhaseCommitted:
		default:
			c.Take(at(trace.Event{Kind: k, Actor: actor, Counter: 1}, 1, "k"))
		}
	}
	if diff := cmp.Diff(Counts{}, c.Counts()); diff != "" {
		t.Errorf("judged (-want +got):\n%s", diff)
	}
}

func TestManyNodesSpeakAtOnce(t *testing.T) {
	c := New()
	var nodes sync.WaitGroup
	for node := uint16(1); node <= 8; node++ {
		sink := c.Process(node)
		nodes.Go(func() {
			for i := range uint64(100) {
				key, counter := fmt.Sprint(i), uint64(node)<<32|i+1
				sink.Take(minted(node, key, counter, "r"))
				sink.Take(covered(node, key, alone(counter)))
				sink.Take(acknowledged(node, key, counter, "r", 1))
			}
		})
	}
	nodes.Wait()
	want := Counts{Minted: 800, Durable: 800, Acknowledged: 800}
	if diff := cmp.Diff(want, c.Counts()); diff != "" {
		t.Errorf("judged (-want +got):\n%s", diff)
	}
}
