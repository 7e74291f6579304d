// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"iter"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// What the group tells of locks and sessions.
type (
	// LockInfo is a lock, with those who hold it and those who wait.
	LockInfo = wire.LockInfo
	// LockHolder is one of the former.
	LockHolder = wire.LockHolder
	// LockWaiter is one of the latter.
	LockWaiter = wire.LockWaiter
	// LockKind is how a lock is held.
	LockKind = wire.LockKind
	// SessionInfo is a session.
	SessionInfo = wire.SessionInfo
)

// The kinds of locks; a later release may have others.
const (
	LockExclusive = wire.LockExclusive
	LockShared    = wire.LockShared
)

// Lock tells who holds a lock and who waits for it; of a free one all but the name is
// zero. The answer may be old when it is read: what matters is [Held.Fence]. Options:
// [WithStale], [WithTimeout], [WithTrace], [WithEndpoint].
func (c *Client) Lock(ctx context.Context, name string, opts ...Option) (LockInfo, error) {
	var o options
	why := o.fold(opts, optAny|optStale)
	if why == "" && (name == "" || len(name) > wire.MaxLockName) {
		why = "the name of a lock has 1 to 255 bytes"
	}
	if why != "" {
		return LockInfo{}, invalidName(wire.MethodLockGet, name, why)
	}
	q := c.groupCall(ctx, wire.MethodLockGet, wire.OpRead, name, &o)
	q.encode = func(dst []byte) []byte {
		return wire.AppendLockGetRequest(dst, &wire.LockGetRequest{
			Common: o.common(q), Name: name, Stale: o.stale,
		})
	}
	got, err := ask(ctx, c, q, wire.DecodeLockGetResult)
	return got.LockInfo, err
}

// Locks walks over the locks that are held or waited for and whose names begin with
// prefix, in order of their names. They are asked for page by page, each as of its own
// moment. The walk ends with the first error. Options: [WithStale], [WithLimit] (of a
// page), [WithTimeout] (of a page), [WithTrace], [WithEndpoint].
func (c *Client) Locks(
	ctx context.Context, prefix string, opts ...Option,
) iter.Seq2[LockInfo, error] {
	return walk(ctx, c, wire.MethodLockList, prefix, opts, wire.DecodeLockListResult,
		func(page *wire.LockListResult) ([]LockInfo, []byte) { return page.Locks, page.Cursor })
}

// Sessions walks over the sessions whose names begin with prefix, in order of their names,
// as [Client.Locks] does over locks.
func (c *Client) Sessions(
	ctx context.Context, prefix string, opts ...Option,
) iter.Seq2[SessionInfo, error] {
	return walk(ctx, c, wire.MethodSessionList, prefix, opts, wire.DecodeSessionListResult,
		func(page *wire.SessionListResult) ([]SessionInfo, []byte) {
			return page.Sessions, page.Cursor
		})
}

// walk goes over what comes page by page.
func walk[Page, Item any](
	ctx context.Context, c *Client, method, prefix string, opts []Option,
	decode func(result []byte, into *Page) error, open func(*Page) ([]Item, []byte),
) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var none Item
		var o options
		why := o.fold(opts, optList)
		if why == "" && len(prefix) > wire.MaxLockName {
			why = "a prefix has at most 255 bytes"
		}
		if why != "" {
			yield(none, invalidName(method, prefix, why))
			return
		}
		for cursor := []byte(nil); ; {
			q := c.groupCall(ctx, method, wire.OpRead, prefix, &o)
			q.encode = func(dst []byte) []byte {
				return wire.AppendPrefixRequest(dst, &wire.PrefixRequest{
					Common: o.common(q), Prefix: prefix, Cursor: cursor, Limit: o.limit,
					Stale: o.stale,
				})
			}
			page, err := ask(ctx, c, q, decode)
			if err != nil {
				yield(none, err)
				return
			}
			items, next := open(&page)
			for i := range items {
				if !yield(items[i], nil) {
					return
				}
			}
			if len(next) == 0 {
				return
			}
			cursor = next
		}
	}
}

// ForceRelease takes a lock from the holder whose grant has the fence, without asking it,
// and reports whether that grant was held still. The holder is not told: only what checks
// fences keeps it from going on. reason is for people; at most 255 bytes.
func (c *Client) ForceRelease(
	ctx context.Context, name string, fence uint64, reason string, opts ...Option,
) (released bool, err error) {
	var o options
	why := o.fold(opts, optAny)
	switch {
	case why != "":
	case name == "" || len(name) > wire.MaxLockName:
		why = "the name of a lock has 1 to 255 bytes"
	case fence == 0:
		why = "0 is no fence"
	case len(reason) > wire.MaxReason:
		why = "a reason has at most 255 bytes"
	}
	if why != "" {
		return false, invalidName(wire.MethodLockForceRelease, name, why)
	}
	q := c.groupCall(ctx, wire.MethodLockForceRelease, wire.OpWrite, name, &o)
	q.encode = func(dst []byte) []byte {
		return wire.AppendLockForceReleaseRequest(dst, &wire.LockForceReleaseRequest{
			Common: o.common(q), Name: name, Fence: kv.Fence(fence), Reason: reason,
		})
	}
	got, err := ask(ctx, c, q, wire.DecodeLockReleaseResult)
	// Where an earlier attempt may have been carried out, it was that one.
	return err == nil && (got.Released || q.unknown), err
}

// groupCall is a request that the metadata group answers.
func (c *Client) groupCall(
	ctx context.Context, method string, op wire.Op, name string, o *options,
) *call {
	return &call{
		method: method, op: op, name: name, again: true, group: true, endpoint: o.endpoint,
		deadline: c.deadline(ctx, o),
	}
}

// common are the options that every request has.
func (o *options) common(q *call) wire.Common {
	return wire.Common{TimeoutMS: q.timeoutMS, Trace: o.trace}
}
