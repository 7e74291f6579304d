// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Op is one read-decide-write of one key. The store keeps the Op, and what it points
// to, until Done was called; the caller must not change it meanwhile.
type Op struct {
	Space     Space
	Partition uint16
	Bucket    kv.BucketID
	Key       []byte
	// Deadline is when the operation is no longer worth doing; it is looked at when its
	// turn comes, never afterwards. Zero means never.
	Deadline time.Time
	// Bytes is about how much memory the operation holds while it waits, beside the key:
	// the queue is bounded by it.
	Bytes int
	// Apply says what becomes of the object. It runs in the goroutine of the shard that
	// owns the partition, one operation after another, so what it touches of the
	// partition's own state needs no lock. It must not wait for anything. It is called
	// once, and a second time, with the values, where it asked to Load.
	Apply func(Current) Next
	// Done hears how it ended, exactly once, unless Do returned an error. It runs in a
	// goroutine on which others wait: it must be quick, and must not call Do.
	Done func(Result)

	turn turn // owned by the store
}

// State says what is known of a key. Only two of its values are knowledge.
type State uint8

const (
	// StateAbsent: there is certainly no record of the key.
	StateAbsent State = 1 + iota
	// StatePresent: the object is there.
	StatePresent
	// StateUnreadable: there is a record, or was one, or reading failed; nothing is
	// known. It is never to be taken for absent (TRAPS C2).
	StateUnreadable
)

func (s State) String() string {
	switch s {
	case StateAbsent:
		return "absent"
	case StatePresent:
		return "present"
	case StateUnreadable:
		return "unreadable"
	default:
		return fmt.Sprintf("state(%d)", uint8(s))
	}
}

// Current is what the store holds of a key.
type Current struct {
	// Object is the zero Object unless State is StatePresent.
	Object kv.Object
	// Encoded is the object's encoding, values included, where the store had it at
	// hand; nil says nothing. It must not be changed.
	Encoded []byte
	// State says whether Object is to be believed.
	State State
	// Full reports that all values are there. A bare object has contexts, dots, sizes
	// and checksums.
	Full bool
	// Err says why State is StateUnreadable; ErrUnreadable is in its chain.
	Err error
}

// Next is what becomes of an object: Keep, Load, Put or Remove.
type Next struct {
	kind    nextKind
	object  kv.Object
	encoded []byte
	note    *wire.JournalEntry
	stamp   kv.Stamp
}

type nextKind uint8

const (
	nextKeep nextKind = iota // the zero Next changes nothing
	nextLoad
	nextPut
	nextRemove
)

// Keep leaves the object as it is. The answer still waits until what it rests on is
// durable (I1).
func Keep() Next { return Next{} }

// Load asks to be called again with the values of the object. To load an object that
// is full, absent or unreadable is the same as to keep it.
func Load() Next { return Next{kind: nextLoad} }

// Put sets the object in the place of what is there. All its values must be there.
// encoded is its encoding where the caller has it, nil where the store is to encode
// it. note goes into the journal in the same commit, unless it is nil. The store keeps
// all three.
func Put(object kv.Object, encoded []byte, note *wire.JournalEntry) Next {
	return Next{kind: nextPut, object: object, encoded: encoded, note: note}
}

// Remove takes the object away with all its records, as if the key had never been written.
// Nothing is left that would refuse an older copy: it is for what nobody will ask for any
// more.
func Remove() Next { return Next{kind: nextRemove} }

// Stamped has the store remember, durably with the object, that stamps up to this one
// have been issued: StampMark tells after a restart. It is for Put.
func (n Next) Stamped(stamp kv.Stamp) Next {
	n.stamp = stamp
	return n
}

// Outcome says what a failed or finished operation left in the store.
type Outcome uint8

const (
	// OutcomeDurable: what Apply decided last is durable, and so is all it rests on.
	OutcomeDurable Outcome = 1 + iota
	// OutcomeNone: nothing of the operation was stored.
	OutcomeNone
	// OutcomeUnknown: the store failed while the operation was open. What Apply decided
	// may be found after a restart, or not.
	OutcomeUnknown
)

func (o Outcome) String() string {
	switch o {
	case OutcomeDurable:
		return "durable"
	case OutcomeNone:
		return "none"
	case OutcomeUnknown:
		return "unknown"
	default:
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
}

// Result is how an operation ended.
type Result struct {
	Outcome Outcome
	// Err is nil exactly where Outcome is OutcomeDurable.
	Err error
}

// Mode is how much of an object a read wants.
type Mode uint8

const (
	// ModeFull: with all values.
	ModeFull Mode = 1 + iota
	// ModeBare: without values, which spares reading them where it can. Values that
	// came along may be there nevertheless.
	ModeBare
)
