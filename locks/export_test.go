// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"errors"
	"strings"
	"testing"
)

// busy returns the data of a table in which there is one of everything.
func busy(tb testing.TB) Data {
	tb.Helper()
	l := newLog(tb)
	l.open(3)
	l.want(CodeOK, share(1, 1, "a"))
	l.want(CodeOK, share(2, 1, "a"))
	l.want(CodeQueued, take(1, 2, "a"))
	l.want(CodeQueued, share(2, 2, "a"))
	l.want(CodeOK, take(1, 3, "b"))
	l.want(CodeOK, Cancel{Session: sid(1), Holder: 5, Name: "a"})
	l.want(CodeOK, Cancel{Session: sid(1), Holder: 7, Name: "a"})
	l.want(CodeOK, SessionClose{ID: sid(3)})
	l.want(CodeOK, SessionClose{ID: sid(4)})
	return l.table.Export()
}

func TestDamagedDataIsNotImported(t *testing.T) {
	if _, err := Import(busy(t)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		damage func(d *Data)
		says   string
	}{
		{"session without id", func(d *Data) { d.Sessions[0].ID = SessionID{} }, "has no id"},
		{"session twice", func(d *Data) { d.Sessions = append(d.Sessions, d.Sessions[1]) }, "twice"},
		{"sessions out of order", func(d *Data) {
			d.Sessions[0], d.Sessions[1] = d.Sessions[1], d.Sessions[0]
		}, "out of order"},
		{"session that ended", func(d *Data) { d.Ended[0] = sid(1) }, "has ended"},
		{"ended twice", func(d *Data) { d.Ended[0] = d.Ended[1] }, "ended twice"},
		{"finished beyond all", func(d *Data) { d.Sessions[0].DoneThrough = MaxHolder + 1 },
			"the highest"},
		{"interval is next to done through", func(d *Data) { d.Sessions[0].Done[0].First = 1 },
			"finished numbers 1 to 5"},
		{"intervals touch", func(d *Data) { d.Sessions[0].Done[1].First = 6 }, "6 to 7 behind 5"},
		{"interval ends before it begins", func(d *Data) { d.Sessions[0].Done[1].First = 8 }, "8 to 7"},
		{"interval beyond all", func(d *Data) { d.Sessions[0].Done[1].Last = MaxHolder + 1 }, "7 to"},
		{"locks out of order", func(d *Data) { d.Locks[0], d.Locks[1] = d.Locks[1], d.Locks[0] },
			"out of order"},
		{"lock twice", func(d *Data) { d.Locks[1].Name = "a" }, "out of order"},
		{"unknown kind", func(d *Data) { d.Locks[0].Kind = KindSemaphore }, "held as semaphore"},
		{"nobody holds", func(d *Data) { d.Locks[1].Holders = nil }, "0 holders"},
		{"two exclusive holders", func(d *Data) { d.Locks[0].Kind = KindExclusive }, "2 holders"},
		{"a limit", func(d *Data) { d.Locks[0].Limit = 1 }, "newer version"},
		{"a delay", func(d *Data) { d.Locks[0].Delay = 1 }, "newer version"},
		{"holder without session", func(d *Data) { d.Locks[0].Holders[0].Session = sid(3) }, "not there"},
		{"waiter without session", func(d *Data) { d.Locks[0].Queue[0].Session = sid(3) }, "not there"},
		{"holder of a finished number", func(d *Data) { d.Locks[0].Holders[0].Holder = 7 }, "finished"},
		{"waiter of a finished number", func(d *Data) { d.Locks[0].Queue[0].Holder = 5 }, "finished"},
		{"number 0", func(d *Data) { d.Locks[0].Holders[0].Holder = 0 }, "finished or none"},
		{"number beyond all", func(d *Data) { d.Locks[0].Holders[0].Holder = MaxHolder + 1 }, "or none"},
		{"number holds and waits", func(d *Data) { d.Locks[0].Queue[0].Holder = 1 }, "active twice"},
		{"number holds two locks", func(d *Data) { d.Locks[1].Holders[0].Holder = 1 }, "active twice"},
		{"no fence", func(d *Data) { d.Locks[0].Holders[0].Fence = 0 }, "fence 0"},
		{"fence twice", func(d *Data) { d.Locks[0].Holders[1].Fence = d.Locks[0].Holders[0].Fence },
			"out of order"},
		{"fence of the future", func(d *Data) { d.Locks[1].Holders[0].Fence = d.Fence + 1 }, "fence"},
		{"waiter of unknown kind", func(d *Data) { d.Locks[0].Queue[0].Kind = 0 }, "waiter as kind(0)"},
		{"reader waits for nothing", func(d *Data) { d.Locks[0].Queue = d.Locks[0].Queue[1:] },
			"waits for nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := busy(t)
			tc.damage(&d)
			_, err := Import(d)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want it to say %q", err, tc.says)
			}
		})
	}
}

func TestATableThatWasImportedGoesOnWithItsFences(t *testing.T) {
	l := newLog(t)
	l.open(1)
	last := l.want(CodeOK, take(1, 1, "a"))
	l.want(CodeOK, release(1, 1, "a", last.Fence))
	var err error
	if l.table, err = Import(l.table.Export()); err != nil {
		t.Fatal(err)
	}
	l.at.Index = 0 // nothing in the table itself tells that fence any more
	if r := l.want(CodeOK, take(1, 2, "a")); r.Fence <= last.Fence {
		t.Errorf("fence %d after %d", r.Fence, last.Fence)
	}
}
