// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/vclock"
)

// step does one thing that may happen to a key, its copies or its clients.
func (w *world) step() error {
	key := w.choose("key", modelKeys)
	store := w.choose("store", len(w.stores))
	client := w.choose("client", len(w.clients))
	switch w.choose("step", 12) {
	case 0, 1, 2:
		w.write(client, store, key)
	case 3, 4:
		return w.read(client, key)
	case 5:
		w.send(store, key)
	case 6, 7:
		w.deliver(store)
	case 8:
		w.lose(store)
	case 9:
		w.restore(store)
	case 10:
		w.handoff(store)
	case 11:
		w.age(store, key)
	}
	return nil
}

func (w *world) write(client, store, key int) {
	if len(w.writes) >= mostWrites {
		return
	}
	c := &w.clients[client][key]
	v := Version{Kind: KindValue, Value: fmt.Appendf(nil, "write %d", len(w.writes)), Stamp: 1}
	seen, read := c.seen, c.read
	switch w.choose("kind of write", 9) {
	case 0:
		seen, read = vclock.Context{}, 0
	case 1:
		v.Kind, v.Value = KindTombstone, nil
	case 2: // a delete without context is a read and then a tombstone
		v.Kind, v.Value = KindTombstone, nil
		seen, read = w.stores[store].keys[key].object.Context, w.stores[store].keys[key].known
	case 3:
		v.ExpiresAt = w.now + int64(w.choose("ttl", 3))
	case 4, 5, 6: // the same request again, elsewhere perhaps
		if c.last.Kind != 0 {
			v = c.last
		}
	case 7:
		w.unreadable(client, store, key)
		return
	}
	if v.Request.IsZero() {
		v.Request[0], v.Request[1] = byte(1+client), byte(1+len(w.writes))
	}
	w.put(client, store, key, seen, read, v)
}

// unreadable is a write to a store that can not read its record of the key.
func (w *world) unreadable(client, store, key int) {
	s := &w.stores[store]
	if !w.broken.unreadableIsAbsent {
		w.newLife(s) // it refuses, and may lack dots of its own
		return
	}
	s.keys[key] = modelState{}
	c := w.clients[client][key]
	v := Version{Kind: KindValue, Value: []byte("over a damaged record")}
	w.put(client, store, key, c.seen, c.read, v)
}

func (w *world) read(client, key int) error {
	var stores []int
	for i := range w.stores {
		if w.choose("asked", 2) == 0 {
			stores = append(stores, i)
		}
	}
	return w.get(client, key, stores)
}

func (w *world) send(store, key int) {
	if len(w.mail) < 6 {
		w.mail = append(w.mail, parcel{key: key, state: w.stores[store].keys[key]})
	}
}

// deliver brings a parcel, and may keep it for another time.
func (w *world) deliver(store int) {
	if len(w.mail) == 0 {
		return
	}
	at := w.choose("parcel", len(w.mail))
	p := w.mail[at]
	state := &w.stores[store].keys[p.key]
	*state = w.join(*state, p.state)
	if w.choose("collapse", 2) == 0 {
		*state = w.collapse(*state)
	}
	if w.choose("comes once more", 3) != 0 {
		w.mail = append(w.mail[:at:at], w.mail[at+1:]...)
	}
}

// lose takes all or one key of a store away. It may not hold all its own dots any more.
func (w *world) lose(store int) {
	s := &w.stores[store]
	if w.choose("loss", 2) == 0 {
		s.keys = [modelKeys]modelState{}
	} else {
		s.keys[w.choose("lost key", modelKeys)] = modelState{}
	}
	switch {
	case w.broken.actorOutlivesLoss:
	case w.broken.counterRestarts:
		s.counter = 0
	default:
		w.newLife(s)
	}
}

// restore takes a store back to its backup, or takes one.
func (w *world) restore(store int) {
	s := &w.stores[store]
	if s.backupActor == 0 || w.choose("backup", 2) == 0 {
		s.backup, s.backupActor, s.backupCount = s.keys, s.actor, s.counter
		return
	}
	s.keys = s.backup
	if w.broken.actorOutlivesRestore {
		s.actor, s.counter = s.backupActor, s.backupCount
		return
	}
	w.newLife(s)
}

// handoff brings all that the fallback, the last store, has to an owner. Its
// incarnation ends before its hints are deleted.
func (w *world) handoff(owner int) {
	fallback := len(w.stores) - 1
	if owner == fallback {
		return
	}
	for key := range modelKeys {
		to := &w.stores[owner].keys[key]
		*to = w.join(*to, w.stores[fallback].keys[key])
	}
	w.stores[fallback].keys = [modelKeys]modelState{}
	if !w.broken.actorOutlivesHandoff {
		w.newLife(&w.stores[fallback])
	}
}

