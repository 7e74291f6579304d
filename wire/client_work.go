// SPDX-License-Identifier: Apache-2.0

package wire

import "github.com/dyno-kv/dyno/kv"

// WorkStatus is what a node has still to bring to others, to compare, to mend or to take
// away: what stays behind.
type WorkStatus struct {
	// Hints and Markers are kept for other members, of Bytes together. Counted says that the
	// numbers hold what earlier lives of the node have left. DamagedHints can not be read.
	Hints, Markers, Bytes, DamagedHints uint64
	Counted                             bool
	// OldestMS is the age of the oldest hint in milliseconds; 0: there is none.
	OldestMS uint64
	// PausedMS is how long nothing is compared yet, in milliseconds; 0: it goes on. Of Pairs
	// pairs of a partition and another of its owners Settled hold the same, as of some time
	// after the newest round began.
	PausedMS, Pairs, Settled uint64
	Trees                    TreeStatus
	// Unreadable are records that can not be read, and are not mended.
	Unreadable uint64
	Purge      PurgeStatus
	// Full says that writes are refused, since the disk is nearly full.
	Full bool
	// Refill is how far the node is with filling its store; nil where that is not to be filled.
	Refill *RefillStatus
}

// PurgeStatus is where a node stands in purge rounds.
type PurgeStatus struct {
	// Epoch is the highest purge epoch that the node has adopted. In Open partitions it has
	// not done yet what a round asks for; Missed are not ready, since the store missed a round.
	Epoch        kv.PurgeEpoch
	Open, Missed uint64
}

func (w *mapWriter) work(s *WorkStatus) {
	w.key(fieldWork)
	m := beginMap(w.dst)
	m.uint(fieldHints, s.Hints)
	m.uint(fieldMarkers, s.Markers)
	m.uint(fieldBytes, s.Bytes)
	m.uint(fieldDamaged, s.DamagedHints)
	m.bool(fieldCounted, s.Counted)
	m.uintIfSet(fieldOldestMS, s.OldestMS)
	m.uintIfSet(fieldPausedMS, s.PausedMS)
	m.uint(fieldPairs, s.Pairs)
	m.uint(fieldSettled, s.Settled)
	m.trees(&s.Trees)
	m.uint(fieldUnreadable, s.Unreadable)
	m.purge(&s.Purge)
	m.boolIfSet(fieldFull, s.Full)
	if s.Refill != nil {
		m.refill(s.Refill)
	}
	w.dst = m.end()
}

func (w *mapWriter) purge(p *PurgeStatus) {
	w.key(fieldPurge)
	m := beginMap(w.dst)
	m.uint(fieldEpoch, uint64(p.Epoch))
	m.uint(fieldOpen, p.Open)
	m.uint(fieldMissed, p.Missed)
	w.dst = m.end()
}

func (r *reader) work() *WorkStatus {
	s := &WorkStatus{}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldCounted:
			s.Counted = r.bool()
		case fieldTrees:
			s.Trees = r.trees()
		case fieldFull:
			s.Full = r.bool()
		case fieldRefill:
			s.Refill = r.refill()
		case fieldPurge:
			s.Purge = r.purge()
		default:
			r.workCount(f, s)
		}
	}
	return s
}

// workCount reads one of the numbers.
func (r *reader) workCount(f field, s *WorkStatus) {
	switch f {
	case fieldHints:
		s.Hints = r.uint64()
	case fieldMarkers:
		s.Markers = r.uint64()
	case fieldBytes:
		s.Bytes = r.uint64()
	case fieldDamaged:
		s.DamagedHints = r.uint64()
	case fieldOldestMS:
		s.OldestMS = r.uint64()
	case fieldPausedMS:
		s.PausedMS = r.uint64()
	case fieldPairs:
		s.Pairs = r.uint64()
	case fieldSettled:
		s.Settled = r.uint64()
	case fieldUnreadable:
		s.Unreadable = r.uint64()
	default:
		r.skip()
	}
}

func (r *reader) purge() (p PurgeStatus) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldEpoch:
			p.Epoch = kv.PurgeEpoch(r.uint64())
		case fieldOpen:
			p.Open = r.uint64()
		case fieldMissed:
			p.Missed = r.uint64()
		default:
			r.skip()
		}
	}
	return p
}
