// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// clients draws commands as clients send them: mostly such as make sense, some that do
// not, and every third one again, once, late, or after others have overtaken it.
type clients struct {
	t       *rapid.T
	model   *model
	at      At
	opened  int
	numbers map[SessionID]uint64 // the highest that was used
	sent    []any
	fences  map[string]kv.Fence // of every grant there was, by session, number and name
}

const modelSlots = 4 // sessions that live at one time, about

func newClients(t *rapid.T, m *model) *clients {
	return &clients{
		t: t, model: m, at: At{Term: 1}, opened: modelSlots,
		numbers: make(map[SessionID]uint64), fences: make(map[string]kv.Fence),
	}
}

// draw draws evenly, which rapid's numbers are not: they are small, mostly.
func (c *clients) draw(label string, below int) int {
	return rapid.Custom(func(t *rapid.T) int {
		n := 0
		for range 12 {
			n *= 2
			if rapid.Bool().Draw(t, "bit") {
				n++
			}
		}
		return n * below >> 12
	}).Draw(c.t, label)
}

// next draws the next command and moves to its place in the log.
func (c *clients) next() any {
	if c.draw("entry", 4) > 0 { // else it is of one batch with the one before
		c.at.Index += uint64(1 + c.draw("gap", 3))
	}
	switch c.draw("place", 40) {
	case 0: // a recovery: the last entries are lost
		c.at.Generation++
		c.at.Index -= min(c.at.Index, 5)
		c.at.Term++
	case 1:
		c.at.Term++
	}
	if len(c.sent) > 0 && c.draw("again", 3) == 0 {
		back := c.draw("back", min(len(c.sent), 30))
		return c.sent[len(c.sent)-1-back]
	}
	command := c.command()
	c.sent = append(c.sent, command)
	return command
}

func (c *clients) session() SessionID { return sid(c.opened - c.draw("session", modelSlots)) }

func (c *clients) command() any {
	id := c.session()
	name := string('a' + rune(c.draw("name", 2)))
	holder := c.numbers[id]
	if holder == 0 || c.draw("other number", 4) == 0 {
		holder = uint64(1 + c.draw("number", int(holder)+2))
	}
	if all := c.model.numbers(id); len(all) > 0 && c.draw("active", 3) > 0 {
		one := all[c.draw("which", len(all))]
		holder, name = one.hold.holder, one.name
	}
	fence := c.fences[c.key(id, holder, name)]
	if c.draw("other fence", 8) == 0 {
		fence = kv.Fence(c.draw("fence", 30))
	}
	if c.draw("alive", 4) > 0 && c.model.sessions[id] == nil {
		return c.open(id)
	}
	switch c.draw("command", 24) {
	case 0:
		return c.open(id)
	case 1:
		c.opened++
		return SessionClose{ID: id}
	case 2:
		c.opened++
		term := c.at.Term - uint64(c.draw("stale", 4)/3)
		return SessionExpire{IDs: []SessionID{id, c.session()}, Term: term}
	case 3, 4:
		return Cancel{Session: id, Holder: holder, Name: name}
	case 5, 6:
		return CancelWait{Session: id, Holder: holder, Name: name}
	case 7, 8, 9, 10:
		return Release{Session: id, Holder: holder, Name: name, Fence: fence}
	case 11:
		return SetValue{
			Session: id, Holder: holder, Name: name, Fence: fence,
			Revision: uint64(1 + c.draw("revision", 4)), Value: []byte(fmt.Sprint(len(c.sent))),
		}
	case 12:
		return ForceRelease{Name: name, Fence: max(fence, 1)}
	case 13:
		return EndDelay{Name: name}
	default:
		return c.acquire(id, string('a'+rune(c.draw("name", 2))))
	}
}

func (c *clients) open(id SessionID) any {
	ttl := ttl
	if c.draw("other ttl", 20) == 0 {
		ttl = time.Hour
	}
	return SessionOpen{
		ID: id, Name: fmt.Sprint("name", id[15]%2), Owner: kv.NodeID(c.draw("owner", 3)), TTL: ttl,
	}
}

func (c *clients) acquire(id SessionID, name string) any {
	c.numbers[id]++
	holder := c.numbers[id]
	if c.draw("old number", 6) == 0 {
		holder = uint64(1 + c.draw("number", int(holder)))
	}
	a := Acquire{
		Session: id, Holder: holder, Name: name, Kind: Kind(1 + c.draw("kind", 2)),
		Value: []byte(name)[:c.draw("value", 2)],
	}
	if c.draw("done", 5) == 0 {
		a.DoneThrough = uint64(c.draw("done through", int(holder)+1))
	}
	if c.draw("try", 4) > 0 {
		a.Wait = minute
	}
	return a
}

