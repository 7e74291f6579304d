// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// bulk applies commands without the checks of log, which cost what the table holds.
type bulk struct {
	tb    testing.TB
	table *Table
	at    At
}

func newBulk(tb testing.TB, sessions int) *bulk {
	b := &bulk{tb: tb, table: New(), at: At{Term: 1}}
	for n := 1; n <= sessions; n++ {
		b.want(CodeOK, SessionOpen{ID: sid(n), TTL: ttl})
	}
	b.table.TakeEvents()
	return b
}

func (b *bulk) want(code Code, command any) Result {
	b.tb.Helper()
	b.at.Index++
	r := apply(b.table, b.at, command)
	if r.Code != code {
		b.tb.Fatalf("%T: %v (%s), want %v", command, r.Code, r.Detail, code)
	}
	return r
}

// refused wants CodeOverloaded, and a table that is as it was.
func (b *bulk) refused(command any, says string) {
	b.tb.Helper()
	before := b.table.Counts()
	r := b.want(CodeOverloaded, command)
	if !strings.Contains(r.Detail, says) {
		b.tb.Errorf("%q does not say %q", r.Detail, says)
	}
	if after := b.table.Counts(); after != before || b.table.TakeEvents() != nil {
		b.tb.Errorf("%+v became %+v", before, after)
	}
}

func TestASessionWithTooManyGapsBeginsNothingNew(t *testing.T) {
	b := newBulk(t, 1)
	kept := b.want(CodeOK, take(1, 1, "kept"))
	for n := range uint64(MaxDone) { // 3, 5, 7, ...: a gap before each
		b.want(CodeOK, Cancel{Session: sid(1), Holder: 2*n + 3, Name: "a"})
	}
	b.refused(Cancel{Session: sid(1), Holder: 5001, Name: "a"}, "done_through")
	b.refused(take(1, 5001, "a"), "done_through")
	// What is active can be repeated, and can always end.
	b.want(CodeOK, take(1, 1, "kept"))
	b.want(CodeOK, Cancel{Session: sid(1), Holder: 3, Name: "a"})
	b.want(CodeOK, release(1, 1, "kept", kept.Fence))

	c := take(1, 5001, "a")
	c.DoneThrough = 1000
	b.want(CodeOK, c)
	if err := broken(b.table); err != nil {
		t.Error(err)
	}
}

func TestASessionHoldsAndWaitsForSoMuch(t *testing.T) {
	b := newBulk(t, 2)
	for n := range uint64(MaxActive) {
		b.want(CodeOK, share(1, n+1, "a"))
	}
	b.refused(share(1, MaxActive+1, "a"), "release some")
	b.want(CodeOK, share(2, 1, "a"))
	b.want(CodeOK, Cancel{Session: sid(1), Holder: 77, Name: "a"})
	b.want(CodeOK, share(1, MaxActive+1, "a"))
	// Released in the worst order, the numbers leave more than MaxDone gaps. That is
	// allowed for, and goes on to the end.
	for n := uint64(2); n <= MaxActive; n += 2 {
		b.want(CodeOK, Cancel{Session: sid(1), Holder: n, Name: "a"})
	}
	if s, _ := b.table.Session(sid(1)); len(s.Done) < MaxActive/2-2 {
		t.Errorf("%d gaps", len(s.Done))
	}
	if err := broken(b.table); err != nil {
		t.Error(err)
	}
	b.want(CodeOK, SessionClose{ID: sid(1)})
	b.want(CodeOK, SessionClose{ID: sid(2)})
	if c := b.table.Counts(); c != (Counts{}) {
		t.Errorf("left: %+v", c)
	}
}

func TestTheTableHoldsSoManyGrantsAndWaiters(t *testing.T) {
	sessions := MaxTotal/MaxActive + 1
	b := newBulk(t, sessions)
	for n := range MaxTotal {
		b.want(CodeOK, share(1+n%sessions, uint64(1+n/sessions), "a"))
	}
	b.refused(share(1, MaxActive, "a"), fmt.Sprint(MaxTotal))
	b.want(CodeOK, Cancel{Session: sid(1), Holder: 1, Name: "a"})
	b.want(CodeOK, share(1, MaxActive, "a"))
}

