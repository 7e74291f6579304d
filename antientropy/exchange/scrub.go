// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/wire"
)

const (
	// scrubPage is how many records are read again at a time.
	scrubPage = 256
	// scrubRest is the least pause between two pages. After a page that took longer the
	// pause is as long as that: the scrub takes half of the disk's time at most.
	scrubRest = 5 * time.Millisecond
)

// ScrubStatus is how far the scrub is.
type ScrubStatus struct {
	// Rounds is how often all partitions have been read since the start; of the present
	// round Done of Partitions have been.
	Rounds           uint64
	Done, Partitions int
	Keys, Bytes      uint64 // read since the start
	// Damaged is how many records are known that can not be read, Mended how many have been
	// mended since the start.
	Damaged int
	Mended  uint64
}

// status tells how far it is.
func (m *mends) status() ScrubStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.scrubs
	s.Damaged = len(m.found)
	return s
}

// scrub reads all records again, one partition after the other, each once in the time that
// the config has for all (TRAPS M2). It begins anywhere: a node that is started often shall
// not read the same partitions each time.
func (m *mends) scrub(ctx context.Context, going func() error) {
	if m.cfg.Scrub == 0 {
		return
	}
	first := true
	for {
		owned := m.owned()
		if len(owned) == 0 {
			if sleep(ctx, m.cfg.Retry) != nil {
				return
			}
			continue
		}
		from := 0
		if first {
			from, first = m.rand.IntN(len(owned)), false
		}
		every := m.cfg.Scrub / time.Duration(len(owned))
		for i, partition := range owned[from:] {
			m.note(func(s *ScrubStatus) { s.Done, s.Partitions = from+i, len(owned) })
			if sleep(ctx, every) != nil {
				return
			}
			if err := m.scrubOne(ctx, partition, going); ctx.Err() != nil {
				return
			} else if err != nil {
				m.log.Warn("partition not scrubbed", zap.Uint16("partition", partition),
					zap.Error(err))
			}
		}
		m.note(func(s *ScrubStatus) { s.Done, s.Rounds = len(owned), s.Rounds+1 })
	}
}

func (m *mends) note(f func(*ScrubStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.scrubs)
}

// owned are the partitions that this node is an owner of.
func (m *mends) owned() (list []uint16) {
	current := m.cfg.Ring()
	if current == nil {
		return nil
	}
	for p := range current.Partitions() {
		if _, owns := current.SlotOf(uint16(p), m.cfg.Node); owns {
			list = append(list, uint16(p))
		}
	}
	return list
}

// scrubOne reads a partition's records again, and then compares its tree with them.
func (m *mends) scrubOne(ctx context.Context, partition uint16, going func() error) error {
	var after wire.TreePlace
	for more := true; more; {
		for going() != nil { // a pause holds the scrub where it is
			if err := sleep(ctx, m.cfg.Retry); err != nil {
				return err
			}
		}
		began := time.Now()
		page, err := m.keeper.Scrub(partition, after, scrubPage)
		if err != nil {
			return err
		}
		m.note(func(s *ScrubStatus) {
			s.Keys += uint64(page.Keys)
			s.Bytes += uint64(page.Bytes)
		})
		for _, at := range page.Damaged {
			m.add(partition, at)
		}
		after, more = page.Next, page.More
		if err := m.cfg.Budget.Take(ctx, page.Bytes); err != nil {
			return err
		}
		if err := sleep(ctx, max(scrubRest, time.Since(began))); err != nil {
			return err
		}
	}
	return m.keeper.RebuildTree(ctx, partition)
}
