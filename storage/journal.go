// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	// maxNote bounds one note, so that a commit's share for the journal can be bounded.
	maxNote = 1 << 10
	// journalWrites is how many writes the journal adds to a commit: one record, and
	// deletions. Two deletions for each record let a journal shrink.
	journalWrites = 4
	// journalRoom is what the journal adds to the bytes of a commit beside the notes
	// themselves, which are counted with their changes, and one note at most of a
	// change that is too large to share its commit.
	journalRoom = maxNote + journalWrites*256
)

var errJournal = errors.New("storage: malformed journal record")

// journal keeps short notes of operations, durable together with what they did, for a
// while: one record for each commit that has notes. The oldest are deleted by later
// commits.
type journal struct {
	maxNotes int
	maxAge   time.Duration
	next     uint64          // number of the next record
	records  []journalRecord // oldest first
	notes    int             // in records
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
	return eachJournalRecord(e, ts, func(number uint64, record []byte, err error) bool {
		notes := 0
		if err == nil {
			_ = eachNote(record, func([]byte) error { notes++; return nil })
		}
		j.records = append(j.records, journalRecord{number, notes, now})
		j.notes += notes
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
	var payload []byte
	notes := 0
	for _, c := range changes {
		if c.note == nil {
			continue
		}
		payload = binary.AppendUvarint(payload, uint64(len(c.note)))
		payload = append(payload, c.note...)
		notes++
	}
	now := time.Now()
	if notes > 0 {
		key := journalKey(j.next)
		writes = append(writes, Write{Key: key, Value: seal(key, payload)})
		j.records = append(j.records, journalRecord{j.next, notes, now})
		j.notes += notes
		j.next++
	}
	for n := 1; n < journalWrites && j.overdue(now); n++ {
		oldest := j.records[0]
		writes = append(writes, Write{Key: journalKey(oldest.number), Delete: true})
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

// Journal shows the notes that the store found when it was opened, and those since, in
// the order of their commits. It stops at the first error of fn. Records that can not
// be read are passed over and logged: a note only spares a repetition.
func (s *Store) Journal(fn func(note []byte) error) error {
	generation := s.reads.enter()
	defer s.reads.leave(generation)
	var stop error
	err := eachJournalRecord(s.engine, s.durable.Load(),
		func(number uint64, payload []byte, err error) bool {
			if err == nil {
				err = eachNote(payload, func(note []byte) error {
					stop = fn(note)
					return stop
				})
			}
			if err != nil && stop == nil {
				s.log.Warn("journal record is unreadable",
					zap.Uint64("record", number), zap.Error(err))
			}
			return stop == nil
		})
	if stop != nil {
		return stop
	}
	return err
}

func eachJournalRecord(
	e Engine, ts uint64, visit func(number uint64, payload []byte, err error) bool,
) error {
	err := e.Iterate(ts, journalPrefix(), nil, func(key, record []byte) bool {
		number, ok := journalNumber(key)
		if !ok {
			return visit(0, nil, fmt.Errorf("%w: key %x", errJournal, key))
		}
		payload, err := unseal(key, record)
		return visit(number, payload, err)
	})
	if err != nil {
		return fmt.Errorf("storage: read the journal: %w", err)
	}
	return nil
}

// eachNote shows the notes of a record; they are copies. It returns errJournal where
// the record is malformed, or the error of fn.
func eachNote(payload []byte, fn func(note []byte) error) error {
	for len(payload) > 0 {
		n, used := binary.Uvarint(payload)
		if used <= 0 || n > uint64(len(payload)-used) {
			return errJournal
		}
		note := payload[used : used+int(n)]
		payload = payload[used+int(n):]
		if err := fn(append([]byte{}, note...)); err != nil {
			return err
		}
	}
	return nil
}
