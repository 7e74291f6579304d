// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// MethodHandoffStatus asks a member what it keeps for others, and how far it is with it.
const MethodHandoffStatus = "handoff.status"

// HandoffStatusRequest asks a node for its HandoffStatusReply. To mark is to part what is
// under way from what will be: the answer has the mark, and later ones tell when all that
// is older is over.
type HandoffStatusRequest struct {
	MarkSends bool // calls that this node's coordinator has open
	MarkHints bool // hints and markers that it keeps
}

// HandoffMark is a mark, and the newest one that has been reached.
type HandoffMark struct {
	Mark  uint64 // that was asked for, or the newest
	Ended uint64
}

// HandoffBacklog is what a node keeps for one member.
type HandoffBacklog struct {
	Node    kv.NodeID
	Hints   uint64
	Markers uint64
	Damaged uint64 // hints that can not be read
	Bytes   uint64
	// Oldest is the time of the oldest version in a hint, in Unix milliseconds; 0: there is
	// none.
	Oldest int64
}

// HandoffStatusReply is what a node keeps for others. Marks are of one process, which Open
// names: the next one begins anew.
type HandoffStatusReply struct {
	Open         kv.Open
	Sends, Hints HandoffMark
	// Counted: the numbers hold what earlier processes have left, too.
	Counted bool
	Bytes   uint64
	Limit   uint64
	// Since the process began: hints and markers that were delivered, and bytes sent for
	// them; hints that there was no room for; markers that were left to anti-entropy.
	Delivered, Sent, Refused, Unkept uint64
	Backlog                          []HandoffBacklog // in order of Node
}

// How many fields this release knows of each message; arrays may be longer.
const (
	handoffRequestFields = 2
	handoffReplyFields   = 11
	handoffMarkFields    = 2
	handoffOpenFields    = 2
	handoffBacklogFields = 6

	minHandoffBacklog = 1 + handoffBacklogFields
)

// AppendHandoffStatusRequest appends the params of handoff.status.
func AppendHandoffStatusRequest(dst []byte, q *HandoffStatusRequest) []byte {
	dst = appendBool(append(dst, 0x90|handoffRequestFields), q.MarkSends)
	return appendBool(dst, q.MarkHints)
}

// DecodeHandoffStatusRequest reads the params of handoff.status.
func DecodeHandoffStatusRequest(b []byte, into *HandoffStatusRequest) error {
	*into = HandoffStatusRequest{}
	r := reader{b: b, field: "handoff"}
	extra := r.tuple(handoffRequestFields)
	into.MarkSends, into.MarkHints = r.bool(), r.bool()
	r.extras(extra)
	return r.finish()
}

// AppendHandoffStatusReply appends the result of handoff.status.
func AppendHandoffStatusReply(dst []byte, a *HandoffStatusReply) []byte {
	dst = append(dst, 0x90|handoffReplyFields, 0x90|handoffOpenFields)
	dst = appendUint(appendUint(dst, a.Open.Seq), a.Open.Nonce)
	for _, m := range [...]HandoffMark{a.Sends, a.Hints} {
		dst = append(dst, 0x90|handoffMarkFields)
		dst = appendUint(appendUint(dst, m.Mark), m.Ended)
	}
	dst = appendBool(dst, a.Counted)
	for _, n := range [...]uint64{a.Bytes, a.Limit, a.Delivered, a.Sent, a.Refused, a.Unkept} {
		dst = appendUint(dst, n)
	}
	dst = appendArray(dst, len(a.Backlog))
	for i := range a.Backlog {
		b := &a.Backlog[i]
		dst = append(dst, 0x90|handoffBacklogFields)
		for _, n := range [...]uint64{
			uint64(b.Node), b.Hints, b.Markers, b.Damaged, b.Bytes, uint64(max(0, b.Oldest)),
		} {
			dst = appendUint(dst, n)
		}
	}
	return dst
}

// DecodeHandoffStatusReply reads the result of handoff.status.
func DecodeHandoffStatusReply(b []byte, into *HandoffStatusReply) error {
	*into = HandoffStatusReply{}
	r := reader{b: b, field: "handoff"}
	extra := r.tuple(handoffReplyFields)
	open := r.tuple(handoffOpenFields)
	into.Open.Seq, into.Open.Nonce = r.uint64(), r.uint64()
	r.extras(open)
	into.Sends, into.Hints = r.handoffMark(), r.handoffMark()
	into.Counted = r.bool()
	for _, n := range [...]*uint64{
		&into.Bytes, &into.Limit, &into.Delivered, &into.Sent, &into.Refused, &into.Unkept,
	} {
		*n = r.uint64()
	}
	into.Backlog = elements(&r, r.array(minHandoffBacklog), (*reader).handoffBacklog)
	r.extras(extra)
	return r.finish()
}

func (r *reader) handoffMark() (m HandoffMark) {
	extra := r.tuple(handoffMarkFields)
	m.Mark, m.Ended = r.uint64(), r.uint64()
	r.extras(extra)
	return m
}

func (r *reader) handoffBacklog() (b HandoffBacklog) {
	r.field = "backlog"
	extra := r.tuple(handoffBacklogFields)
	b.Node = kv.NodeID(r.uint16())
	for _, n := range [...]*uint64{&b.Hints, &b.Markers, &b.Damaged, &b.Bytes} {
		*n = r.uint64()
	}
	b.Oldest = r.milli()
	r.extras(extra)
	return b
}
