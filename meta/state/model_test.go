// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"

	"pgregory.net/rapid"
)

// drawLog founds a cluster of a drawn size, and forms it more often than not.
func drawLog(t *rapid.T) *log {
	expect := rapid.IntRange(1, 3).Draw(t, "expect")
	if rapid.IntRange(0, 3).Draw(t, "formed") > 0 {
		return formed(t)
	}
	return begin(t, expect, rapid.IntRange(1, expect).Draw(t, "replicas"))
}

// Goal: I1. Method: one log is applied to a state that stays, to one that is restored from
// its snapshot before every entry, and to one that was restored once on the way.
func TestEqualLogsLeadToEqualStatesAlsoThroughSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		d := newDrawer(t, l.State)
		always, once := restored(t, l.State), restored(t, l.State)
		for range rapid.IntRange(1, 40).Draw(t, "entries") {
			var commands []Command
			for range rapid.IntRange(0, 3).Draw(t, "commands") {
				commands = append(commands, d.command())
			}
			l.term += uint64(rapid.IntRange(0, 1).Draw(t, "term"))
			index, entry := l.Index()+1, AppendEntry(nil, Token{Raft: 7, Seq: 9}, commands...)
			first, err := l.Apply(index, l.term, entry)
			if err != nil {
				t.Fatal(err)
			}
			always = restored(t, always)
			for _, s := range []*State{always, once} {
				applied, err := s.Apply(index, l.term, entry)
				if err != nil {
					t.Fatal(err)
				}
				sameResults(t, "a restored state", first, applied)
				sameState(t, "a restored state", l.State, s)
			}
		}
	})
}

// Goal: I4. Method: every command that has done something, or whose answer is remembered,
// is applied again, at once or any time later, in any order.
func TestARepeatedCommandChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		d := newDrawer(t, l.State)
		type done struct {
			command Command
			result  Result
		}
		var history []done
		for range rapid.IntRange(1, 50).Draw(t, "entries") {
			if len(history) > 0 && d.seldom("repeat", 2) {
				again := history[d.number("which", 0, len(history)-1)]
				if late(l.State, again.command) {
					continue
				}
				r := l.unchanged(again.command)
				if _, ok := again.command.(remembered); ok && r.Code != again.result.Code &&
					r.Code != CodeNotFound && r.Code != CodeRefused {
					t.Fatalf("%#v was answered %v, and then %v", again.command,
						again.result.Code, r.Code)
				}
				continue
			}
			before := body(l.State)
			c := d.command()
			r := l.do(c)
			if string(before) != string(body(l.State)) || rememberedAs(l.State, c) {
				history = append(history, done{c, r})
			}
		}
	})
}

// rememberedAs says that the command's answer is one that the state keeps, or that what it
// showed is.
func rememberedAs(s *State, c Command) bool {
	switch c := c.(type) {
	case OpenStore:
		return len(c.Opens) > 0 && s.member(c.Node) != nil
	case BucketCreate:
		_, ok := s.answers.find(c.Request)
		return ok
	case BucketUpdate:
		_, ok := s.answers.find(c.Request)
		return ok
	case BucketDelete:
		_, ok := s.answers.find(c.Request)
		return ok
	case ProposePlan:
		_, ok := s.answers.find(c.Request)
		return ok
	case PurgeEpoch:
		_, ok := s.answers.find(c.Request)
		return ok
	default:
		return false
	}
}

// late says that the command's comment lets it do something when it comes again: a
// registration before the store was ever accepted.
func late(s *State, c Command) bool {
	if r, ok := c.(RegisterMember); ok {
		m, _ := s.MemberByName(r.Name)
		return !m.opened()
	}
	return false
}

// Goal: I6, and that Applied.View tells of every change of the view and of no other.
func TestTheRingVersionRisesWithTheViewAndNeverElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		d := newDrawer(t, l.State)
		for range rapid.IntRange(1, 40).Draw(t, "entries") {
			before := l.View()
			applied := l.entry(d.command())
			after := l.View()
			if applied.View != (before != after) {
				t.Fatalf("the view changed: %v, Applied says %v", before != after, applied.View)
			}
			if !applied.View {
				continue
			}
			a, b := *before, *after
			a.Index, b.Index = 0, 0
			if string(AppendView(nil, &a)) == string(AppendView(nil, &b)) {
				t.Fatal("a new view says nothing new")
			}
			if after.Index != l.Index() {
				t.Fatalf("a view made at %d has the index %d", l.Index(), after.Index)
			}
			if after.Version <= before.Version && after.Ring != nil {
				t.Fatalf("the ring version went from %d to %d", before.Version, after.Version)
			}
		}
	})
}
