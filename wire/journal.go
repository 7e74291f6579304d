// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// JournalEntry remembers which dot a request id was given, so that a retry at the same
// coordinator does not become a second write (ARCHITECTURE 5).
type JournalEntry struct {
	Request kv.RequestID
	Dot     vclock.Dot
	KeyHash uint64 // of the key that the request wrote
	At      int64  // Unix milliseconds
}

// journalEntrySize is fixed: a journal is written with every commit and read only at a
// start, all of it. Fields of a later release come with a format of their own.
const journalEntrySize = 16 + 8 + 8 + 8 + 8

// AppendJournalRecord appends the record of a journal batch: its entries one after
// another, each
//
//	request id (16) | actor (8) | counter (8) | key hash (8) | time (8)
func AppendJournalRecord(dst, key []byte, entries []JournalEntry) []byte {
	start := len(dst)
	dst = beginRecord(dst)
	for i := range entries {
		e := &entries[i]
		dst = append(dst, e.Request[:]...)
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Dot.Actor))
		dst = binary.BigEndian.AppendUint64(dst, e.Dot.Counter)
		dst = binary.BigEndian.AppendUint64(dst, e.KeyHash)
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.At))
	}
	SealRecord(dst[start:], FormatJournal, key)
	return dst
}

// DecodeJournalRecord reads a record that AppendJournalRecord made, and appends its
// entries to into. It returns ErrRecord for anything else.
func DecodeJournalRecord(into []JournalEntry, key, rec []byte) ([]JournalEntry, error) {
	b, err := openAs(FormatJournal, key, rec)
	if err != nil {
		return into, err
	}
	if len(b)%journalEntrySize != 0 {
		return into, fmt.Errorf("%w: %d bytes are no whole entries", ErrRecord, len(b))
	}
	for ; len(b) > 0; b = b[journalEntrySize:] {
		into = append(into, JournalEntry{
			Request: kv.RequestID(b[:16]),
			Dot: vclock.Dot{
				Actor:   vclock.Actor(binary.BigEndian.Uint64(b[16:])),
				Counter: binary.BigEndian.Uint64(b[24:]),
			},
			KeyHash: binary.BigEndian.Uint64(b[32:]),
			At:      int64(binary.BigEndian.Uint64(b[40:])),
		})
	}
	return into, nil
}
