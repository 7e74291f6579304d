// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// identifiers are all that a state has issued and still shows.
func identifiers(s *State) map[string]bool {
	ids := make(map[string]bool)
	add := func(what string, id any) { ids[fmt.Sprintf("%s %v", what, id)] = true }
	for _, m := range s.members {
		add("node", m.ID)
		add("instance", uint64(m.Instance))
		if m.RaftLast != 0 {
			add("raft id", m.RaftLast)
		}
	}
	for _, b := range s.buckets {
		if b.ID != kv.DefaultBucket { // the same in every cluster
			add("bucket", b.ID)
		}
	}
	for _, p := range s.plans {
		add("plan", p.ID)
	}
	for p, e := range s.rounds {
		if e != 0 {
			add(fmt.Sprintf("purge round of partition %d", p), uint64(e))
		}
	}
	for p, placement := range s.placements {
		add(fmt.Sprintf("placement version of partition %d", p), uint64(placement.Version))
	}
	add("ring version", s.ringVersion)
	for _, l := range s.Locks().Export().Locks {
		for _, g := range l.Holders {
			add("fence", uint64(g.Fence))
		}
	}
	return ids
}

// issuedBy applies drawn commands and returns what was issued by them.
func issuedBy(t *rapid.T, l *log, d *drawer, entries int) map[string]bool {
	all, before := make(map[string]bool), identifiers(l.State)
	for range entries {
		c := d.command()
		if _, bump := c.(GenerationBump); bump {
			continue
		}
		l.do(c)
		for id := range identifiers(l.State) {
			if !before[id] {
				all[id] = true
			}
		}
	}
	return all
}

// Goal: I5. Method: a group loses the end of its log and is recovered without; what the
// lost entries issued must be issued to nobody else.
func TestNoIdentifierIsIssuedTwiceThoughTheEndOfTheLogIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		issuedBy(t, l, newDrawer(t, l.State), rapid.IntRange(0, 20).Draw(t, "kept"))
		end := &log{tb: t, State: restored(t, l.State), term: l.term}
		lost := issuedBy(t, end, newDrawer(t, end.State), rapid.IntRange(0, 30).Draw(t, "lost"))

		l.ok(GenerationBump{Previous: l.Generation()})
		after := issuedBy(t, l, newDrawer(t, l.State), rapid.IntRange(0, 30).Draw(t, "after"))
		for id := range after {
			if lost[id] {
				t.Fatalf("%s was issued by entries that were lost, and again", id)
			}
		}
	})
}

func TestAGenerationBumpMovesTheRingVersionAndLeavesAGapInNodeNumbers(t *testing.T) {
	l := formed(t)
	l.ok(GenerationBump{Previous: 0})
	if v := l.View(); v.Version != 1<<48|2 || v.Generation != 1 {
		t.Errorf("the view has version %#x and generation %d", v.Version, v.Generation)
	}
	if id := l.ok(registration(7)).Member.ID; id != 3+1+recoveryGap {
		t.Errorf("the next node has number %d", id)
	}
	if r := l.unchanged(GenerationBump{Previous: 0}); r.Code != CodeOK || r.Generation != 1 {
		t.Errorf("a repeated bump was answered %v, generation %d", r.Code, r.Generation)
	}
	l.want(CodeRefused, GenerationBump{Previous: 2})
}

func TestGenerationsEnd(t *testing.T) {
	l := formed(t)
	for g := range kv.MaxGeneration {
		l.ok(GenerationBump{Previous: g})
	}
	l.want(CodeExhausted, GenerationBump{Previous: kv.MaxGeneration})

	l = formed(t)
	l.issued.node = maxNodes - recoveryGap + 1
	l.want(CodeExhausted, GenerationBump{Previous: 0})
}

// Counters that are used up are refused; what they number is left as it was.
func TestCountersThatAreUsedUpAreRefused(t *testing.T) {
	l := formed(t)
	full := issued{
		node: maxNodes, instance: 1<<48 - 1, raft: maxRaftCounter, plan: 1<<48 - 1,
		bucket: 1<<27 - 1,
	}
	l.issued = full
	l.epochs[0], l.rounds[0] = 1<<48-1, 1<<48-1
	m := l.members[0]
	for _, c := range []Command{
		registration(9), NewInstance{Node: 1, Previous: m.Instance, For: m.Open},
		AssignRaft{Node: 1, For: m.Open, Previous: m.RaftLast},
		BucketCreate{Request: requestOf(1), Bucket: kv.Bucket{Name: "b"}},
		ProposePlan{Request: requestOf(2)},
		PurgeEpoch{
			Request: requestOf(3), Placement: l.placements[0].Version, After: l.epochs[0],
		},
	} {
		l.want(CodeExhausted, c)
	}
	if l.issued != full {
		t.Errorf("the counters are %+v", l.issued)
	}
}
