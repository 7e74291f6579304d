// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/storage"
)

// badgerEngine is one process's handle of a Badger: all that makes a Disk fail or wait
// stands here, in front of an engine that is the product's.
type badgerEngine struct {
	// Immutable.
	disk   *Disk
	folder *folder
	tenant *tenant
	part   Part
	gate   *gate // shut while the process is paused; nil: never
	inner  *storage.Badger
	own    storage.Limits

	// Guarded by the disk's mutex.
	calls   int  // that are inside of inner
	closed  bool // or about to be: nothing may call inner any more
	newest  uint64
	discard uint64
	failed  error // the first failed write or sync
}

var _ storage.Engine = (*badgerEngine)(nil)

// Get implements storage.Engine.
func (e *badgerEngine) Get(key []byte, ts uint64) ([]byte, bool, error) {
	if err := e.enterRead(ts); err != nil {
		return nil, false, err
	}
	defer e.leave()
	value, found, err := e.inner.Get(key, ts)
	if found {
		damage(value, e.damageOf(key))
	}
	return value, found, err
}

// Commit implements storage.Engine. The process may end, and be paused, between the write
// and its sync, though Badger has done both by then.
func (e *badgerEngine) Commit(ts uint64, writes []storage.Write) error {
	e.gate.wait()
	if err := e.enterCommit(ts, writes); err != nil {
		return err
	}
	wait, err := e.wrote(ts, writes, e.inner.Commit(ts, writes))
	if err != nil {
		return err
	}
	if wait > 0 {
		time.Sleep(wait)
	}
	e.gate.wait()
	return e.sync()
}

func (e *badgerEngine) enterCommit(ts uint64, writes []storage.Write) error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	switch {
	case e.gone():
		return ErrFenced
	case e.failed != nil:
		return e.failed
	}
	if err := checkCommit(e.newest, ts, writes, e.limits()); err != nil {
		return err
	}
	if err := e.disk.mayWrite(e.part, writes); err != nil {
		e.failed = err
		return err
	}
	e.calls++
	return nil
}

// wrote ends the call of a commit; it returns how long the sync is to take.
func (e *badgerEngine) wrote(ts uint64, writes []storage.Write, err error) (time.Duration, error) {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	defer e.left()
	switch {
	case err != nil:
		e.failed = err
		return 0, err
	case e.gone():
		return 0, ErrFenced // the next process may have written since
	}
	e.newest = ts
	e.folder.index[e.part].put(writes)
	e.disk.stats.Commits++
	return e.disk.syncTime, nil
}

func (e *badgerEngine) sync() error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if e.gone() {
		return ErrFenced
	}
	if err := e.disk.next(e.part, OpSync); err != nil {
		e.failed = err
	}
	return e.failed
}

// Iterate implements storage.Engine.
func (e *badgerEngine) Iterate(
	ts uint64, prefix, from []byte, visit func(key, value []byte) bool,
) error {
	if err := e.enterRead(ts); err != nil {
		return err
	}
	defer e.leave()
	return e.inner.Iterate(ts, prefix, from, func(key, value []byte) bool {
		if bits := e.damageOf(key); len(bits) > 0 {
			value = append([]byte(nil), value...)
			damage(value, bits)
		}
		return visit(key, value)
	})
}

// SetDiscard implements storage.Engine.
func (e *badgerEngine) SetDiscard(ts uint64) {
	if e.enter() != nil {
		return
	}
	defer e.leave()
	e.disk.mu.Lock()
	e.discard = max(e.discard, ts)
	e.disk.mu.Unlock()
	e.inner.SetDiscard(ts)
}

// MaxVersion implements storage.Engine.
func (e *badgerEngine) MaxVersion() uint64 {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.newest
}

// Limits implements storage.Engine.
func (e *badgerEngine) Limits() storage.Limits {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.limits()
}

func (e *badgerEngine) limits() storage.Limits {
	set := e.disk.limits
	return storage.Limits{
		Bytes: min(set.Bytes, e.own.Bytes), Count: min(set.Count, e.own.Count),
		Value: min(set.Value, e.own.Value),
	}
}

// Size implements storage.Engine. What the files take differs between machines, and would
// be seen.
func (e *badgerEngine) Size() int64 {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.folder.index[e.part].bytes
}

// Tend implements storage.Engine.
func (e *badgerEngine) Tend() error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	if err := e.failure(); err != nil {
		return err
	}
	return e.inner.Tend()
}

func (e *badgerEngine) failure() error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.failed
}

// Close implements storage.Engine. Of a dead process, the disk sees to it.
func (e *badgerEngine) Close() error {
	if !e.mayClose() {
		return ErrFenced
	}
	err := e.inner.Close()
	e.folder.ended(e, err)
	return err
}

func (e *badgerEngine) mayClose() bool {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if e.gone() {
		return false
	}
	e.closed = true
	return true
}

// gone reports whether nothing of it works any more. The disk's mutex is held.
func (e *badgerEngine) gone() bool { return e.tenant.hold.fenced || e.closed }

// enter begins a call of the inner engine, leave ends it.
func (e *badgerEngine) enter() error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if e.gone() {
		return ErrFenced
	}
	e.calls++
	return nil
}

func (e *badgerEngine) enterRead(ts uint64) error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	switch {
	case e.gone():
		return ErrFenced
	case ts < e.discard:
		return fmt.Errorf("%w: at %d, discarded up to %d", errBelowDiscard, ts, e.discard)
	}
	if err := e.disk.next(e.part, OpRead); err != nil {
		return err
	}
	e.calls++
	return nil
}

func (e *badgerEngine) leave() {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	e.left()
}

// left ends a call. The disk's mutex is held.
func (e *badgerEngine) left() {
	e.calls--
	e.folder.endIfOver(e)
}

// damageOf lists the bits that are turned in the value of a key.
func (e *badgerEngine) damageOf(key []byte) []int {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.folder.index[e.part].flips[string(key)]
}
