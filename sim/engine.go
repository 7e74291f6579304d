// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/storage"
)

var (
	// ErrFenced is what a process hears of its disk once it is dead, or has closed it.
	ErrFenced = errors.New("sim: the process that opened this disk is gone")

	errBelowDiscard = errors.New("sim: read below the discard timestamp")
)

// engine is one process's handle of an image. It ends with the process, the image does
// not.
type engine struct {
	disk *Disk
	part Part
	gate *gate // shut while the process is paused; nil: never

	// Guarded by the disk's mutex.
	hold   *hold
	image  *image
	closed bool
}

var _ storage.Engine = (*engine)(nil)

// gone reports whether nothing of it works any more. The disk's mutex is held.
func (e *engine) gone() bool { return e.hold.fenced || e.closed }

// Get implements storage.Engine.
func (e *engine) Get(key []byte, ts uint64) ([]byte, bool, error) {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if err := e.mayRead(ts); err != nil {
		return nil, false, err
	}
	v, found := at(e.image.keys[string(key)], ts)
	if !found {
		return nil, false, nil
	}
	return append(make([]byte, 0, len(v.value)), v.value...), true, nil
}

// Commit implements storage.Engine: it hands everything to the operating system at once,
// and is durable after the sync.
func (e *engine) Commit(ts uint64, writes []storage.Write) error {
	e.gate.wait()
	wait, err := e.write(ts, writes)
	if err != nil {
		return err
	}
	if wait > 0 {
		time.Sleep(wait)
	}
	e.gate.wait()
	return e.sync(ts)
}

func (e *engine) write(ts uint64, writes []storage.Write) (time.Duration, error) {
	d := e.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.gone() {
		return 0, ErrFenced
	}
	if err := checkCommit(e.image.newest, ts, writes, d.limits); err != nil {
		return 0, err
	}
	if err := d.mayWrite(e.part, writes); err != nil {
		return 0, err
	}
	for _, w := range writes {
		e.image.put(ts, w)
	}
	e.image.newest = ts
	d.stats.Commits++
	return d.syncTime, nil
}

func (e *engine) sync(ts uint64) error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if e.gone() {
		return ErrFenced
	}
	return e.image.sync(ts, e.disk.next(e.part, OpSync))
}

// Iterate implements storage.Engine. It works on copies of a few entries at a time, so
// that visit may take its time.
func (e *engine) Iterate(
	ts uint64, prefix, from []byte, visit func(key, value []byte) bool,
) error {
	next := string(from)
	if bytes.Compare(from, prefix) < 0 {
		next = string(prefix)
	}
	for {
		chunk, err := e.chunk(ts, string(prefix), next)
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, found := range chunk {
			if !visit([]byte(found.key), found.value) {
				return nil
			}
		}
		next = chunk[len(chunk)-1].key + "\x00"
	}
}

func (e *engine) chunk(ts uint64, prefix, from string) ([]entry, error) {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if err := e.mayRead(ts); err != nil {
		return nil, err
	}
	return e.image.chunk(ts, prefix, from), nil
}

func (e *engine) mayRead(ts uint64) error {
	switch {
	case e.gone():
		return ErrFenced
	case ts < e.image.discard:
		return fmt.Errorf("%w: at %d, discarded up to %d", errBelowDiscard, ts, e.image.discard)
	}
	return e.disk.next(e.part, OpRead)
}

// SetDiscard implements storage.Engine.
func (e *engine) SetDiscard(ts uint64) {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if !e.gone() {
		e.image.discardBelow(ts)
	}
}

// MaxVersion implements storage.Engine.
func (e *engine) MaxVersion() uint64 {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.image.newest
}

// Limits implements storage.Engine.
func (e *engine) Limits() storage.Limits {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.disk.limits
}

// Size implements storage.Engine.
func (e *engine) Size() int64 {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.image.bytes
}

// Tend implements storage.Engine.
func (e *engine) Tend() error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if e.gone() {
		return ErrFenced
	}
	return nil
}

// Close implements storage.Engine.
func (e *engine) Close() error {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if e.gone() {
		return ErrFenced
	}
	e.closed = true
	return nil
}
