// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// SessionOpenRequest is session.open.
type SessionOpenRequest struct {
	Common
	// Session is chosen at random by the client and kept over retries, so that a retry
	// finds the same session; zero: the node chooses, and a retry opens another.
	Session [16]byte
	TTLMS   uint32 // MinSessionTTLMS to MaxSessionTTLMS; 0 in what is encoded: the default
	Name    string // for people; need not be unique
}

// AppendSessionOpenRequest appends the params of session.open.
func AppendSessionOpenRequest(dst []byte, q *SessionOpenRequest) []byte {
	w := beginParams(dst)
	if q.Session != ([16]byte{}) {
		w.bin(fieldSession, q.Session[:])
	}
	if q.TTLMS != DefaultSessionTTLMS {
		w.uintIfSet(fieldTTLMS, uint64(q.TTLMS))
	}
	w.strIfSet(fieldName, q.Name)
	w.common(q.Common)
	return w.end()
}

// DecodeSessionOpenRequest reads the params of session.open.
func DecodeSessionOpenRequest(params []byte, into *SessionOpenRequest) error {
	*into = SessionOpenRequest{Common: defaults(), TTLMS: DefaultSessionTTLMS}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldSession:
			q.session(&into.Session)
		case fieldTTLMS:
			into.TTLMS = uint32(q.uint(MaxSessionTTLMS))
			if q.err == nil && into.TTLMS < MinSessionTTLMS {
				q.fail(invalid(q.field, "%d, must be %d to %d",
					into.TTLMS, MinSessionTTLMS, MaxSessionTTLMS))
			}
		case fieldName:
			into.Name = q.text(MaxLockName)
		default:
			q.common(f, &into.Common)
		}
	}
	return q.finish()
}

// session reads the id of a session, which is not zero.
func (r *reader) session(id *[16]byte) {
	r.fixed(id[:])
	if r.err == nil && *id == ([16]byte{}) {
		r.fail(invalid(r.field, "must not be zero; choose 16 random bytes"))
	}
}

// SessionOpenResult answers session.open.
type SessionOpenResult struct {
	Session [16]byte
	TTLMS   uint32
}

// AppendSessionOpenResult appends the result of session.open.
func AppendSessionOpenResult(dst []byte, a *SessionOpenResult) []byte {
	w := beginMap(dst)
	w.bin(fieldSession, a.Session[:])
	w.uint(fieldTTLMS, uint64(a.TTLMS))
	return w.end()
}

// DecodeSessionOpenResult reads the result of session.open.
func DecodeSessionOpenResult(result []byte, into *SessionOpenResult) error {
	*into = SessionOpenResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldSession:
			r.fixed(into.Session[:])
		case fieldTTLMS:
			into.TTLMS = r.uint32()
		default:
			r.skip()
		}
	}
	return r.finish()
}

// SessionRequest is a request about a session: session.keepalive, session.close. Both
// answer an empty map.
type SessionRequest struct {
	Common
	Session [16]byte
}

// AppendSessionRequest appends the params of a request about a session.
func AppendSessionRequest(dst []byte, q *SessionRequest) []byte {
	w := beginParams(dst)
	w.bin(fieldSession, q.Session[:])
	w.common(q.Common)
	return w.end()
}

// DecodeSessionRequest reads the params of a request about a session.
func DecodeSessionRequest(params []byte, into *SessionRequest) error {
	*into = SessionRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldSession:
			q.session(&into.Session)
		default:
			q.common(f, &into.Common)
		}
	}
	q.require(fieldSession)
	return q.finish()
}

// PrefixRequest asks for a page of what has a name that begins with Prefix, in order of
// names: session.list, lock.list. Cursor aliases the params where decoded.
type PrefixRequest struct {
	Common
	Prefix string
	Cursor []byte // from the page before; empty at the start
	Limit  uint32 // entries, 1 to MaxList; 0 in a request that is encoded: the default
	// Stale takes what the answering node knows, without asking the group's leader.
	Stale bool
}

// AppendPrefixRequest appends the params of session.list and lock.list.
func AppendPrefixRequest(dst []byte, q *PrefixRequest) []byte {
	w := beginParams(dst)
	w.strIfSet(fieldPrefix, q.Prefix)
	w.binIfSet(fieldCursor, q.Cursor)
	if q.Limit != DefaultScanLimit {
		w.uintIfSet(fieldLimit, uint64(q.Limit))
	}
	w.boolIfSet(fieldStale, q.Stale)
	w.common(q.Common)
	return w.end()
}

// DecodePrefixRequest reads the params of session.list and lock.list.
func DecodePrefixRequest(params []byte, into *PrefixRequest) error {
	*into = PrefixRequest{Common: defaults(), Limit: DefaultScanLimit}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldPrefix:
			into.Prefix = q.text(MaxLockName)
		case fieldCursor:
			into.Cursor = q.bytes(MaxCursor)
		case fieldLimit:
			if into.Limit = uint32(q.uint(MaxList)); into.Limit == 0 {
				q.fail(invalid(q.field, "must be 1 to %d", MaxList))
			}
		case fieldStale:
			into.Stale = q.bool()
		default:
			q.common(f, &into.Common)
		}
	}
	return q.finish()
}

// SessionInfo is a session, as session.list shows it.
type SessionInfo struct {
	Session [16]byte
	Name    string
	Owner   kv.NodeID // the node through which it was opened
	TTLMS   uint32
	// Since is the index in the group's log at which it was opened: the group has no
	// clock, so this is its age.
	Since uint64
}

// minSession is the least that an encoded session takes: a map with its id.
const minSession = 1 + 8 + 17

// SessionListResult answers session.list.
type SessionListResult struct {
	Sessions []SessionInfo // in order of name, then id
	Cursor   []byte        // of the next page; empty at the end. Aliases the result where decoded
	Index    uint64        // of the group's log, up to which this node had applied it
}

// AppendSessionListResult appends the result of session.list.
func AppendSessionListResult(dst []byte, a *SessionListResult) []byte {
	w := beginMap(dst)
	w.array(fieldSessions, len(a.Sessions))
	for i := range a.Sessions {
		s := &a.Sessions[i]
		m := beginMap(w.dst)
		m.bin(fieldSession, s.Session[:])
		m.strIfSet(fieldName, s.Name)
		m.uint(fieldOwner, uint64(s.Owner))
		m.uint(fieldTTLMS, uint64(s.TTLMS))
		m.uint(fieldSince, s.Since)
		w.dst = m.end()
	}
	w.binIfSet(fieldCursor, a.Cursor)
	w.uint(fieldIndex, a.Index)
	return w.end()
}

// DecodeSessionListResult reads the result of session.list.
func DecodeSessionListResult(result []byte, into *SessionListResult) error {
	*into = SessionListResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldSessions:
			into.Sessions = elements(&r, r.array(minSession), (*reader).sessionInfo)
		case fieldCursor:
			into.Cursor = r.bytes(len(r.b))
		case fieldIndex:
			into.Index = r.uint64()
		default:
			r.skip()
		}
	}
	return r.finish()
}

func (r *reader) sessionInfo() (s SessionInfo) {
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldSession:
			r.fixed(s.Session[:])
		case fieldName:
			s.Name = r.text(MaxLockName)
		case fieldOwner:
			s.Owner = kv.NodeID(r.uint16())
		case fieldTTLMS:
			s.TTLMS = r.uint32()
		case fieldSince:
			s.Since = r.uint64()
		default:
			r.skip()
		}
	}
	return s
}
