// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// The tests of this file walk every state that a small world can get into, and try every
// command in each: so they try every order of them, every repetition, and every late
// duplicate. States that differ in the values of fences and indexes only are one.

// world is a scope: sessions 1 to n with numbers 1 to n each, and the locks' names.
type world struct {
	sessions int
	numbers  uint64
	names    string
	kinds    []Kind
	fresh    bool // begin with all sessions open
}

// place is a state of the world, as the table and as the model have it.
type place struct {
	data   Data
	counts Counts
	model  *model
	at     At
}

func TestEveryStateOfTwoSessionsWithTwoNumbersEach(t *testing.T) {
	largeWorld(t)
	walk(t, world{sessions: 2, numbers: 2, names: "a", kinds: []Kind{KindExclusive, KindShared}})
}

func TestEveryStateOfThreeSessionsAtOneLock(t *testing.T) {
	walk(t, world{sessions: 3, numbers: 1, names: "a", kinds: []Kind{KindExclusive, KindShared}})
}

func TestEveryStateOfTwoLocks(t *testing.T) {
	largeWorld(t)
	walk(t, world{sessions: 2, numbers: 2, names: "ab", kinds: []Kind{KindExclusive}, fresh: true})
}

// largeWorld leaves a world of tens of thousands of steps out of -short, which is for the
// race detector: this takes many times as long with it, and one goroutine can not race.
func largeWorld(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: one goroutine takes every step, so it can not race; `make test` walks it")
	}
}

func walk(t *testing.T, w world) {
	first := w.start(t)
	seen := map[string]bool{state(first.data): true}
	steps := 0
	for open := []place{first}; len(open) > 0; {
		from := open[len(open)-1]
		open = open[:len(open)-1]
		for _, command := range w.commands(from.data) {
			steps++
			to := from.step(t, command)
			if key := state(to.data); !seen[key] {
				seen[key] = true
				open = append(open, to)
				to.check(t, command)
			}
		}
	}
	t.Logf("%d states, %d steps", len(seen), steps)
}

func (w world) start(t *testing.T) place {
	p := place{data: New().Export(), model: newModel(), at: At{Term: 1}}
	for i := 1; w.fresh && i <= w.sessions; i++ {
		p = p.step(t, SessionOpen{ID: sid(i), TTL: ttl})
	}
	return p
}

// commands lists all that can be said in the world; releases name the present fences.
func (w world) commands(d Data) []any {
	var all []any
	var everybody []SessionID
	for i := 1; i <= w.sessions; i++ {
		id := sid(i)
		everybody = append(everybody, id)
		if !w.fresh {
			all = append(all, SessionOpen{ID: id, TTL: ttl})
		}
		all = append(all, SessionClose{ID: id}, SessionExpire{IDs: []SessionID{id}, Term: 1})
		for n := uint64(1); n <= w.numbers; n++ {
			for _, name := range w.names {
				all = append(all, w.ofNumber(d, id, n, string(name))...)
			}
		}
	}
	return append(all, SessionExpire{IDs: everybody, Term: 1}, SessionExpire{IDs: everybody, Term: 0})
}

func (w world) ofNumber(d Data, id SessionID, n uint64, name string) []any {
	all := []any{
		Cancel{Session: id, Holder: n, Name: name},
		CancelWait{Session: id, Holder: n, Name: name},
	}
	for _, kind := range w.kinds {
		a := Acquire{Session: id, Holder: n, Name: name, Kind: kind}
		all = append(all, a)
		a.Wait = minute
		all = append(all, a)
		if n > 1 {
			a.DoneThrough = n - 1
			all = append(all, a)
		}
	}
	for _, l := range d.Locks {
		for _, h := range l.Holders {
			if h.Session == id && h.Holder == n {
				all = append(all,
					Release{Session: id, Holder: n, Name: name, Fence: h.Fence},
					Release{Session: id, Holder: n, Name: name, Fence: h.Fence - 1},
					ForceRelease{Name: name, Fence: h.Fence})
			}
		}
	}
	return all
}

