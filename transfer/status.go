// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// Status is how far a refill has come, for people.
type Status struct {
	// Phase is what is done now: "fence", "copy", "compare", "report", "full"; Source is
	// the owner that it is done with.
	Phase  string
	Source kv.NodeID
	// Copied of Partitions were copied from Source, or compared with it; keys of all sources
	// were stored.
	Copied, Partitions int
	Keys               uint64
	// Pairs of a partition and an owner are to be copied, in all; PairsCopied of them were.
	Pairs, PairsCopied int
	// Sources are the owners that were copied as a whole, Missing those that still are to be.
	Sources []ring.Source
	Missing []kv.NodeID
	// Why is the last failure, which is tried again; "" where there is none, or where it goes
	// on since.
	Why string
}

const (
	phaseFence   = "fence"
	phaseCopy    = "copy"
	phaseCompare = "compare"
	phaseReport  = "report"
	phaseFull    = "full"
)

// Status is how far it has come.
func (f *Filler) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *Filler) tell(change func(*Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

// tellProgress counts what was copied and what is still to be, of the owners that are
// sources or missing.
func (f *Filler) tellProgress(missing []kv.NodeID) {
	current, sources := f.cfg.Ring(), f.sources()
	pairs, copied := 0, 0
	for _, s := range sources {
		if slices.Contains(missing, s.Node) {
			continue // of an earlier life
		}
		n := len(f.shared(current, s.Node))
		pairs, copied = pairs+n, copied+n
	}
	for _, node := range missing {
		note := slices.IndexFunc(f.notes, func(n wire.RefillSource) bool {
			return n.Node == node && n.Instance == current.Instance(node)
		})
		for _, p := range f.shared(current, node) {
			if pairs++; note >= 0 && has(f.notes[note].Copied, p) {
				copied++
			}
		}
	}
	f.tell(func(s *Status) {
		s.Missing, s.Sources, s.Pairs, s.PairsCopied = missing, sources, pairs, copied
	})
}

// nameOf is a member's name, for people.
func (f *Filler) nameOf(node kv.NodeID) string {
	if m, known := f.cfg.Ring().Member(node); known {
		return m.Name
	}
	return fmt.Sprintf("node %d", node)
}
