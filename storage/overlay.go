// SPDX-License-Identifier: Apache-2.0

package storage

import "sync"

// stored is a state of a key: the object and how it is laid out in records.
type stored struct {
	current Current
	split   bool // a header and one record for each version
}

// bare returns the state as the cache keeps it.
func (s stored) bare() stored {
	s.current.Object = s.current.Object.WithoutValues()
	s.current.Encoded = nil
	s.current.Full = s.current.Object.HasValues()
	return s
}

// entry is what a shard has of one key in memory.
type entry struct {
	key string // of the object's record
	// durable is the state as of the shard's durable timestamp, without values. Its
	// State is 0 while nothing durable is known of the key.
	durable stored
	// pending is the newest change that is not durable yet, nil where there is none.
	// Entries with a pending change are never dropped.
	pending *change
	// committed is when the key was last committed since the store was opened.
	committed uint64
	// older and newer link the entries without a pending change by last use.
	older, newer *entry
	bytes        int // that the cache counts, 0 while pending
}

// overlay is a shard's memory of objects: those that are not durable yet, and the
// version cache of those that are (contexts, dots, sizes; no values). The shard's
// goroutine decides by it, the committer moves it on, and readers look into it; the
// lock is held for a few map steps at a time.
type overlay struct {
	mu sync.Mutex
	// Guarded by mu.
	entries map[string]*entry
	ends    entry // of the list: ends.older is the newest entry, ends.newer the oldest
	bytes   int   // of the entries that may be dropped
	max     int
	// floor is the highest commit of a key that was dropped. A read of a key that is not
	// here is right as long as its timestamp is not below floor (I2).
	floor uint64
	// durable is the shard's durable timestamp: it moves together with the entries, so
	// that cached and stored states tell one story.
	durable uint64
}

func newOverlay(maxBytes int, durable uint64) *overlay {
	o := &overlay{entries: make(map[string]*entry), max: maxBytes, durable: durable}
	o.ends.older, o.ends.newer = &o.ends, &o.ends
	return o
}

// has reports whether the key's state is known without a read.
func (o *overlay) has(key []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, found := o.entries[string(key)]
	return found
}

// newest returns the state that the next operation on the key finds, and the change
// that it rests on, nil where it is durable.
func (o *overlay) newest(key []byte) (s stored, rests *change, found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, found := o.entries[string(key)]
	if !found {
		return stored{}, nil, false
	}
	if e.pending != nil {
		return e.pending.next, e.pending, true
	}
	o.unlink(e)
	o.link(e)
	return e.durable, nil, true
}

// readable returns the durable state of the key where the cache has it.
func (o *overlay) readable(key []byte) (s stored, found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, found := o.entries[string(key)]
	if !found || e.durable.current.State == 0 {
		return stored{}, false
	}
	if e.pending == nil {
		o.unlink(e)
		o.link(e)
	}
	return e.durable, true
}

// readableAt is the durable timestamp. It must be asked for after the read was
// announced to the generations.
func (o *overlay) readableAt() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.durable
}

// valid reports whether a state that was read at ts is still the newest. It is not to
// be asked for keys that are here.
func (o *overlay) valid(ts uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return ts >= o.floor
}

// learn caches a state that was read at ts, unless it may be out of date.
func (o *overlay) learn(key []byte, ts uint64, s stored) {
	if s.current.State != StatePresent {
		return
	}
	s = s.bare()
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, found := o.entries[string(key)]; found || ts < o.floor {
		return
	}
	e := &entry{key: string(key), durable: s}
	o.entries[e.key] = e
	o.link(e)
	o.shrink()
}

// apply makes c the newest state of the key. before is what c was decided on; it is
// the durable state where nothing is pending.
func (o *overlay) apply(key []byte, c *change, before stored) {
	if before.current.State == StatePresent {
		before = before.bare()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	e, found := o.entries[string(key)]
	if !found {
		e = &entry{key: string(key), durable: before}
		o.entries[e.key] = e
	} else if e.pending == nil {
		o.unlink(e)
	}
	e.pending = c
	c.entry = e
}

// commit makes the changes of one shard durable as of ts. Changes of other shards are
// passed over.
func (o *overlay) commit(ts uint64, sh *shard, batch []*change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range batch {
		if c.shard != sh || c.entry == nil {
			continue
		}
		e := c.entry
		e.durable, e.committed = c.next.bare(), ts
		if e.pending == c {
			e.pending = nil
			o.link(e)
		}
	}
	o.durable = ts
	o.shrink()
}

// shrink drops the entries that were not used for longest.
func (o *overlay) shrink() {
	for o.bytes > o.max {
		e := o.ends.newer
		o.unlink(e)
		delete(o.entries, e.key)
		o.floor = max(o.floor, e.committed)
	}
}

func (o *overlay) link(e *entry) {
	e.bytes = e.weight()
	o.bytes += e.bytes
	e.older, e.newer = o.ends.older, &o.ends
	e.older.newer, o.ends.older = e, e
}

func (o *overlay) unlink(e *entry) {
	o.bytes -= e.bytes
	e.bytes = 0
	e.older.newer, e.newer.older = e.newer, e.older
	e.older, e.newer = nil, nil
}

// weight is about how much memory the entry takes.
func (e *entry) weight() int {
	const perEntry = 320
	return perEntry + len(e.key) + e.durable.weight()
}

// weight is about how much memory the state takes, the encoding that it points into
// included.
func (s stored) weight() int {
	const perDot, perVersion = 16, 112
	object := s.current.Object
	return perDot*object.Context.Entries() + perVersion*len(object.Versions) +
		len(s.current.Encoded)
}

// cached is how many bytes the entries that may be dropped take, about.
func (o *overlay) cached() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}