// step applies a command, and once more, and checks all that holds of one step.
func (p place) step(t *testing.T, command any) place {
	t.Helper()
	table, err := Import(p.data)
	if err != nil {
		t.Fatal(err)
	}
	if counted := table.Counts(); counted != p.counts {
		t.Fatalf("counts %+v, counted anew %+v in\n%s", p.counts, counted, state(p.data))
	}
	to := place{model: p.model.clone(), at: p.at}
	to.at.Index++
	got, want := apply(table, to.at, command), to.model.apply(to.at, command)
	events := table.TakeEvents()
	to.data, to.counts = table.Export(), table.Counts()
	fail := func(what, details string) {
		t.Helper()
		t.Fatalf("%s: %+v -> %+v in\n%s\nto\n%s\n%s",
			what, command, got, state(p.data), state(to.data), details)
	}
	got.Detail = ""
	if got != want {
		fail("result", fmt.Sprintf("the model says %+v", want))
	}
	if diff := difference(to.model.events, events); diff != "" {
		fail("events", diff)
	}
	if diff := difference(to.model.data(), to.data); diff != "" {
		fail("state", diff)
	}
	if why := backwards(p.data, to.data); why != "" {
		fail("order", why)
	}
	to.model.events = nil
	again := apply(table, At{Index: to.at.Index + 1, Term: 1}, command)
	again.Detail = ""
	if !repeats(got, again) {
		fail("repeated", fmt.Sprintf("%+v", again))
	}
	if diff := difference(to.data, table.Export()); diff != "" || len(table.TakeEvents()) > 0 {
		fail("repeated", diff)
	}
	return to
}

// check holds a state against the invariants.
func (p place) check(t *testing.T, command any) {
	t.Helper()
	table, err := Import(p.data)
	if err == nil {
		err = broken(table)
	}
	if err != nil {
		t.Fatalf("after %+v: %v in\n%s", command, err, state(p.data))
	}
}

// repeats says whether a second answer says of a command what the first said.
func repeats(first, second Result) bool {
	switch {
	case first.Code == CodeHeld: // the number went with the first
		return second.Code == CodeLockLost
	case first.Code == CodeWaitOver || first.Released:
		return second == Result{Code: CodeOK} || second.Code == CodeSessionExpired
	}
	return first == second
}

// backwards says what a step has brought back: sessions open, hold, and end; numbers are
// new, wait, hold, and are finished (I5, I7); a fence stays with its number (I1).
func backwards(from, to Data) string {
	before, after := standing(from), standing(to)
	for key, was := range before {
		is := after[key]
		if strings.Contains(key, "/") && is.stage == 0 { // its session is gone
			continue
		}
		if is.stage < was.stage || was.fence != 0 && is.fence != 0 && is.fence != was.fence {
			return fmt.Sprintf("%s went from %+v to %+v", key, was, is)
		}
	}
	for key, is := range after {
		if before[key].fence == 0 && is.fence != 0 && is.fence <= from.Fence {
			return fmt.Sprintf("%s got fence %d after %d", key, is.fence, from.Fence)
		}
	}
	return ""
}

type stage struct {
	stage int
	fence kv.Fence
}

func standing(d Data) map[string]stage {
	all := make(map[string]stage)
	for _, id := range d.Ended {
		all[id.String()] = stage{stage: 2}
	}
	for _, s := range d.Sessions {
		all[s.ID.String()] = stage{stage: 1}
		done := finished{s.DoneThrough, s.Done}
		for n := uint64(1); n < 5; n++ {
			if done.has(n) {
				all[who(s.ID, n)] = stage{stage: 3}
			}
		}
	}
	for _, l := range d.Locks {
		for _, h := range l.Holders {
			all[who(h.Session, h.Holder)] = stage{2, h.Fence}
		}
		for _, w := range l.Queue {
			all[who(w.Session, w.Holder)] = stage{stage: 1}
		}
	}
	return all
}

// state writes a state without the values of fences and indexes.
func state(d Data) string {
	var b strings.Builder
	for _, s := range d.Sessions {
		fmt.Fprintf(&b, "session %d done %d %v\n", s.ID[15], s.DoneThrough, s.Done)
	}
	ended := slices.Clone(d.Ended)
	slices.SortFunc(ended, func(a, b SessionID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ended {
		fmt.Fprintf(&b, "ended %d\n", id[15])
	}
	for _, l := range d.Locks {
		fmt.Fprintf(&b, "%s %v:", l.Name, l.Kind)
		for _, h := range l.Holders {
			fmt.Fprintf(&b, " %s", who(h.Session, h.Holder))
		}
		for _, w := range l.Queue {
			fmt.Fprintf(&b, " <- %s %v", who(w.Session, w.Holder), w.Kind)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func (m *model) clone() *model {
	c := newModel()
	c.fence, c.ended = m.fence, slices.Clone(m.ended)
	for id, s := range m.sessions {
		copied := *s
		copied.done = maps.Clone(s.done)
		c.sessions[id] = &copied
	}
	for name, list := range m.locks {
		for _, h := range list {
			copied := *h
			c.locks[name] = append(c.locks[name], &copied)
		}
	}
	return c
}
