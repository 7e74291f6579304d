// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryLimits are what a Memory engine takes where nothing else is asked for: those
// of a Badger engine with a memtable of 64 MiB.
var memoryLimits = Limits{Bytes: 8 << 20, Count: 64 << 10, Value: 1 << 20}

// ErrCrashed is returned by a Memory engine after its crash.
var ErrCrashed = errors.New("storage: this memory engine has crashed")

var errBelowDiscard = errors.New("storage: read below the discard timestamp")

// Memory is an engine in memory that has a disk's ways of failing. What a commit wrote
// is volatile until its sync is over; a crash keeps what is durable and, of what is
// not, whatever chance leaves. It makes tests and simulations strict: it refuses reads
// below the discard timestamp, and commits out of order.
type Memory struct {
	mu sync.Mutex // held briefly, never over a wait

	// Guarded by mu.
	keys     map[string][]memoryVersion // oldest version first
	sorted   []string                   // keys in order, without fresh
	fresh    []string                   // keys since the last sort
	newest   uint64                     // highest timestamp
	open     uint64                     // timestamp that is written and not yet synced
	hole     uint64                     // timestamp whose sync failed: replay ends before it
	discard  uint64
	garbage  int // versions that nobody needs any more, about
	bytes    int64
	crashed  bool
	reads    faults
	writes   faults
	syncs    faults
	syncTime time.Duration
	limits   Limits
}

type memoryVersion struct {
	ts      uint64
	value   []byte
	deleted bool
}

// faults fails the n-th call from when it was set.
type faults struct {
	in  int
	err error
}

func (f *faults) next() error {
	if f.in == 0 {
		return nil
	}
	f.in--
	if f.in > 0 {
		return nil
	}
	return f.err
}

var _ Engine = (*Memory)(nil)

// NewMemory returns an empty engine.
func NewMemory() *Memory {
	return &Memory{keys: make(map[string][]memoryVersion), limits: memoryLimits}
}

// SetLimits replaces the limits of one commit.
func (m *Memory) SetLimits(l Limits) { m.locked(func() { m.limits = l }) }

// SetSyncTime lets every sync take d.
func (m *Memory) SetSyncTime(d time.Duration) { m.locked(func() { m.syncTime = d }) }

// FailRead lets the n-th read from now (1 is the next) return err.
func (m *Memory) FailRead(n int, err error) { m.locked(func() { m.reads = faults{n, err} }) }

// FailWrite lets the n-th commit from now fail with err before it wrote anything.
func (m *Memory) FailWrite(n int, err error) { m.locked(func() { m.writes = faults{n, err} }) }

// FailSync lets the n-th sync from now fail with err. As on a real disk what was
// written is read back until the crash; it is gone then, and so is all that came after
// it, whatever later syncs said (TESTING, result 6).
func (m *Memory) FailSync(n int, err error) { m.locked(func() { m.syncs = faults{n, err} }) }

// Damage replaces the newest value of key by what change makes of a copy of it. It
// reports whether there is one.
func (m *Memory) Damage(key []byte, change func([]byte) []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	versions := m.keys[string(key)]
	if len(versions) == 0 || versions[len(versions)-1].deleted {
		return false
	}
	last := &versions[len(versions)-1]
	last.value = change(slices.Clone(last.value))
	return true
}

// Crash ends the engine as power loss does and returns what is found afterwards. A
// commit whose sync was not over survives whole or not at all, as rng decides; nil
// means not at all. Both engines are independent afterwards.
func (m *Memory) Crash(rng *rand.Rand) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed = true
	survives := rng != nil && rng.IntN(2) == 0
	after := NewMemory()
	after.limits = m.limits
	for key, versions := range m.keys {
		var kept []memoryVersion
		for _, v := range versions {
			if m.durable(v.ts, survives) {
				kept = append(kept, v)
				after.newest = max(after.newest, v.ts)
				after.bytes += int64(len(key) + len(v.value))
			}
		}
		if len(kept) > 0 {
			after.keys[key] = kept
			after.fresh = append(after.fresh, key)
		}
	}
	return after
}

func (m *Memory) durable(ts uint64, openSurvives bool) bool {
	if m.hole != 0 && ts >= m.hole {
		return false
	}
	return ts != m.open || openSurvives
}

// Get implements Engine.
func (m *Memory) Get(key []byte, ts uint64) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayRead(ts); err != nil {
		return nil, false, err
	}
	v, found := at(m.keys[string(key)], ts)
	if !found {
		return nil, false, nil
	}
	return append(make([]byte, 0, len(v.value)), v.value...), true, nil
}

// Commit implements Engine.
func (m *Memory) Commit(ts uint64, writes []Write) error {
	wait, err := m.write(ts, writes)
	if err != nil {
		return err
	}
	if wait > 0 {
		time.Sleep(wait)
	}
	return m.sync(ts)
}

func (m *Memory) write(ts uint64, writes []Write) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crashed {
		return 0, ErrCrashed
	}
	if ts <= m.newest {
		return 0, fmt.Errorf("storage: commit at %d after one at %d", ts, m.newest)
	}
	if err := m.checkLimits(writes); err != nil {
		return 0, err
	}
	if err := m.writes.next(); err != nil {
		return 0, err
	}
	m.newest, m.open = ts, ts
	for _, w := range writes {
		m.put(ts, w)
	}
	return m.syncTime, nil
}