func TestTheTableHoldsSoManySessions(t *testing.T) {
	b := newBulk(t, 0)
	open := func(n int) SessionOpen {
		id := sid(n)
		id[13] = byte(n >> 16)
		return SessionOpen{ID: id, TTL: ttl}
	}
	for n := range MaxSessions {
		b.want(CodeOK, open(n))
	}
	b.table.TakeEvents()
	b.refused(open(MaxSessions), fmt.Sprint(MaxSessions))
	b.want(CodeOK, open(5)) // again
	b.want(CodeOK, SessionClose{ID: open(5).ID})
	b.want(CodeOK, open(MaxSessions))
	if l := b.table.Leases(); len(l) != MaxSessions {
		t.Errorf("%d leases", len(l))
	}
}

func TestTheTableHoldsSoManyBytes(t *testing.T) {
	b := newBulk(t, 2)
	value := bytes.Repeat([]byte("v"), MaxValue)
	n, full := uint64(0), false
	for ; !full; n++ {
		c := take(1, n+1, fmt.Sprint(n))
		c.Value = value
		b.at.Index++
		full = apply(b.table, b.at, c).Code == CodeOverloaded
	}
	size := b.table.Counts().Size
	if size > MaxSize || size < MaxSize-2*MaxValue {
		t.Errorf("full at %d bytes of %d", size, MaxSize)
	}
	rest := value[:min(MaxValue, MaxSize-size-sizeHold-sizeLock-len("rest"))]
	b.want(CodeOK, Acquire{
		Session: sid(2), Holder: 1, Name: "rest", Kind: KindExclusive, Value: rest,
	})
	b.refused(SessionOpen{ID: sid(9), Name: strings.Repeat("n", 200), TTL: ttl}, "full")
	fence, _ := b.table.Lock("rest")
	grow := SetValue{
		Session: sid(2), Holder: 1, Name: "rest", Fence: fence.Holders[0].Fence, Revision: 1,
		Value: value,
	}
	if len(rest) < MaxValue {
		b.refused(grow, "full")
	}
	grow.Value = nil
	b.want(CodeOK, grow)
	for b.table.Counts().Size+sizeInterval <= MaxSize && n < 30_000 {
		n += 2
		b.at.Index++
		if apply(b.table, b.at, Cancel{Session: sid(2), Holder: n, Name: "a"}).Code != CodeOK {
			break
		}
	}
	if size := b.table.Counts().Size; size > MaxSize {
		t.Errorf("%d bytes, the limit is %d", size, MaxSize)
	}
	// A full table can always be emptied, in the worst order.
	for m := uint64(1); m < n; m += 2 {
		b.at.Index++
		apply(b.table, b.at, Cancel{Session: sid(1), Holder: m, Name: fmt.Sprint(m - 1)})
	}
	if size := b.table.Counts().Size; size > MaxSize*2/3 {
		t.Errorf("%d bytes are left", size)
	}
}

func TestTheOldestEndedSessionsAreForgotten(t *testing.T) {
	b := newBulk(t, 0)
	id := func(n int) SessionID {
		id := sid(n)
		id[13] = byte(n >> 16)
		return id
	}
	for n := range MaxEnded + 10 {
		b.want(CodeOK, SessionClose{ID: id(n)})
		b.want(CodeOK, SessionClose{ID: id(n)}) // once is enough
	}
	d := b.table.Export()
	if len(d.Ended) != MaxEnded || d.Ended[0] != id(10) || d.Ended[MaxEnded-1] != id(MaxEnded+9) {
		t.Errorf("%d are remembered", len(d.Ended))
	}
	b.want(CodeSessionExpired, SessionOpen{ID: id(10), TTL: ttl})
	b.want(CodeOK, SessionOpen{ID: id(9), TTL: ttl})
	if _, err := Import(d); err != nil {
		t.Error(err)
	}
	d.Ended = append(d.Ended, id(0))
	if _, err := Import(d); err == nil {
		t.Error("more than MaxEnded were imported")
	}
}

