// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/storage/versions"
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
	value, found := e.image.content.Get(key, ts)
	return value, found, nil
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
	if err := checkCommit(e.image.content.Newest(), ts, writes, d.limits); err != nil {
		return 0, err
	}
	if err := d.mayWrite(e.part, writes); err != nil {
		return 0, err
	}
	for _, w := range writes {
		e.image.put(ts, w)
	}
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
	return versions.Iterate(prefix, from, func(next string) ([]versions.Entry, error) {
		e.disk.mu.Lock()
		defer e.disk.mu.Unlock()
		if err := e.mayRead(ts); err != nil {
			return nil, err
		}
		return e.image.content.Some(ts, string(prefix), next), nil
	}, visit)
}

func (e *engine) mayRead(ts uint64) error {
	if e.gone() {
		return ErrFenced
	}
	if up := e.image.content.Discarded(); ts < up {
		return fmt.Errorf("%w: at %d, discarded up to %d", errBelowDiscard, ts, up)
	}
	return e.disk.next(e.part, OpRead)
}

// SetDiscard implements storage.Engine.
func (e *engine) SetDiscard(ts uint64) {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	if !e.gone() {
		e.image.content.Discard(ts, e.image.durable)
	}
}

// MaxVersion implements storage.Engine.
func (e *engine) MaxVersion() uint64 {
	e.disk.mu.Lock()
	defer e.disk.mu.Unlock()
	return e.image.content.Newest()
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
	return e.image.content.Bytes()
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
