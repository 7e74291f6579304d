// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/dyno-kv/dyno/vclock"
)

// The reference model: what stores and clients of two keys must show, told without
// contexts. Each write has a number, and the set of writes that its writer had read.
// A state is the set of writes that are known to it, and of those that went with a
// twin; all that it shows follows from these. Beside it run the objects and contexts
// that the package makes of the same schedule, and after each step they must agree
// (I4, I6): a version is gone only where somebody who had read it wrote over it, what
// was written over never comes back, and a context holds the dots of exactly what its
// reader has seen.

// ids is a set of writes by their numbers.
type ids uint64

func (s ids) has(n int) bool { return s>>n&1 == 1 }

func (s ids) each(yield func(int) bool) {
	for s != 0 && yield(bits.TrailingZeros64(uint64(s))) {
		s &= s - 1
	}
}

// mostWrites of one schedule, so that their set fits a word.
const mostWrites = 24

// modelKeys share the counters of the stores.
const modelKeys = 2

type modelWrite struct {
	key     int
	version Version
	covers  ids // what its writer had read, and all that those covered
}

// modelState is one copy of one key: as an object, and as the sets that explain it.
type modelState struct {
	object         Object
	known, dropped ids // dropped: known, and gone with its twin
}

type modelStore struct {
	actor   vclock.Actor
	counter uint64
	keys    [modelKeys]modelState

	backup      [modelKeys]modelState
	backupActor vclock.Actor // 0: there is no backup
	backupCount uint64
}

type modelClient struct {
	seen vclock.Context
	read ids
	last Version // its last write of the key
}

// rules that a schedule may break, to see that the model notices.
type rules struct {
	actorOutlivesLoss     bool // TRAPS C5, C6
	counterRestarts       bool // TRAPS C1, C3
	actorOutlivesRestore  bool // TRAPS C4
	actorOutlivesHandoff  bool // TRAPS C14
	unreadableIsAbsent    bool // TRAPS C2
	writerGetsTheObjects  bool // ARCHITECTURE 5, exact contexts
	clientsFold           bool // ARCHITECTURE 5, fold only in the own object
	expiryShrinksContexts bool // TRAPS K3
}

// world is one run of a schedule. Stores 0 to 2 are owners, store 3 is a fallback.
type world struct {
	choose  func(what string, n int) int // 0 to n-1
	broken  rules
	blunt   bool // look at versions only, not at contexts
	now     int64
	lives   int
	stores  []modelStore
	clients [][modelKeys]modelClient
	writes  []modelWrite
	mail    []parcel
}

// parcel is a copy on its way: it may come late, again, or never.
type parcel struct {
	key   int
	state modelState
}

func newWorld(stores, clients int, broken rules, choose func(string, int) int) *world {
	w := &world{
		choose: choose, broken: broken, now: 100,
		stores: make([]modelStore, stores), clients: make([][modelKeys]modelClient, clients),
	}
	for i := range w.stores {
		w.newLife(&w.stores[i])
	}
	return w
}

func (w *world) newLife(s *modelStore) {
	w.lives++
	s.actor, s.counter = actor(w.lives), 0
}

// closure is the writes and all that they covered.
func (w *world) closure(of ids) ids {
	out := of
	for n := range of.each {
		out |= w.writes[n].covers
	}
	return out
}

// live is what a state must show.
func (w *world) live(s modelState) ids {
	gone := s.dropped
	for n := range s.known.each {
		gone |= w.writes[n].covers
	}
	return s.known &^ gone
}

// join is a merge, told in sets.
func (w *world) join(a, b modelState) modelState {
	return modelState{
		object: Merge(a.object, b.object), known: a.known | b.known, dropped: a.dropped | b.dropped,
	}
}

// collapse is Collapse, told in sets.
func (w *world) collapse(s modelState) modelState {
	live := w.live(s)
	for n := range live.each {
		for m := range live.each {
			v, u := w.writes[n].version, w.writes[m].version
			if !v.Request.IsZero() && v.Request == u.Request && u.Dot.Compare(v.Dot) < 0 {
				s.dropped |= 1 << n
			}
		}
	}
	s.object = s.object.Collapse()
	return s
}

// mint writes over what the writer had seen, and returns the number of the write, or
// -1 where the store refused.
func (w *world) mint(store, key int, v Version, seen vclock.Context, read ids) int {
	s := &w.stores[store]
	s.counter += 1 + uint64(w.choose("dots of other keys", 2))
	v.Dot = vclock.Dot{Actor: s.actor, Counter: s.counter}
	v = v.Sealed()
	state := &s.keys[key]
	object, err := state.object.Put(v, seen)
	if err != nil {
		return -1
	}
	n := len(w.writes)
	w.writes = append(w.writes, modelWrite{key: key, version: v, covers: read})
	state.object, state.known = object, state.known|read|1<<n
	return n
}