func TestCommandsThatNoTableWouldTake(t *testing.T) {
	long := strings.Repeat("n", MaxName+1)
	change := func(change func(c *Acquire)) Acquire {
		c := take(1, 5, "a")
		change(&c)
		return c
	}
	for _, tc := range []struct {
		name    string
		command any
		says    string
	}{
		{"no session id", SessionOpen{TTL: ttl}, "16 bytes"},
		{"ttl too short", SessionOpen{ID: sid(9), TTL: MinTTL - 1}, "5s to 24h"},
		{"ttl too long", SessionOpen{ID: sid(9), TTL: MaxTTL + 1}, "5s to 24h"},
		{"session name too long", SessionOpen{ID: sid(9), TTL: ttl, Name: long}, "255"},
		{"session name is no text", SessionOpen{ID: sid(9), TTL: ttl, Name: "\xff"}, "UTF-8"},
		{"close no session", SessionClose{}, "16 bytes"},
		{"too many expiries", SessionExpire{IDs: make([]SessionID, MaxExpire+1), Term: 3}, "1000"},
		{"acquire without session", change(func(c *Acquire) { c.Session = SessionID{} }), "16 bytes"},
		{"holder 0", change(func(c *Acquire) { c.Holder = 0 }), "holder 0"},
		{"holder too high", change(func(c *Acquire) { c.Holder = MaxHolder + 1 }), "must be 1 to"},
		{"no name", change(func(c *Acquire) { c.Name = "" }), "1 to 255 bytes"},
		{"name too long", change(func(c *Acquire) { c.Name = long }), "1 to 255 bytes"},
		{"name is no text", change(func(c *Acquire) { c.Name = "a\xc3" }), "UTF-8"},
		{"value too long", change(func(c *Acquire) { c.Value = make([]byte, MaxValue+1) }), "4096"},
		{"done through itself", change(func(c *Acquire) { c.DoneThrough = 5 }), "finished through 5"},
		{"negative wait", change(func(c *Acquire) { c.Wait = -1 }), "must be 0 to"},
		{"endless wait", change(func(c *Acquire) { c.Wait = MaxWait + 1 }), "must be 0 to"},
		{"lock delay", change(func(c *Acquire) { c.Delay = time.Second }), "delay is not supported yet"},
		{"semaphore", change(func(c *Acquire) { c.Kind = KindSemaphore }), "semaphore is not supported"},
		{"election", change(func(c *Acquire) { c.Kind = KindElection }), "election is not supported yet"},
		{"no kind", change(func(c *Acquire) { c.Kind = 0 }), "kind(0) is unknown"},
		{"unknown kind", change(func(c *Acquire) { c.Kind = 5 }), "kind(5) is unknown"},
		{"limit", change(func(c *Acquire) { c.Limit = 1 }), "no limit"},
		{"permits", change(func(c *Acquire) { c.Permits = 2 }), "permits are 1"},
		{"release without name", release(1, 1, "", 1), "1 to 255 bytes"},
		{"release without number", release(1, 0, "a", 1), "holder 0"},
		{"cancel without number", Cancel{Session: sid(1), Name: "a"}, "holder 0"},
		{"end of no wait", CancelWait{Session: sid(1), Name: "a"}, "holder 0"},
		{"value without revision", SetValue{Session: sid(1), Holder: 5, Name: "a"}, "begin at 1"},
		{"value without number", SetValue{Session: sid(1), Name: "a", Revision: 1}, "holder 0"},
		{"new value too long", SetValue{
			Session: sid(1), Holder: 5, Name: "a", Revision: 1, Value: make([]byte, MaxValue+1),
		}, "4096"},
		{"force without fence", ForceRelease{Name: "a"}, "fence is missing"},
		{"force without name", ForceRelease{Fence: 1}, "1 to 255 bytes"},
		{"force with much reason", ForceRelease{Name: "a", Fence: 1, Reason: long}, "255"},
		{"force by a long name", ForceRelease{Name: "a", Fence: 1, By: long}, "255"},
		{"end of a delay of no lock", EndDelay{}, "1 to 255 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLog(t)
			l.open(1)
			l.want(CodeOK, take(1, 1, "held"))
			before := l.table.Export()
			r := l.want(CodeInvalid, tc.command)
			if !strings.Contains(r.Detail, tc.says) {
				t.Errorf("%q does not say %q", r.Detail, tc.says)
			}
			if diff := difference(before, l.table.Export()); diff != "" {
				t.Errorf("it changed:\n%s", diff)
			}
		})
	}
}

func TestTheLimitsThemselvesAreTaken(t *testing.T) {
	l := newLog(t)
	long := strings.Repeat("n", MaxName)
	l.want(CodeOK, SessionOpen{ID: sid(1), TTL: MinTTL, Name: long})
	l.want(CodeOK, SessionOpen{ID: sid(2), TTL: MaxTTL})
	l.want(CodeOK, Acquire{
		Session: sid(1), Holder: MaxHolder, Name: long, Kind: KindShared, Permits: 1,
		Value: make([]byte, MaxValue), Wait: MaxWait,
	})
	l.want(CodeOK, ForceRelease{Name: "a", Fence: 1, By: long, Reason: long})
	l.want(CodeOK, SessionExpire{IDs: make([]SessionID, MaxExpire), Term: l.at.Term})
	l.want(CodeOK, EndDelay{Name: long, Delay: 7})
}