func (m *Memory) checkLimits(writes []Write) error {
	size := 0
	for _, w := range writes {
		size += w.size()
		if len(w.Value) > m.limits.Value {
			return fmt.Errorf("%w: %d bytes", ErrTooBig, len(w.Value))
		}
	}
	if size > m.limits.Bytes || len(writes) > m.limits.Count {
		return fmt.Errorf("%w: %d writes of %d bytes", ErrTooBig, len(writes), size)
	}
	return nil
}

func (m *Memory) put(ts uint64, w Write) {
	versions, known := m.keys[string(w.Key)]
	if !known {
		m.fresh = append(m.fresh, string(w.Key))
	}
	v := memoryVersion{ts: ts, deleted: w.Delete}
	if !w.Delete {
		v.value = append(make([]byte, 0, len(w.Value)), w.Value...)
	}
	m.bytes += int64(len(w.Key) + len(v.value))
	if n := len(versions); n > 0 && versions[n-1].ts == ts {
		versions[n-1] = v // of several writes of one key the last counts
		return
	}
	if len(versions) > 0 || v.deleted {
		m.garbage++
	}
	m.keys[string(w.Key)] = append(m.trimmed(versions), v)
}

func (m *Memory) sync(ts uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crashed {
		return ErrCrashed
	}
	m.open = 0
	if err := m.syncs.next(); err != nil {
		if m.hole == 0 {
			m.hole = ts
		}
		return err
	}
	return nil
}

// Iterate implements Engine. It works on a copy of what matches, so that visit may
// take its time.
func (m *Memory) Iterate(
	ts uint64, prefix, from []byte, visit func(key, value []byte) bool,
) error {
	next := string(from)
	if next < string(prefix) {
		next = string(prefix)
	}
	for {
		chunk, err := m.chunk(ts, string(prefix), next)
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, e := range chunk {
			if !visit([]byte(e.key), e.value) {
				return nil
			}
		}
		next = chunk[len(chunk)-1].key + "\x00"
	}
}

type memoryEntry struct {
	key   string
	value []byte
}

func (m *Memory) chunk(ts uint64, prefix, from string) ([]memoryEntry, error) {
	const size = 128
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayRead(ts); err != nil {
		return nil, err
	}
	m.sort()
	start, _ := slices.BinarySearch(m.sorted, from)
	var chunk []memoryEntry
	for _, key := range m.sorted[start:] {
		if !strings.HasPrefix(key, prefix) || len(chunk) == size {
			break
		}
		if v, found := at(m.keys[key], ts); found {
			chunk = append(chunk, memoryEntry{key, slices.Clone(v.value)})
		}
	}
	return chunk, nil
}

func (m *Memory) sort() {
	if len(m.fresh) == 0 {
		return
	}
	m.sorted = append(m.sorted, m.fresh...)
	m.fresh = nil
	slices.Sort(m.sorted)
}

func (m *Memory) mayRead(ts uint64) error {
	switch {
	case m.crashed:
		return ErrCrashed
	case ts < m.discard:
		return fmt.Errorf("%w: at %d, discarded up to %d", errBelowDiscard, ts, m.discard)
	}
	return m.reads.next()
}

// SetDiscard implements Engine.
func (m *Memory) SetDiscard(ts uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.discard = max(m.discard, ts)
	if m.garbage < 1024 || m.garbage < len(m.keys)/2 {
		return
	}
	m.garbage = 0
	m.sorted, m.fresh = m.sorted[:0], m.fresh[:0]
	for key, versions := range m.keys {
		versions = m.trimmed(versions)
		if len(versions) == 1 && versions[0].deleted && versions[0].ts <= m.discard {
			delete(m.keys, key)
			continue
		}
		m.keys[key] = versions
		m.fresh = append(m.fresh, key)
	}
}

// trimmed drops the versions that no read from the discard timestamp on can see. A
// crash must still find what is durable, so volatile versions hide nothing.
func (m *Memory) trimmed(versions []memoryVersion) []memoryVersion {
	keep := 0
	for i, v := range versions {
		if v.ts <= m.discard && m.durable(v.ts, false) {
			keep = i
		}
	}
	for _, v := range versions[:keep] {
		m.bytes -= int64(len(v.value))
	}
	return slices.Delete(versions, 0, keep)
}

// MaxVersion implements Engine.
func (m *Memory) MaxVersion() uint64 { return value(m, func() uint64 { return m.newest }) }

// Limits implements Engine.
func (m *Memory) Limits() Limits { return value(m, func() Limits { return m.limits }) }

// Size implements Engine.
func (m *Memory) Size() int64 { return value(m, func() int64 { return m.bytes }) }

// Tend implements Engine.
func (m *Memory) Tend() error { return nil }

// Close implements Engine. The content stays; Crash still returns it.
func (m *Memory) Close() error { return nil }

func (m *Memory) locked(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

func value[T any](m *Memory, fn func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fn()
}

// at is the newest version at or below ts, unless it is a deletion.
func at(versions []memoryVersion, ts uint64) (memoryVersion, bool) {
	for i := len(versions) - 1; i >= 0; i-- {
		if versions[i].ts <= ts {
			return versions[i], !versions[i].deleted
		}
	}
	return memoryVersion{}, false
}
