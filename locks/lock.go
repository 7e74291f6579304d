// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"bytes"
	"cmp"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/kv"
)

// session is a Session and what it holds and waits for.
type session struct {
	id      SessionID
	name    string
	owner   kv.NodeID
	ttl     time.Duration
	created uint64
	done    finished
	// active are the numbers that hold or wait, in order. Invariant: none is done.
	active []*hold
}

func (s *session) compare(o *session) int {
	if c := strings.Compare(s.name, o.name); c != 0 {
		return c
	}
	return bytes.Compare(s.id[:], o.id[:])
}

// hold is an active number: a grant, or a place in a queue.
type hold struct {
	session  *session
	lock     *lock
	number   uint64
	kind     Kind
	permits  uint32
	value    []byte
	revision uint64
	wait     time.Duration
	// index is that of the entry which granted it, or queued it.
	index uint64
	// fence is 0 while it waits.
	fence kv.Fence
	// place orders the holders of a lock by their fences, and its queue by arrival.
	place uint64
}

func (h *hold) compare(o *hold) int { return cmp.Compare(h.place, o.place) }

func (h *hold) waits() bool { return h.fence == 0 }

func (h *hold) size() int { return sizeHold + len(h.value) }

// lock is a Lock. It exists as long as somebody holds it.
type lock struct {
	name    string
	kind    Kind // of the holders
	holders ordered[*hold]
	queue   ordered[*hold]
	// touched says that something was removed, and the queue is to be served.
	touched bool
}

func (l *lock) compare(o *lock) int { return strings.Compare(l.name, o.name) }

// takes says whether one more holder of a kind goes together with those that hold.
func (l *lock) takes(kind Kind) bool {
	return l.holders.size == 0 || kind == KindShared && l.kind == KindShared
}

// admits says whether who comes now is granted at once: nobody overtakes the queue.
func (l *lock) admits(kind Kind) bool { return l.queue.size == 0 && l.takes(kind) }
