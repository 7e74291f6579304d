// SPDX-License-Identifier: Apache-2.0

package state

import (
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
)

func (r *reader) session() locks.SessionID { return r.id() }

func (r *reader) duration() time.Duration { return time.Duration(r.int()) }

func (r *reader) fence() kv.Fence { return kv.Fence(r.uint()) }

func (c SessionOpen) append(dst []byte) []byte {
	dst = append(dst, c.ID[:]...)
	dst = appendBytes(dst, c.Name)
	dst = appendUint(dst, c.Owner)
	return appendInt(dst, int64(c.TTL))
}

func (c SessionClose) append(dst []byte) []byte { return append(dst, c.ID[:]...) }

func (c SessionExpire) append(dst []byte) []byte {
	dst = appendUint(dst, c.Term)
	dst = appendUint(dst, len(c.IDs))
	for i := range c.IDs {
		dst = append(dst, c.IDs[i][:]...)
	}
	return dst
}

func readSessionExpire(r *reader) Command {
	c := SessionExpire{Term: r.uint()}
	if n := r.count(sizeID); n > 0 {
		c.IDs = make([]locks.SessionID, n)
	}
	for i := range c.IDs {
		c.IDs[i] = r.session()
	}
	return c
}

func (c Acquire) append(dst []byte) []byte {
	dst = append(dst, c.Session[:]...)
	dst = appendUint(dst, c.Holder)
	dst = appendUint(dst, c.DoneThrough)
	dst = appendBytes(dst, c.Name)
	dst = append(dst, byte(c.Kind))
	dst = appendUint(dst, c.Limit)
	dst = appendUint(dst, c.Permits)
	dst = appendBytes(dst, c.Value)
	dst = appendInt(dst, int64(c.Wait))
	return appendInt(dst, int64(c.Delay))
}

func readAcquire(r *reader) Command {
	return Acquire{
		Session: r.session(), Holder: r.uint(), DoneThrough: r.uint(), Name: r.text(),
		Kind: locks.Kind(r.byte()), Limit: r.uint32(), Permits: r.uint32(), Value: r.owned(),
		Wait: r.duration(), Delay: r.duration(),
	}
}

func (c Cancel) append(dst []byte) []byte { return appendAttempt(dst, c.Session, c.Holder, c.Name) }

func (c CancelWait) append(dst []byte) []byte {
	return appendAttempt(dst, c.Session, c.Holder, c.Name)
}

// appendAttempt appends what names one attempt at a lock.
func appendAttempt(dst []byte, session locks.SessionID, holder uint64, name string) []byte {
	dst = append(dst, session[:]...)
	dst = appendUint(dst, holder)
	return appendBytes(dst, name)
}

func (c Release) append(dst []byte) []byte {
	dst = appendAttempt(dst, c.Session, c.Holder, c.Name)
	return appendUint(dst, c.Fence)
}

func (c SetValue) append(dst []byte) []byte {
	dst = appendAttempt(dst, c.Session, c.Holder, c.Name)
	dst = appendUint(dst, c.Fence)
	dst = appendUint(dst, c.Revision)
	return appendBytes(dst, c.Value)
}

func (c ForceRelease) append(dst []byte) []byte {
	dst = appendBytes(dst, c.Name)
	dst = appendUint(dst, c.Fence)
	dst = appendBytes(dst, c.By)
	return appendBytes(dst, c.Reason)
}

func (c EndDelay) append(dst []byte) []byte {
	dst = appendBytes(dst, c.Name)
	return appendUint(dst, c.Delay)
}

// decodeLock reads the commands of sessions and locks.
func decodeLock(k kind, r *reader) Command {
	switch k {
	case kindSessionOpen:
		return SessionOpen{
			ID: r.session(), Name: r.text(), Owner: r.node(), TTL: r.duration(),
		}
	case kindSessionClose:
		return SessionClose{ID: r.session()}
	case kindSessionExpire:
		return readSessionExpire(r)
	case kindAcquire:
		return readAcquire(r)
	case kindCancel:
		return Cancel{Session: r.session(), Holder: r.uint(), Name: r.text()}
	case kindCancelWait:
		return CancelWait{Session: r.session(), Holder: r.uint(), Name: r.text()}
	case kindRelease:
		return Release{Session: r.session(), Holder: r.uint(), Name: r.text(), Fence: r.fence()}
	case kindSetValue:
		return SetValue{
			Session: r.session(), Holder: r.uint(), Name: r.text(), Fence: r.fence(),
			Revision: r.uint(), Value: r.owned(),
		}
	case kindForceRelease:
		return ForceRelease{Name: r.text(), Fence: r.fence(), By: r.text(), Reason: r.text()}
	default:
		return EndDelay{Name: r.text(), Delay: r.uint()}
	}
}
