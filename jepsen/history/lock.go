// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Lock is what operations on locks and sessions have beside the rest of [Op], whose Key is
// the name of the lock, or the session where the operation is of a whole session.
//
// An Acquire that is OK was answered by the group: with a Fence it was granted, without one
// it was refused, because the lock is held, or still was at the end of the wait. Fail says
// that it was never granted and never will be; Info that it may have been, or may be, at any
// time until its number is cancelled or its session ends.
type Lock struct {
	// Session names the session, unique in the run.
	Session string `json:"session,omitempty"`
	// Holder numbers the attempts of a session from 1 on; none is used twice. What is held
	// is held by one attempt.
	Holder uint64 `json:"holder,omitempty"`
	// Shared asks for a shared lock.
	Shared bool `json:"shared,omitempty"`
	// Wait is how long an Acquire may wait, in nanoseconds; 0: it is a try.
	Wait int64 `json:"wait,omitempty"`
	// Fence is that of the grant: what an Acquire was given, what a release names.
	Fence uint64 `json:"fence,omitempty"`
	// Released says that the release found the grant in place, and ended it.
	Released bool `json:"released,omitempty"`
	// Expired says that the client was told, by the group, that there is no such session any
	// more. Of an Acquire whose outcome is Info: it may have been granted before that.
	Expired bool `json:"expired,omitempty"`
	// Lost says that the client had told of the session's loss, or had left it, before the
	// operation began. Where it is false the client claims to have had the session then.
	Lost bool `json:"lost,omitempty"`
	// Renewed is when the last renewal that was acknowledged had been sent, as far as the
	// client knows when a session is closed, left or lost; 0: that is not known.
	Renewed int64 `json:"renewed,omitempty"`
}

// Locks reports whether the kind is one of locks or sessions.
func (k Kind) Locks() bool { return k >= Acquire && k <= SessionLost }

// Sessions reports whether the kind is of a whole session.
func (k Kind) Sessions() bool { return k >= SessionOpen && k <= SessionLost }

// Granted reports whether the operation was given a lock.
func (o *Op) Granted() bool { return o.Kind == Acquire && o.Outcome == OK && o.Lock.Fence > 0 }

// Refused reports whether the operation was told that somebody else has the lock.
func (o *Op) Refused() bool { return o.Kind == Acquire && o.Outcome == OK && o.Lock.Fence == 0 }

func (o *Op) lockFault() string {
	l := &o.Lock
	switch {
	case !o.Kind.Locks():
		if *l != (Lock{}) {
			return "only operations on locks have a session"
		}
		return ""
	case len(l.Session) > MaxKey || !utf8.ValidString(l.Session):
		return "session is too long or no UTF-8"
	case l.Session == "" && o.Kind != ForceRelease:
		return "a lock operation needs its session"
	case o.Kind.Sessions() && o.Key != l.Session:
		return "the key of an operation on a session is the session"
	case o.Kind == SessionOpen && o.TTL == 0 && o.Outcome == OK:
		return "an open session has a time to live"
	case l.Expired && o.Outcome == OK:
		return "what is ok was not told that its session is over"
	case l.Wait < 0 || l.Wait > MaxTime || l.Renewed < 0 || l.Renewed > o.Completed:
		return "wait or renewal is out of bounds"
	}
	return o.holderFault()
}

func (o *Op) holderFault() string {
	l := &o.Lock
	releases := o.Kind == Release || o.Kind == ForceRelease
	holds := o.Kind == Acquire || o.Kind == Release || o.Kind == Cancel
	ends := o.Kind == SessionClose || o.Kind == SessionLeave || o.Kind == SessionLost
	switch {
	case holds != (l.Holder > 0):
		return "acquire, release and cancel have a holder, and no others"
	case (l.Shared || l.Wait > 0) && o.Kind != Acquire:
		return "only an acquire is shared, or waits"
	case releases && l.Fence == 0:
		return "a release needs the fence of the grant"
	case l.Fence > 0 && !releases && !o.Granted():
		return "only a grant and its release have a fence"
	case l.Released && (!releases || o.Outcome != OK):
		return "only an ok release has released"
	case l.Renewed > 0 && !ends:
		return "only the end of a session tells of renewals"
	case (o.Kind == SessionLeave || o.Kind == SessionLost) && o.Outcome != OK:
		return "what the client itself does or sees is ok"
	}
	return ""
}

// tell is what a line about the operation says of its lock.
func (l *Lock) tell(o *Op) string {
	s := " of session " + l.Session
	switch {
	case o.Kind.Sessions():
		s = ""
	case l.Session == "":
		s = " of nobody"
	}
	if l.Holder > 0 {
		s += fmt.Sprintf(" as holder %d", l.Holder)
	}
	if l.Shared {
		s += " shared"
	}
	if l.Wait > 0 {
		s += " within " + time.Duration(l.Wait).String()
	}
	switch {
	case o.Refused():
		s += " = held"
	case l.Fence > 0:
		s += fmt.Sprintf(" = fence %d", l.Fence)
	}
	if (o.Kind == Release || o.Kind == ForceRelease) && o.Outcome == OK {
		s += fmt.Sprintf(", released %t", l.Released)
	}
	if l.Expired {
		s += ", the session is over"
	}
	if l.Renewed > 0 {
		s += ", renewed " + Clock(l.Renewed)
	}
	return s
}
