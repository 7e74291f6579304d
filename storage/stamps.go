// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// markStep is how far, in milliseconds, the stamp mark is put ahead of the stamp that
	// asks for it. It costs one small record in a commit that is made anyway, at most once
	// in so much time of the clock; after an unclean stop the clock may stand ahead by it.
	markStep = 1000
	// markRoom is what the mark adds to the bytes of a commit.
	markRoom = 128
)

// stampMark keeps a durable upper bound of the stamps that the store's objects were given
// here: it is moved in steps, in the commit of the first object that is above it. So a
// store that was killed knows, without reading its objects, above what its clock has to
// go on.
type stampMark struct {
	opened kv.Stamp // as found at open; immutable afterwards
	mark   kv.Stamp // as of the last commit; owned by the committer
}

// open reads the mark. One that is damaged is told and not believed: the clock may fall
// back behind what was issued then, which an object of its own, where it is read before
// it is written, makes good for its key.
func (m *stampMark) open(e Engine, ts uint64) error {
	record, found, err := e.Get(wire.AppendStampMarkKey(nil), ts)
	if err == nil && found {
		m.opened, err = wire.DecodeStampMarkRecord(record)
	}
	m.mark = m.opened
	if err != nil {
		return fmt.Errorf("%w: stamp mark: %w", ErrUnreadable, err)
	}
	return nil
}

// append adds the mark to a commit that has a stamp above it.
func (m *stampMark) append(writes []Write, changes []*change) []Write {
	var highest kv.Stamp
	for _, c := range changes {
		highest = max(highest, c.stamp)
	}
	if highest <= m.mark {
		return writes
	}
	m.mark = max(highest, kv.StampAt(highest.UnixMilli()+markStep))
	key := wire.AppendStampMarkKey(nil)
	return append(writes, Write{Key: key, Value: wire.AppendStampMarkRecord(nil, m.mark)})
}

// StampMark is at or above every stamp that was told with Stamped in the lives of this
// store before.
func (s *Store) StampMark() kv.Stamp { return s.stamps.opened }
