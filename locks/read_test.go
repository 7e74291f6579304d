// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// number is an element of an ordered.
type number int

func (n number) compare(o number) int { return cmp.Compare(n, o) }

func TestOrderedDoesWhatASortedSliceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o ordered[number]
		var list []number
		// Runs of neighbours, so that blocks fill, split, empty and join.
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			first := rapid.IntRange(0, 3000).Draw(t, "first")
			length := rapid.IntRange(1, 900).Draw(t, "length")
			insert := rapid.IntRange(0, 2).Draw(t, "insert") > 0
			down := rapid.Bool().Draw(t, "down")
			for i := range length {
				x := number(first + i)
				if down {
					x = number(first + length - i)
				}
				at, there := slices.BinarySearch(list, x)
				switch {
				case insert && o.insert(x) == there, !insert && o.remove(x) != there:
					t.Fatalf("%d was there: %v", x, there)
				case insert && !there:
					list = slices.Insert(list, at, x)
				case !insert && there:
					list = slices.Delete(list, at, at+1)
				}
			}
			checkOrdered(t, &o, list, number(rapid.IntRange(0, 4000).Draw(t, "probe")))
		}
	})
}

func checkOrdered(t *rapid.T, o *ordered[number], list []number, probe number) {
	t.Helper()
	if got := slices.Collect(o.all()); !slices.Equal(got, list) || o.size != len(list) {
		t.Fatalf("it has %d, %d are told", len(got), o.size)
	}
	for _, block := range o.blocks {
		if len(block) == 0 || len(block) > blockLen {
			t.Fatalf("a block of %d", len(block))
		}
	}
	if most := 2*len(list)/(blockLen/2) + 1; len(o.blocks) > most {
		t.Fatalf("%d blocks for %d", len(o.blocks), len(list))
	}
	at, there := slices.BinarySearch(list, probe)
	if got, found := o.find(probe); found != there || found && got != probe {
		t.Fatalf("find(%d) is %d, %v", probe, got, found)
	}
	if got := o.before(probe); got != at {
		t.Fatalf("before(%d) is %d, want %d", probe, got, at)
	}
	if got := slices.Collect(o.from(probe)); !slices.Equal(got, list[at:]) {
		t.Fatalf("from(%d) has %d, want %d", probe, len(got), len(list)-at)
	}
	if got, found := o.first(); found != (len(list) > 0) || found && got != list[0] {
		t.Fatalf("first is %d, %v", got, found)
	}
	for range o.all() { // a walk may be left
		break
	}
	for range o.from(probe) {
		break
	}
}

func TestListsAreInOrderAndGoOnBehindAName(t *testing.T) {
	l := newLog(t)
	for n, name := range []string{"b", "a", "ab", "b", "ac", ""} {
		l.want(CodeOK, SessionOpen{ID: sid(n + 1), Name: name, TTL: ttl})
		if name != "" {
			l.do(take(n+1, 1, name))
		}
	}
	sessions := func(prefix string, after SessionKey, limit int) string {
		got := ""
		for _, s := range l.table.Sessions(prefix, after, limit) {
			got += fmt.Sprint(s.Name, s.ID[15], " ")
		}
		return got
	}
	locks := func(prefix, after string, limit int) string {
		got := ""
		for _, k := range l.table.Locks(prefix, after, limit) {
			got += k.Name + " "
		}
		return got
	}
	for _, tc := range []struct{ got, want string }{
		{sessions("", SessionKey{}, 9), "6 a2 ab3 ac5 b1 b4 "},
		{sessions("a", SessionKey{}, 9), "a2 ab3 ac5 "},
		{sessions("", SessionKey{"ab", sid(3)}, 2), "ac5 b1 "},
		{sessions("b", SessionKey{"b", sid(1)}, 9), "b4 "},
		{sessions("b", SessionKey{"a", sid(9)}, 9), "b1 b4 "},
		{sessions("a", SessionKey{"b", sid(1)}, 9), ""},
		{sessions("c", SessionKey{}, 9), ""},
		{sessions("", SessionKey{}, 0), ""},
		{locks("", "", 9), "a ab ac b "},
		{locks("a", "", 9), "a ab ac "},
		{locks("a", "a", 1), "ab "},
		{locks("", "aa", 2), "ab ac "},
		{locks("b", "a", 9), "b "},
		{locks("a", "b", 9), ""},
		{locks("", "", 0), ""},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
	if _, ok := l.table.Session(sid(77)); ok {
		t.Error("an unknown session was found")
	}
}

func TestALookTellsWhatARepetitionWouldBeTold(t *testing.T) {
	l := newLog(t)
	l.open(2)
	l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeQueued, take(2, 1, "a"))
	l.want(CodeHeld, try(2, 2, "a"))
	for _, tc := range []struct {
		session int
		holder  uint64
	}{{1, 1}, {2, 1}, {2, 2}, {9, 1}} {
		got, ok := l.table.Look(sid(tc.session), tc.holder)
		if want := l.do(take(tc.session, tc.holder, "a")); !ok || got != want {
			t.Errorf("%+v: %+v, then %+v", tc, got, want)
		}
	}
	if got, ok := l.table.Look(sid(1), 2); ok {
		t.Errorf("a new number: %+v", got)
	}
}

func TestReadingSharesNothingThatCommandsChange(t *testing.T) {
	l := newLog(t)
	l.open(1)
	l.want(CodeOK, Cancel{Session: sid(1), Holder: 3, Name: "a"})
	l.want(CodeOK, take(1, 4, "a"))
	s, _ := l.table.Session(sid(1))
	lock, _ := l.table.Lock("a")
	d := l.table.Export()
	l.want(CodeOK, Cancel{Session: sid(1), Holder: 4, Name: "a"})
	c := take(1, 6, "b")
	c.DoneThrough = 5
	l.want(CodeOK, c)
	if !slices.Equal(s.Done, []Interval{{3, 3}}) || !slices.Equal(d.Sessions[0].Done, s.Done) {
		t.Errorf("%v and %v", s.Done, d.Sessions[0].Done)
	}
	if len(lock.Holders) != 1 || lock.Holders[0].Holder != 4 || len(d.Locks) != 1 {
		t.Errorf("%+v", lock)
	}
	// Nor does a table that was imported, of its data.
	imported, err := Import(d)
	if err != nil {
		t.Fatal(err)
	}
	imported.Acquire(At{Index: 99}, c)
	if !slices.Equal(d.Sessions[0].Done, s.Done) {
		t.Errorf("%v", d.Sessions[0].Done)
	}
}

func TestNumbersOutsideOfTheTextsAreTold(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{KindExclusive.String() + KindShared.String() + Kind(9).String(), "exclusivesharedkind(9)"},
		{KindSemaphore.String() + KindElection.String(), "semaphoreelection"},
		{Code(0).String(), "code(0)"},
		{EventKind(0).String(), "event(0)"},
		{RenewalTaken.String() + RenewalOpen.String(), "takenopen"},
		{RenewalUnknown.String() + Renewal(0).String(), "unknownrenewal(0)"},
		{sid(1).String(), "d1000000000000000000000000000001"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
	seen := make(map[string]bool)
	for c := CodeOK; c <= CodeStaleTerm; c++ {
		seen[c.String()] = true
	}
	for k := EventOpened; k <= EventReleased; k++ {
		seen["event "+k.String()] = true
	}
	if len(seen) != 10+7 {
		t.Errorf("two share a text: %v", seen)
	}
}
