// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/dyno-kv/dyno/replica"
)

// marks tells what is older than a moment from what is younger (I5).
type marks struct {
	mu sync.Mutex
	// Guarded by mu.
	last  uint64 // the newest mark
	count bool   // what earlier lives have left is known
	// behind has the cells that had hints at a mark, and no clean pass that began after the
	// newest one: with the newest mark after which they had one. A cell that is not here has
	// nothing that is older than any mark.
	behind map[replica.HintCell]uint64
}

func newMarks() marks { return marks{behind: make(map[replica.HintCell]uint64)} }

// set makes a mark.
func (m *marks) set(status replica.HintStatus) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range status.Cells {
		if _, known := m.behind[c.HintCell]; !known {
			m.behind[c.HintCell] = m.last
		}
	}
	m.last++
	return m.last
}

// counted tells that status has what earlier lives have left: older than every mark.
func (m *marks) counted(status replica.HintStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count = true
	if m.last == 0 {
		return
	}
	for _, c := range status.Cells {
		m.behind[c.HintCell] = 0
	}
}

// clean tells of a clean pass over a cell that began when mark was the newest.
func (m *marks) clean(at replica.HintCell, mark uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.behind[at]; !known {
		return
	}
	if mark >= m.last {
		delete(m.behind, at)
		return
	}
	m.behind[at] = max(m.behind[at], mark)
}

func (m *marks) newest() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

func (m *marks) ended() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.count {
		return 0
	}
	ended := m.last
	for _, mark := range m.behind { // the least: their order does not matter
		ended = min(ended, mark)
	}
	return ended
}

// cells are those that have hints, and those that are waited for, in order.
func (m *marks) cells(status replica.HintStatus) []replica.HintCell {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[replica.HintCell]struct{}, len(m.behind)+len(status.Cells))
	for at := range m.behind {
		all[at] = struct{}{}
	}
	for _, c := range status.Cells {
		all[c.HintCell] = struct{}{}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b replica.HintCell) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Slot, b.Slot))
	})
}
