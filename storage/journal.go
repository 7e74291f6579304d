// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/wire"
)

const (
	// noteSize is at least what one note adds to a record of the journal.
	noteSize = 64
	// journalWrites is how many writes the journal adds to a commit: one record, and
	// deletions. More deletions than records let a journal shrink.
	journalWrites = 4
	// journalRoom is what the journal adds to the bytes of a commit, beside the notes,
	// which are counted with their changes.
	journalRoom = noteSize + journalWrites*128
)

// journal keeps notes of operations for a while: which dot a request id was given. They
// are durable together with what they speak of: one record for each commit that has
// notes. The oldest are deleted by later commits.
type journal struct {
	maxNotes int
	maxAge   time.Duration
	next     uint64          // number of the next record
	records  []journalRecord // oldest first
	notes    int             // in records
	entries  []wire.JournalEntry
}

type journalRecord struct {
	number uint64
	notes  int
	at     time.Time // when it was written, or found at open
}

// open learns which records there are.
func (j *journal) open(e Engine, ts uint64, maxNotes int, maxAge time.Duration) error {
	j.maxNotes, j.maxAge, j.next = maxNotes, maxAge, 1
	now := time.Now()
	return eachJournalRecord(e, ts, func(number uint64, notes []wire.JournalEntry, _ error) bool {
		j.records = append(j.records, journalRecord{number, len(notes), now})
		j.notes += len(notes)
		j.next = number + 1
		return true
	})
}

// append adds the record of a commit's notes to its writes, and deletions of records
// that are beyond the bounds.
func (j *journal) append(writes []Write, changes []*change) []Write {
	if j.maxNotes == 0 {
		return writes
	}
	j.entries = j.entries[:0]
	for _, c := range changes {
		if c.note != nil {
			j.entries = append(j.entries, *c.note)
		}
	}
	now := time.Now()
	if notes := len(j.entries); notes > 0 {
		key := wire.AppendJournalKey(nil, j.next)
		record := wire.AppendJournalRecord(nil, key, j.entries)
		writes = append(writes, Write{Key: key, Value: record})
		j.records = append(j.records, journalRecord{j.next, notes, now})
		j.notes += notes
		j.next++
	}
	for n := 1; n < journalWrites && j.overdue(now); n++ {
		oldest := j.records[0]
		key := wire.AppendJournalKey(nil, oldest.number)
		writes = append(writes, Write{Key: key, Delete: true})
		j.notes -= oldest.notes
		j.records = j.records[1:]
	}
	return writes
}

// overdue reports whether the oldest record is to go. The newest record stays.
func (j *journal) overdue(now time.Time) bool {
	return len(j.records) > 1 &&
		(j.notes > j.maxNotes || now.Sub(j.records[0].at) > j.maxAge)
}

// Journal shows the notes that are durable, in the order of their commits, until fn
// returns an error, which it passes on. Records that can not be read are passed over
// and logged: a note only spares a repetition.
func (s *Store) Journal(fn func(note wire.JournalEntry) error) error {
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	var stop error
	err := eachJournalRecord(s.engine, s.durable.Load(),
		func(number uint64, notes []wire.JournalEntry, err error) bool {
			if err != nil {
				s.log.Warn("journal record is unreadable",
					zap.Uint64("record", number), zap.Error(err))
			}
			for _, note := range notes {
				if stop = fn(note); stop != nil {
					return false
				}
			}
			return true
		})
	if stop != nil {
		return stop
	}
	return err
}

// eachJournalRecord shows the records of the journal, with an error instead of notes
// where one can not be read.
func eachJournalRecord(
	e Engine, ts uint64, visit func(number uint64, notes []wire.JournalEntry, err error) bool,
) error {
	err := e.Iterate(ts, wire.AppendJournalPrefix(nil), nil, func(key, record []byte) bool {
		number, err := wire.ParseJournalKey(key)
		if err != nil {
			return true // not ours; nothing can be said of it
		}
		notes, err := wire.DecodeJournalRecord(nil, key, record)
		if err != nil {
			notes = nil
		}
		return visit(number, notes, err)
	})
	if err != nil {
		return fmt.Errorf("storage: read the journal: %w", err)
	}
	return nil
}