func (*clients) key(id SessionID, holder uint64, name string) string {
	return fmt.Sprint(id, holder, name)
}

// note remembers the grants of the model's locks.
func (c *clients) note() {
	for name, list := range c.model.locks {
		for _, h := range list {
			if h.fence > 0 {
				c.fences[c.key(h.session, h.holder, name)] = h.fence
			}
		}
	}
}

func TestTableDoesWhatTheModelDoes(t *testing.T) {
	met := make(map[string]int) // what the histories came across
	rapid.Check(t, func(t *rapid.T) {
		table, restored, m := New(), New(), newModel()
		c := newClients(t, m)
		granted := make(map[string]kv.Fence) // who was granted what, ever
		for range 60 {
			command := c.next()
			before := table.Fence()
			want := m.apply(c.at, command)
			got, other := apply(table, c.at, command), apply(restored, c.at, command)
			if got != other {
				t.Fatalf("%+v: %+v, and after a restart %+v", command, got, other)
			}
			if (got.Detail != "") != refusal(got.Code) {
				t.Fatalf("%+v: %v says %q", command, got.Code, got.Detail)
			}
			got.Detail = ""
			if got != want {
				t.Fatalf("%+v: %+v, the model says %+v", command, got, want)
			}
			name := strings.TrimPrefix(fmt.Sprintf("%T", command), "locks.")
			met[fmt.Sprintf("%s: %v", name, got.Code)]++
			for _, e := range m.events {
				met[fmt.Sprintf("%s: %v", name, e.Kind)]++
			}
			compareAll(t, command, table, restored, m)
			checkGrants(t, table, before, granted)
			var err error
			if restored, err = Import(restored.Export()); err != nil {
				t.Fatal(err)
			}
			c.note()
		}
	})
	if t.Failed() || testing.Short() {
		return
	}
	for _, what := range worthMeeting {
		if met[what] < 5 {
			t.Errorf("the histories show too little: %d times %q", met[what], what)
		}
	}
}

// worthMeeting is what the histories are drawn for.
var worthMeeting = []string{
	"SessionOpen: opened", "SessionOpen: ok", "SessionOpen: conflict", "SessionOpen: session expired",
	"SessionClose: ended", "SessionClose: granted",
	"SessionExpire: ended", "SessionExpire: granted", "SessionExpire: stale term",
	"Acquire: ok", "Acquire: queued", "Acquire: held", "Acquire: lock lost", "Acquire: conflict",
	"Acquire: invalid", "Acquire: session expired", "Acquire: cancelled", "Acquire: granted",
	"Cancel: ok", "Cancel: cancelled", "Cancel: granted", "Cancel: invalid",
	"CancelWait: ok", "CancelWait: wait over", "CancelWait: granted",
	"Release: ok", "Release: granted", "SetValue: ok", "SetValue: lock lost",
	"ForceRelease: ok", "ForceRelease: released", "ForceRelease: granted",
}

func refusal(c Code) bool {
	return c >= CodeSessionExpired && c <= CodeStaleTerm
}

func compareAll(t *rapid.T, command any, table, restored *Table, m *model) {
	t.Helper()
	if err := broken(table); err != nil {
		t.Fatalf("%+v: %v", command, err)
	}
	if diff := difference(m.data(), table.Export()); diff != "" {
		t.Fatalf("%+v: (-model +table)\n%s", command, diff)
	}
	if diff := difference(table.Export(), restored.Export()); diff != "" {
		t.Fatalf("%+v: (-table +restarted)\n%s", command, diff)
	}
	events := table.TakeEvents()
	if diff := difference(m.events, events); diff != "" {
		t.Fatalf("%+v: (-model +table)\n%s", command, diff)
	}
	if diff := difference(events, restored.TakeEvents()); diff != "" {
		t.Fatalf("%+v: (-table +restarted)\n%s", command, diff)
	}
	m.events = nil
}

// checkGrants holds every grant against all that came before (I1, I5): its fence is new
// and the highest, and nobody is granted twice.
func checkGrants(t *rapid.T, table *Table, before kv.Fence, granted map[string]kv.Fence) {
	t.Helper()
	for _, l := range table.Export().Locks {
		for _, h := range l.Holders {
			key := who(h.Session, h.Holder)
			if old, ok := granted[key]; ok && old != h.Fence {
				t.Fatalf("%s was granted fence %d, and now %d", key, old, h.Fence)
			} else if !ok && h.Fence <= before {
				t.Fatalf("%s is granted fence %d after %d", key, h.Fence, before)
			}
			granted[key] = h.Fence
		}
	}
}
