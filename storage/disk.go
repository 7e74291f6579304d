// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"sync/atomic"
)

// bigBatch is the size of a commit before which the disk is looked at once more.
const bigBatch = 1 << 20

// diskWatch refuses writes before the disk is full: an engine that writes through a
// memory map dies of a full disk instead of returning an error (TESTING, result 7).
type diskWatch struct {
	free      func() (uint64, error) // nil: nobody watches
	low, high uint64
	full      atomic.Bool // below low, and since then not above high
}

// look asks for the free space. Where it can not be told nothing changes.
func (d *diskWatch) look() error {
	_, err := d.measure()
	return err
}

func (d *diskWatch) measure() (free uint64, err error) {
	if d.free == nil {
		return 0, nil
	}
	if free, err = d.free(); err != nil {
		return 0, fmt.Errorf("storage: ask for the free space: %w", err)
	}
	switch {
	case free < d.low:
		d.full.Store(true)
	case free >= d.high:
		d.full.Store(false)
	}
	return free, nil
}

// mayWrite refuses a large commit of operations that were let in earlier, where not
// even the reserve below the low water mark holds it: an error is better than a crash.
func (d *diskWatch) mayWrite(bytes int) error {
	const reserve = 8 // a part of the low water mark
	if d.free == nil {
		return nil
	}
	free, err := d.measure()
	if err != nil {
		return nil // not known to be full; the engine will say
	}
	if free < d.low/reserve+uint64(bytes) {
		return fmt.Errorf("%w: %d bytes are free", ErrDiskFull, free)
	}
	return nil
}
