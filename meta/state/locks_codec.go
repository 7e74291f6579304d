// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/dyno-kv/dyno/locks"
)

// The least that the parts of a table of locks take.
const (
	minSession  = sizeID + 6
	minInterval = 2
	minLock     = 6
	minGrant    = sizeID + 6
	minWaiter   = sizeID + 6
)

// appendLocks appends the table of sessions and locks, as a part of a snapshot.
func appendLocks(dst []byte, t *locks.Table) []byte {
	counts := t.Counts()
	dst = appendUint(dst, t.Fence())
	ended := t.Ended()
	dst = appendUint(dst, len(ended))
	for i := range ended {
		dst = append(dst, ended[i][:]...)
	}
	dst = appendUint(dst, counts.Sessions)
	dst = appendUint(dst, counts.Locks)
	t.Visit(
		func(s *locks.Session) { dst = appendSession(dst, s) },
		func(l *locks.Lock) { dst = appendLock(dst, l) })
	return dst
}

func (r *reader) locks() locks.Data {
	d := locks.Data{Fence: r.fence()}
	d.Ended = make([]locks.SessionID, r.count(sizeID))
	for i := range d.Ended {
		d.Ended[i] = r.session()
	}
	sessions, held := r.count(minSession), r.count(minLock)
	d.Sessions, d.Locks = make([]locks.Session, sessions), make([]locks.Lock, held)
	for i := range d.Sessions {
		d.Sessions[i] = r.lockSession()
	}
	for i := range d.Locks {
		d.Locks[i] = r.lock()
	}
	return d
}

func appendSession(dst []byte, s *locks.Session) []byte {
	dst = append(dst, s.ID[:]...)
	dst = appendBytes(dst, s.Name)
	dst = appendUint(dst, s.Owner)
	dst = appendInt(dst, int64(s.TTL))
	dst = appendUint(dst, s.Created)
	dst = appendUint(dst, s.DoneThrough)
	dst = appendUint(dst, len(s.Done))
	for _, i := range s.Done {
		dst = appendUint(appendUint(dst, i.First), i.Last)
	}
	return dst
}

func (r *reader) lockSession() locks.Session {
	s := locks.Session{
		ID: r.session(), Name: r.text(), Owner: r.node(), TTL: r.duration(), Created: r.uint(),
		DoneThrough: r.uint(),
	}
	if n := r.count(minInterval); n > 0 {
		s.Done = make([]locks.Interval, n)
	}
	for i := range s.Done {
		s.Done[i] = locks.Interval{First: r.uint(), Last: r.uint()}
	}
	return s
}

func appendLock(dst []byte, l *locks.Lock) []byte {
	dst = appendBytes(dst, l.Name)
	dst = append(dst, byte(l.Kind))
	dst = appendUint(dst, l.Limit)
	dst = appendUint(dst, l.Delay)
	dst = appendUint(dst, len(l.Holders))
	for i := range l.Holders {
		g := &l.Holders[i]
		dst = append(dst, g.Session[:]...)
		dst = appendUint(dst, g.Holder)
		dst = appendUint(dst, g.Permits)
		dst = appendUint(dst, g.Fence)
		dst = appendUint(dst, g.Index)
		dst = appendUint(dst, g.Revision)
		dst = appendBytes(dst, g.Value)
	}
	dst = appendUint(dst, len(l.Queue))
	for i := range l.Queue {
		w := &l.Queue[i]
		dst = append(dst, w.Session[:]...)
		dst = appendUint(dst, w.Holder)
		dst = append(dst, byte(w.Kind))
		dst = appendUint(dst, w.Permits)
		dst = appendInt(dst, int64(w.Wait))
		dst = appendUint(dst, w.Index)
		dst = appendBytes(dst, w.Value)
	}
	return dst
}

func (r *reader) lock() locks.Lock {
	l := locks.Lock{
		Name: r.text(), Kind: locks.Kind(r.byte()), Limit: r.uint32(), Delay: r.uint(),
	}
	if n := r.count(minGrant); n > 0 {
		l.Holders = make([]locks.Grant, n)
	}
	for i := range l.Holders {
		l.Holders[i] = locks.Grant{
			Session: r.session(), Holder: r.uint(), Permits: r.uint32(), Fence: r.fence(),
			Index: r.uint(), Revision: r.uint(), Value: r.owned(),
		}
	}
	if n := r.count(minWaiter); n > 0 {
		l.Queue = make([]locks.Waiter, n)
	}
	for i := range l.Queue {
		l.Queue[i] = locks.Waiter{
			Session: r.session(), Holder: r.uint(), Kind: locks.Kind(r.byte()),
			Permits: r.uint32(), Wait: r.duration(), Index: r.uint(), Value: r.owned(),
		}
	}
	return l
}