// put is a client's write. Its reply may be lost, and the request be tried again.
func (w *world) put(client, store, key int, seen vclock.Context, read ids, v Version) {
	c := &w.clients[client][key]
	n := w.mint(store, key, v, seen, read)
	c.last = v
	if n < 0 || w.choose("reply is lost", 4) == 1 {
		return
	}
	d := w.writes[n].version.Dot
	state := w.stores[store].keys[key]
	c.seen, c.read = state.object.WriterContext(seen, d), read|1<<n
	if w.live(state) == 1<<n {
		c.read = state.known
	}
	switch {
	case w.broken.writerGetsTheObjects:
		c.seen = state.object.Context
	case w.broken.clientsFold:
		c.seen = c.seen.Fold(d)
	}
}

// get reads any copies and merges them.
func (w *world) get(client, key int, stores []int) error {
	var merged modelState
	for _, s := range stores {
		merged = w.join(merged, w.stores[s].keys[key])
	}
	merged = w.collapse(merged)
	shown := ids(0)
	for _, v := range merged.object.Live(w.now) {
		for n := range w.live(merged).each {
			if w.writes[n].version.Dot == v.Dot && w.writes[n].version.Live(w.now) {
				shown |= 1 << n
			}
		}
	}
	for n := range w.live(merged).each {
		if w.writes[n].version.Live(w.now) != shown.has(n) {
			return fmt.Errorf("write %d of key %d: a reader is shown it: %t", n, key, shown.has(n))
		}
	}
	// What is known was shown, or has expired, or went with a twin, or somebody who had
	// read it wrote over it: no read covers what it could not have shown.
	read := w.closure(w.live(merged) | merged.dropped)
	if read != merged.known {
		return fmt.Errorf("known %b is not what was read, %b", merged.known, read)
	}
	c := &w.clients[client][key]
	if w.choose("forget what was read before", 2) == 0 {
		c.seen, c.read = vclock.Context{}, 0
	}
	c.seen, c.read = c.seen.Join(merged.object.Context), c.read|read
	return nil
}

// check compares every copy and context with the sets.
func (w *world) check() error {
	for i := range w.stores {
		for key := range modelKeys {
			if err := w.checkState(key, w.stores[i].keys[key]); err != nil {
				return fmt.Errorf("store %d, key %d: %w", i, key, err)
			}
		}
	}
	for i := range w.clients {
		for key := range modelKeys {
			c := w.clients[i][key]
			if err := w.checkContext(key, c.seen, c.read); err != nil {
				return fmt.Errorf("client %d, key %d: %w", i, key, err)
			}
		}
	}
	return nil
}

func (w *world) checkState(key int, s modelState) error {
	var want []Version
	for n := range w.live(s).each {
		want = append(want, w.writes[n].version)
	}
	slices.SortFunc(want, func(v, u Version) int { return v.Dot.Compare(u.Dot) })
	same := slices.EqualFunc(want, s.object.Versions, func(v, u Version) bool {
		return v.Dot == u.Dot && v.Checksum == u.Checksum
	})
	if !same {
		return fmt.Errorf("object is %s, want versions %v of the writes %b",
			show(s.object), dotsOf(Object{Versions: want}), s.known)
	}
	return w.checkContext(key, s.object.Context, s.known)
}

func (w *world) checkContext(key int, c vclock.Context, read ids) error {
	for n, write := range w.writes {
		if !w.blunt && write.key == key && c.Contains(write.version.Dot) != read.has(n) {
			return fmt.Errorf("%s has the dot %s of write %d: %t, but it was read: %t",
				c, write.version.Dot, n, c.Contains(write.version.Dot), read.has(n))
		}
	}
	return nil
}

// settle brings all copies together in two orders.
func (w *world) settle() error {
	for key := range modelKeys {
		var one, other modelState
		for i := range w.stores {
			one = w.join(one, w.stores[i].keys[key])
			other = w.join(w.stores[len(w.stores)-1-i].keys[key], other)
		}
		for _, p := range w.mail {
			if p.key == key { // again, or what a lost store had sent
				one, other = w.join(one, p.state), w.join(p.state, other)
			}
		}
		one, other = w.collapse(one), w.collapse(other)
		if err := w.checkState(key, one); err != nil {
			return fmt.Errorf("settled, key %d: %w", key, err)
		}
		if one.object.Digest() != other.object.Digest() {
			return fmt.Errorf("key %d settles as %s or %s",
				key, show(one.object), show(other.object))
		}
		if !one.object.Dominates(other.object) || !other.object.Dominates(one.object) {
			return fmt.Errorf("key %d: equal objects do not dominate each other", key)
		}
	}
	return nil
}
