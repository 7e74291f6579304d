// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// Kind is what an operation asks for.
type Kind uint8

const (
	// Get reads the siblings of a key into Op.Read.
	Get Kind = 1 + iota
	// Put writes Op.Value over what Op.Context lists.
	Put
	// Delete removes what Op.Context lists, or, if it is Op.Blind, what the store finds.
	// It has an Op.Value too, as a name: a write may be sent with a delete's context.
	Delete
	// Add puts the element Op.Value into the set that the key stands for, by any number of
	// requests to the store.
	Add
	// Members reads that set into Op.Read.
	Members
	// Increment adds Op.Delta to the counter that the key stands for.
	Increment
	// Total reads that counter into Op.Total.
	Total
	// Acquire asks for the lock that the key names.
	Acquire
	// Release gives back what an Acquire was granted.
	Release
	// Cancel ends an attempt, whether it waits, holds or is not known yet: when it is
	// acknowledged its number is finished with.
	Cancel
	// ForceRelease takes a lock from whoever holds it under Op.Lock.Fence.
	ForceRelease
	// SessionOpen opens the session that the key names, for Op.TTL.
	SessionOpen
	// SessionClose ends a session, with all that it holds.
	SessionClose
	// SessionLeave is no request: the client renews the session no more, and tells nobody.
	SessionLeave
	// SessionLost is no request: the client tells that the session is lost.
	SessionLost
)

var kindNames = [...]string{
	"get", "put", "delete", "add", "members", "increment", "total",
	"acquire", "release", "cancel", "force-release",
	"session-open", "session-close", "session-leave", "session-lost",
}

// Writes reports whether the kind changes the store.
func (k Kind) Writes() bool { return k == Put || k == Delete || k == Add || k == Increment }

func (k Kind) String() string { return nameOf(kindNames[:], uint8(k)) }

// MarshalText gives the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return marshal(kindNames[:], uint8(k)) }

// UnmarshalText takes the kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	n, err := unmarshal(kindNames[:], text)
	*k = Kind(n)
	return err
}

// Outcome is what became of an operation, as far as its client knows.
type Outcome uint8

const (
	// OK says that the store acknowledged it.
	OK Outcome = 1 + iota
	// Fail says that certainly nothing was done, and never will be.
	Fail
	// Info says that nobody knows: it may have been done, or be done later, or never.
	Info
)

var outcomeNames = [...]string{"ok", "fail", "info"}

func (o Outcome) String() string { return nameOf(outcomeNames[:], uint8(o)) }

// MarshalText gives the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return marshal(outcomeNames[:], uint8(o)) }

// UnmarshalText takes the outcome's name.
func (o *Outcome) UnmarshalText(text []byte) error {
	n, err := unmarshal(outcomeNames[:], text)
	*o = Outcome(n)
	return err
}

// Op is one operation. What a kind does not have is zero.
type Op struct {
	// Process is the session: what runs one operation at a time. Its guarantees are those
	// of one session of the store.
	Process int    `json:"p"`
	Kind    Kind   `json:"kind"`
	Key     string `json:"key"`
	Invoked int64  `json:"from"`
	// Completed is when the answer was there, or was given up.
	Completed int64   `json:"to"`
	Outcome   Outcome `json:"outcome"`
	// Value is what is written, unique in the run; of puts, deletes and adds.
	Value Value `json:"value,omitzero"`
	// Context lists the writes that the context which was sent came from: the siblings of
	// that read; or that write, and the siblings that it returned.
	Context []Value `json:"context,omitempty"`
	// Blind says that no context was sent. A context may list nothing and not be blind: of
	// a key that was deleted.
	Blind bool `json:"blind,omitempty"`
	// Read is what an ok read found: siblings of a Get, elements of Members, and of a Put
	// that asked for siblings those after it. In the order in which they came, and as often.
	Read []Value `json:"read,omitempty"`
	// Delta and Total are of counters.
	Delta int64 `json:"delta,omitempty"`
	Total int64 `json:"total,omitempty"`
	// TTL is the time to live of a put in nanoseconds; 0: it stays. Of a session that was
	// opened: as the group granted it.
	TTL int64 `json:"ttl,omitempty"`
	// Lock is of operations on locks and sessions.
	Lock Lock `json:"lock,omitzero"`
	// R, W, PR and PW are the levels, resolved to numbers of replicas; 0 where there is none.
	R  uint8 `json:"r,omitempty"`
	W  uint8 `json:"w,omitempty"`
	PR uint8 `json:"pr,omitempty"`
	PW uint8 `json:"pw,omitempty"`
	// Atomic marks a read that was asked for as one.
	Atomic bool `json:"atomic,omitempty"`
	// Moved says that an attempt of unknown outcome may have gone to another coordinator: the
	// write may then be there twice, under two dots.
	Moved bool `json:"moved,omitempty"`
	// Again says that it was sent more than once, to whomever. What a process has done of it
	// before it ended is not known to the one that comes after it, nor to another owner that a
	// node asks in its place: so this write too may have two dots. Readers see it once, as long
	// as both are there; but one may stay where the other was overwritten.
	Again bool `json:"again,omitempty"`
	// Pinned says that one node alone was asked, so that it fails where that node is down.
	Pinned bool `json:"pinned,omitempty"`
	// Final is the round of final reads that the read belongs to, from 1 on, when every fault
	// is healed and the cluster is quiet. 0: a read of the run. A final read of all replicas
	// must show, or show the successors of, all that was acknowledged, whatever its level. One
	// of R < n, because n-R replicas are lost for good, must show what was acknowledged by
	// more than n-R: so much is on one at least of those that are left, and they are all read.
	Final uint8 `json:"final,omitempty"`
	// Node is who served it.
	Node string `json:"node,omitempty"`
	// Error says why it is not ok, for people.
	Error string `json:"error,omitempty"`
}

