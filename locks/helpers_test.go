// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
)

const (
	ttl    = 15 * time.Second
	minute = time.Minute
)

// sid is a session's id by a small number.
func sid(n int) SessionID {
	return SessionID{0: 0xd1, 14: byte(n >> 8), 15: byte(n)}
}

// apply gives a table any command.
func apply(t *Table, at At, command any) Result {
	switch c := command.(type) {
	case SessionOpen:
		return t.OpenSession(at, c)
	case SessionClose:
		return t.CloseSession(at, c)
	case SessionExpire:
		return t.ExpireSessions(at, c)
	case Acquire:
		would := t.WouldQueue(c)
		r := t.Acquire(at, c)
		if would && r.Code != CodeQueued {
			panic(fmt.Sprintf("%+v would have queued, and is answered %+v", c, r))
		}
		return r
	case Cancel:
		return t.Cancel(at, c)
	case CancelWait:
		return t.CancelWait(at, c)
	case Release:
		return t.Release(at, c)
	case SetValue:
		return t.SetValue(at, c)
	case ForceRelease:
		return t.ForceRelease(at, c)
	case EndDelay:
		return t.EndDelay(at, c)
	default:
		panic(fmt.Sprintf("no command: %T", command))
	}
}

// log applies commands to a table, each in an entry of its own, and checks the invariants
// after each.
type log struct {
	tb    testing.TB
	table *Table
	at    At
	last  kv.Fence
}

func newLog(tb testing.TB) *log {
	return &log{tb: tb, table: New(), at: At{Term: 3}}
}

// do applies a command; its details are dropped.
func (l *log) do(command any) Result {
	l.tb.Helper()
	l.at.Index++
	r := apply(l.table, l.at, command)
	if err := broken(l.table); err != nil {
		l.tb.Fatalf("after %+v: %v", command, err)
	}
	if r.Fence > 0 && r.Index == l.at.Index && r.Code == CodeOK && r.Fence <= l.last {
		l.tb.Fatalf("%+v was granted fence %d after %d", command, r.Fence, l.last)
	}
	l.last = l.table.Fence()
	return r
}

// want applies a command and compares the code of its result.
func (l *log) want(code Code, command any) Result {
	l.tb.Helper()
	r := l.do(command)
	if r.Code != code {
		l.tb.Fatalf("%T: %v (%s), want %v; it was %+v", command, r.Code, r.Detail, code, command)
	}
	refused := code == CodeInvalid || code == CodeConflict || code == CodeOverloaded ||
		code == CodeSessionExpired || code == CodeLockLost || code == CodeStaleTerm
	if refused != (r.Detail != "") {
		l.tb.Errorf("%T: %v with detail %q", command, r.Code, r.Detail)
	}
	return r
}

// open opens sessions 1 to n.
func (l *log) open(n int) {
	l.tb.Helper()
	for i := 1; i <= n; i++ {
		l.want(CodeOK, SessionOpen{ID: sid(i), Name: fmt.Sprintf("s%d", i), TTL: ttl})
	}
	l.table.TakeEvents()
}

// take is an exclusive Acquire that waits.
func take(session int, holder uint64, name string) Acquire {
	return Acquire{
		Session: sid(session), Holder: holder, Name: name, Kind: KindExclusive, Wait: minute,
	}
}

// share is a shared Acquire that waits.
func share(session int, holder uint64, name string) Acquire {
	c := take(session, holder, name)
	c.Kind = KindShared
	return c
}

// try is an exclusive Acquire that does not wait.
func try(session int, holder uint64, name string) Acquire {
	c := take(session, holder, name)
	c.Wait = 0
	return c
}

func release(session int, holder uint64, name string, fence kv.Fence) Release {
	return Release{Session: sid(session), Holder: holder, Name: name, Fence: fence}
}

// wantHolders compares who holds a lock: strings like "1/2" for number 2 of session 1.
func (l *log) wantHolders(name string, want ...string) {
	l.tb.Helper()
	lock, _ := l.table.Lock(name)
	var got []string
	for _, h := range lock.Holders {
		got = append(got, who(h.Session, h.Holder))
	}
	if !slices.Equal(got, want) {
		l.tb.Errorf("%s is held by %v, want %v", name, got, want)
	}
}

// wantQueue compares who waits for a lock.
func (l *log) wantQueue(name string, want ...string) {
	l.tb.Helper()
	lock, _ := l.table.Lock(name)
	var got []string
	for _, w := range lock.Queue {
		got = append(got, who(w.Session, w.Holder))
	}
	if !slices.Equal(got, want) {
		l.tb.Errorf("for %s wait %v, want %v", name, got, want)
	}
}

// wantEvents compares the events since the last time: strings like "granted 1/2".
func (l *log) wantEvents(want ...string) {
	l.tb.Helper()
	var got []string
	for _, e := range l.table.TakeEvents() {
		got = append(got, fmt.Sprintf("%v %s", e.Kind, who(e.Session, e.Holder)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.tb.Errorf("events (-want +got):\n%s", diff)
	}
}

func who(session SessionID, holder uint64) string {
	return fmt.Sprintf("%d/%d", int(session[14])<<8|int(session[15]), holder)
}

// difference is cmp.Diff, which is slow, for what is equal nearly always.
func difference(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return cmp.Diff(want, got)
}

// broken says which invariant a table breaks; nil where it keeps to all.
func broken(t *Table) error {
	d := t.Export()
	copied, err := Import(d)
	if err != nil {
		return err
	}
	if diff := difference(d, copied.Export()); diff != "" {
		return fmt.Errorf("export and import (-before +after):\n%s", diff)
	}
	if t.Counts() != copied.Counts() {
		return fmt.Errorf("counts %+v, counted anew %+v", t.Counts(), copied.Counts())
	}
	if len(t.touched) > 0 {
		return fmt.Errorf("queues of %d locks are not served", len(t.touched))
	}
	active := 0
	for _, s := range d.Sessions {
		active += len(t.sessions[s.ID].active)
	}
	if c := t.Counts(); active != c.Holders+c.Waiters {
		return fmt.Errorf("%d active numbers for %d holders and %d waiters", active, c.Holders, c.Waiters)
	}
	for _, l := range d.Locks {
		if err := brokenQueue(l); err != nil {
			return err
		}
	}
	return nil
}

// brokenQueue checks I3, which Import looks at for the head of a queue only: everybody
// who waits stands behind somebody of a kind that does not go together with his own.
func brokenQueue(l Lock) error {
	exclusive := l.Kind == KindExclusive
	for _, w := range l.Queue {
		exclusive = exclusive || w.Kind == KindExclusive
		if !exclusive {
			return fmt.Errorf("reader %s of %s waits behind readers", who(w.Session, w.Holder), l.Name)
		}
	}
	return nil
}
