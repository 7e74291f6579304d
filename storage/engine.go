// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
)

// Engine is what the store needs of the thing that keeps bytes. Keys have versions:
// each commit has a timestamp, and a read at a timestamp sees the newest version at or
// below it. One conformance suite runs against every engine.
//
// All methods may be called at the same time, except that commits come one after
// another, with rising timestamps, and that nothing is called during or after Close.
type Engine interface {
	// Get returns the value of key as of ts. The value belongs to the caller. A key
	// that is not there has found == false; an error, and a value that turns out to be
	// empty or damaged, never means that the key is not there (TRAPS C2).
	Get(key []byte, ts uint64) (value []byte, found bool, err error)
	// Commit stores all writes at ts, or none of them, and is durable when it returns.
	// Of several writes of one key the last counts. ts is above every earlier one. The
	// engine keeps nothing of what it was given after it has returned. After an error
	// it is unknown what was stored, and the engine must not be written to again.
	Commit(ts uint64, writes []Write) error
	// Iterate shows the keys that begin with prefix and are not below from, in order,
	// as of ts, until visit returns false. key and value are lent for the call.
	Iterate(ts uint64, prefix, from []byte, visit func(key, value []byte) bool) error
	// SetDiscard says that nobody will read below ts any more: of the versions at or
	// below it the engine needs to keep only the newest of each key.
	SetDiscard(ts uint64)
	// MaxVersion is the highest timestamp that was ever committed, as far as it can be
	// told from what is stored.
	MaxVersion() uint64
	// Limits bounds one commit.
	Limits() Limits
	// Tend does what has to be done from time to time, about once a second. After an
	// error the engine must not be written to again.
	Tend() error
	// Size is about how many bytes the engine takes on disk.
	Size() int64
	// Close ends the engine. What was committed stays.
	Close() error
}

// Write is one change of one key in a commit.
type Write struct {
	Key    []byte
	Value  []byte // ignored by a deletion
	Delete bool
}

// writeOverhead is what an engine may add to a write beside key and value; limits
// count it.
const writeOverhead = 48

func (w Write) size() int { return len(w.Key) + len(w.Value) + writeOverhead }

// Limits bounds one commit. Bytes counts key, value and 48 bytes for each write.
type Limits struct {
	Bytes int
	Count int
	Value int // the largest single value
}

// Check refuses writes that are more than the limits allow.
func (l Limits) Check(writes []Write) error {
	size := 0
	for _, w := range writes {
		size += w.size()
		if len(w.Value) > l.Value {
			return fmt.Errorf("%w: %d bytes", ErrTooBig, len(w.Value))
		}
	}
	if size > l.Bytes || len(writes) > l.Count {
		return fmt.Errorf("%w: %d writes of %d bytes", ErrTooBig, len(writes), size)
	}
	return nil
}

// The ways in which a store refuses or fails. Where the text does not say otherwise
// nothing of the operation was stored.
var (
	// ErrOverloaded refuses an operation because the queue of its shard is full.
	ErrOverloaded = errors.New("storage: too many operations are waiting; try again later")
	// ErrExpired drops an operation whose deadline passed before its turn.
	ErrExpired = errors.New("storage: the deadline passed before the operation's turn")
	// ErrDiskFull refuses writes because the disk is nearly full.
	ErrDiskFull = errors.New("storage: the disk is nearly full; free space or add nodes")
	// ErrClosed refuses operations of a store that is shutting down.
	ErrClosed = errors.New("storage: the store is closed")
	// ErrFailed is the answer to everything after the first failed write or sync. The
	// process must end: what such a disk holds is only known after a restart.
	ErrFailed = errors.New("storage: a write to the disk failed; the store has stopped")
	// ErrLocked refuses a directory that another process has open.
	ErrLocked = errors.New("storage: another process has this directory open")
	// ErrDamaged refuses a directory in which acknowledged writes can not be read any more.
	ErrDamaged = errors.New("storage: the directory is damaged")
	// ErrTooBig refuses a record that no commit of the engine can hold.
	ErrTooBig = errors.New("storage: the record is larger than the engine can store")
	// ErrIncomplete refuses to store an object of which values are missing.
	ErrIncomplete = errors.New("storage: the object lacks values; load it before storing it")
	// ErrUnreadable is in the chain of Current.Err where a record is there and can not
	// be made sense of, or where reading it failed.
	ErrUnreadable = errors.New("storage: the record can not be read")
)
