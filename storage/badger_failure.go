// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// badgerFailure is the first write or sync of an engine that failed.
type badgerFailure struct {
	first atomic.Pointer[error]
	told  chan struct{} // closed when there is one
}

func newBadgerFailure() *badgerFailure { return &badgerFailure{told: make(chan struct{})} }

func (f *badgerFailure) set(err error) {
	if f.first.CompareAndSwap(nil, &err) {
		close(f.told)
	}
}

func (f *badgerFailure) get() error {
	if err := f.first.Load(); err != nil {
		return *err
	}
	return nil
}

// closeBound is how long Close waits for Badger once a write has failed. Badger writes
// its memtables at the end, and tries for ever, so on a disk that is gone it would keep
// the process from ending.
const closeBound = 10 * time.Second

var errStuck = errors.New("storage: badger does not close")

// closeBadger ends Badger, or leaves it to the end of the process.
func (b *Badger) closeBadger() error {
	b.ended = make(chan struct{})
	var err error
	go func() {
		err = b.db.Close()
		close(b.ended)
	}()
	select {
	case <-b.ended:
		return err
	case <-b.failure.told:
	}
	select {
	case <-b.ended:
		return err
	case <-time.After(b.closeBound):
		return fmt.Errorf("%w: %w", errStuck, b.failure.get())
	}
}