// Bounds of one operation; [Writer] and [Recorder] cut a longer error, and refuse anything else.
const (
	MaxKey    = 1 << 10
	MaxNode   = 256
	MaxError  = 512
	MaxValues = 1 << 16 // elements of a set, or siblings
	MaxLevel  = kv.MaxLevel
	MaxTime   = 1 << 62 // nanoseconds, either way: sums with a duration fit
)

// Doubled reports whether there may be two dots of one write.
func (o *Op) Doubled() bool { return o.Moved || o.Again }

// Strict reports whether a read that begins after the write's acknowledgement meets at
// least one replica that has it: n replicas, and fallbacks among them if sloppy.
func Strict(write, read *Op, n int, sloppy bool) bool {
	if sloppy {
		return int(write.PW)+int(read.PR) > n
	}
	return int(max(write.W, write.PW))+int(max(read.R, read.PR)) > n
}

// String tells of an operation in one line, its beginning first.
func (o *Op) String() string {
	s := fmt.Sprintf("%s: process %d %s %q", Clock(o.Invoked), o.Process, o.Kind, o.Key)
	switch {
	case !o.Value.IsZero():
		s += " " + o.Value.String()
	case o.Kind == Increment:
		s += fmt.Sprintf(" by %d", o.Delta)
	case o.Kind == Total && o.Outcome == OK:
		s += fmt.Sprintf(" = %d", o.Total)
	case o.Kind.Locks():
		s += o.Lock.tell(o)
	}
	if o.Outcome == OK && (o.Kind == Get || o.Kind == Members) {
		s += " = " + list(o.Read)
	}
	if len(o.Context) > 0 {
		s += " over " + list(o.Context)
	}
	if o.Node != "" {
		s += fmt.Sprintf(" by %q", o.Node)
	}
	if o.Completed < o.Invoked { // it is not complete
		return fmt.Sprintf("%s: %s", s, o.Outcome)
	}
	return fmt.Sprintf("%s: %s after %s", s, o.Outcome, time.Duration(o.Completed-o.Invoked))
}

// Clock is a time of a history for people: seconds to the microsecond.
func Clock(at int64) string { return fmt.Sprintf("%.6f s", time.Duration(at).Seconds()) }

// list prints values, not too many.
func list(values []Value) string {
	const most = 8
	if len(values) <= most {
		return fmt.Sprint(values)
	}
	return fmt.Sprintf("%v and %d more", values[:most], len(values)-most)
}

func nameOf(names []string, n uint8) string {
	if n == 0 || int(n) > len(names) {
		return fmt.Sprintf("?%d", n)
	}
	return names[n-1]
}

func marshal(names []string, n uint8) ([]byte, error) {
	if n == 0 || int(n) > len(names) {
		return nil, fmt.Errorf("%w: %d is none of %v", ErrInvalid, n, names)
	}
	return []byte(names[n-1]), nil
}

func unmarshal(names []string, text []byte) (uint8, error) {
	i := slices.Index(names, string(text))
	if i < 0 {
		return 0, fmt.Errorf("%w: %.40q is none of %v", ErrInvalid, text, names)
	}
	return uint8(i + 1), nil
}
