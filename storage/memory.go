// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/storage/versions"
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
	content  *versions.Map
	open     uint64 // timestamp that is written and not yet synced
	hole     uint64 // timestamp whose sync failed: replay ends before it
	crashed  bool
	reads    faults
	writes   faults
	syncs    faults
	syncTime time.Duration
	limits   Limits
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
	return &Memory{content: versions.New(), limits: memoryLimits}
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
	return m.content.Damage(string(key), change)
}

// Crash ends the engine as power loss does and returns what is found afterwards. A
// commit whose sync was not over survives whole or not at all, as rng decides; nil
// means not at all. Both engines are independent afterwards.
func (m *Memory) Crash(rng *rand.Rand) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed = true
	survives := rng != nil && rng.IntN(2) == 0
	after := &Memory{content: m.content.Clone(), limits: m.limits}
	after.content.Crash(func(ts uint64) bool {
		return m.durable(ts) || survives && ts == m.open && m.hole == 0
	})
	return after
}

// durable reports whether a crash leaves what was written at ts.
func (m *Memory) durable(ts uint64) bool {
	return ts != m.open && (m.hole == 0 || ts < m.hole)
}

// Get implements Engine.
func (m *Memory) Get(key []byte, ts uint64) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayRead(ts); err != nil {
		return nil, false, err
	}
	value, found := m.content.Get(key, ts)
	return value, found, nil
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
	if newest := m.content.Newest(); ts <= newest {
		return 0, fmt.Errorf("storage: commit at %d after one at %d", ts, newest)
	}
	if err := m.limits.Check(writes); err != nil {
		return 0, err
	}
	if err := m.writes.next(); err != nil {
		return 0, err
	}
	m.open = ts
	for _, w := range writes {
		m.content.Put(ts, w.Key, w.Value, w.Delete, m.durable)
	}
	return m.syncTime, nil
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
	return versions.Iterate(prefix, from, func(next string) ([]versions.Entry, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err := m.mayRead(ts); err != nil {
			return nil, err
		}
		return m.content.Some(ts, string(prefix), next), nil
	}, visit)
}

func (m *Memory) mayRead(ts uint64) error {
	switch {
	case m.crashed:
		return ErrCrashed
	case ts < m.content.Discarded():
		return fmt.Errorf("%w: at %d, discarded up to %d", errBelowDiscard, ts, m.content.Discarded())
	}
	return m.reads.next()
}

// SetDiscard implements Engine.
func (m *Memory) SetDiscard(ts uint64) { m.locked(func() { m.content.Discard(ts, m.durable) }) }

// MaxVersion implements Engine.
func (m *Memory) MaxVersion() uint64 { return value(m, m.content.Newest) }

// Limits implements Engine.
func (m *Memory) Limits() Limits { return value(m, func() Limits { return m.limits }) }

// Size implements Engine.
func (m *Memory) Size() int64 { return value(m, m.content.Bytes) }

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