// age lets time pass, and the sweeper write a tombstone over what has expired.
func (w *world) age(store, key int) {
	w.now++
	state := &w.stores[store].keys[key]
	var seen vclock.Context
	var expired ids
	for n := range w.live(*state).each {
		if v := w.writes[n].version; v.Kind == KindValue && v.Expired(w.now) {
			expired |= 1 << n
			seen = seen.Add(v.Dot)
		}
	}
	if expired == 0 || len(w.writes) >= mostWrites {
		return
	}
	if w.broken.expiryShrinksContexts {
		var kept Object
		for _, v := range state.object.Live(w.now) {
			kept.Versions = append(kept.Versions, v)
			kept.Context = kept.Context.Add(v.Dot)
		}
		state.object = kept
		return
	}
	w.mint(store, key, Version{Kind: KindTombstone, Stamp: 2}, seen, w.closure(expired))
}

// run plays a schedule of the given length.
func (w *world) run(steps int) error {
	for i := range steps {
		if err := errors.Join(w.step(), w.check()); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return w.settle()
}

func TestAnyScheduleShowsWhatItsWritersHadRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		choose := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		if err := newWorld(4, 2, rules{}, choose).run(steps); err != nil {
			t.Fatal(err)
		}
	})
}

// seeded plays schedules of many seeds and returns the first that ends badly.
func seeded(seeds int, broken rules, blunt bool) error {
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 42))
		choose := func(_ string, n int) int { return r.IntN(n) }
		w := newWorld(4, 2, broken, choose)
		w.blunt = blunt
		if err := w.run(60); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

func TestLongSchedulesShowWhatTheirWritersHadRead(t *testing.T) {
	if err := seeded(3000, rules{}, false); err != nil {
		t.Fatal(err)
	}
}

// The model must be able to fail: without one of the rules, some schedule loses a
// write or brings one back.
func TestWithoutARuleSomeScheduleEndsBadly(t *testing.T) {
	for _, tc := range []struct {
		name   string
		broken rules
	}{
		{"C1 a counter restarts", rules{counterRestarts: true}},
		{"C2 an unreadable record is taken for none", rules{unreadableIsAbsent: true}},
		{"C4 a restored store goes on with its old actor", rules{actorOutlivesRestore: true}},
		{"C5 a store that lost data goes on with its actor", rules{actorOutlivesLoss: true}},
		{"C14 a fallback goes on after its hints are gone", rules{actorOutlivesHandoff: true}},
		{"K3 expiry shrinks the context", rules{expiryShrinksContexts: true}},
		{"a writer gets the object's context beside siblings", rules{writerGetsTheObjects: true}},
		{"a dot is folded in a client's context", rules{clientsFold: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if seeded(3000, tc.broken, false) == nil {
				t.Error("no context shows it")
			}
			if seeded(3000, tc.broken, true) == nil {
				t.Error("no write is lost or comes back")
			}
		})
	}
}

// All schedules of five steps of two owners and two clients, up to their names: blind
// puts, puts with what was read, reads of one owner, and copies to the other.
func TestEveryShortScheduleOfTwoOwnersShowsWhatItsWritersHadRead(t *testing.T) {
	const steps, menu = 5, 14
	schedules := 1
	for range steps - 1 {
		schedules *= menu
	}
	played := 0
	for schedule := range schedules {
		w := newWorld(2, 2, rules{}, func(string, int) int { return 0 })
		// The first step of any schedule that shows something, by symmetry.
		todo := []int{0, schedule % menu, schedule / menu % menu,
			schedule / menu / menu % menu, schedule / menu / menu / menu}
		for i, what := range todo {
			if len(w.writes) == 3 && what < 8 {
				break // the same as a shorter schedule with other steps behind it
			}
			if err := errors.Join(w.simple(what), w.check()); err != nil {
				t.Fatalf("schedule %v, step %d: %v", todo, i, err)
			}
		}
		if err := w.settle(); err != nil {
			t.Fatalf("schedule %v: %v", todo, err)
		}
		played++
	}
	if played != schedules {
		t.Errorf("played %d of %d schedules", played, schedules)
	}
}

// simple is one of 14 steps of a world with two stores and two clients.
func (w *world) simple(what int) error {
	a, b := what%2, what/2%2
	switch {
	case what < 8:
		c := w.clients[a][0]
		if what < 4 {
			c = modelClient{}
		}
		v := Version{Kind: KindValue, Value: fmt.Appendf(nil, "write %d", len(w.writes))}
		w.put(a, b, 0, c.seen, c.read, v)
	case what < 12:
		return w.get(a, 0, []int{b})
	default:
		w.stores[a].keys[0] = w.join(w.stores[a].keys[0], w.stores[1-a].keys[0])
	}
	return nil
}
