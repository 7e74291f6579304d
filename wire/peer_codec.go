// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Messages between peers are arrays of their fields in order, a Target and a Standing
// being arrays of their own. A later release appends fields; this one skips what it does
// not know, and refuses what is shorter than what it knows.
const (
	helloFields    = 8
	targetFields   = 7
	standingFields = 5
)

// AppendPeerHello appends the params, and the result, of peer.hello.
func AppendPeerHello(dst []byte, h *PeerHello) []byte {
	dst = append(dst, 0x90|helloFields)
	dst = appendUint(dst, uint64(h.Min))
	dst = appendUint(dst, uint64(h.Max))
	dst = appendBin(dst, h.Cluster[:])
	dst = appendUint(dst, uint64(h.Node))
	dst = appendUint(dst, uint64(h.Instance))
	dst = appendUint(dst, h.OpenSeq)
	dst = appendUint(dst, h.Nonce)
	dst = appendArray(dst, len(h.Features))
	for _, f := range h.Features {
		dst = appendStr(dst, f)
	}
	return dst
}

// DecodePeerHello reads the params, or the result, of peer.hello.
func DecodePeerHello(b []byte, into *PeerHello) error {
	*into = PeerHello{}
	r := reader{b: b, field: "hello"}
	extra := r.tuple(helloFields)
	into.Min = r.uint32()
	into.Max = r.uint32()
	r.fixed(into.Cluster[:])
	into.Node = kv.NodeID(r.uint16())
	into.Instance = kv.Instance(r.uint64())
	into.OpenSeq = r.uint64()
	into.Nonce = r.uint64()
	into.Features = r.texts()
	if r.err == nil && into.Min > into.Max {
		r.fail(invalid(r.field, "versions %d to %d", into.Min, into.Max))
	}
	r.extras(extra)
	return r.finish()
}

// AppendPeerPing appends the params, and the result, of peer.ping: an empty array.
func AppendPeerPing(dst []byte) []byte { return append(dst, 0x90) }

// DecodePeerPing reads the params, or the result, of peer.ping.
func DecodePeerPing(b []byte) error {
	r := reader{b: b, field: "ping"}
	r.extras(r.tuple(0))
	return r.finish()
}

func appendTarget(dst []byte, t *Target) []byte {
	dst = append(dst, 0x90|targetFields)
	dst = appendUint(dst, uint64(t.Bucket))
	dst = appendUint(dst, uint64(t.Partition))
	dst = appendBin(dst, t.Key)
	dst = appendUint(dst, uint64(t.Slot))
	dst = appendUint(dst, uint64(t.Placement))
	dst = appendUint(dst, uint64(t.Instance))
	return appendUint(dst, uint64(t.RemainingMS))
}

// target reads a target whose key has at least leastKey bytes.
func (r *reader) target(t *Target, leastKey int) {
	r.field = "target"
	extra := r.tuple(targetFields)
	t.Bucket = kv.BucketID(r.uint32())
	t.Partition = r.uint16()
	t.Key = r.bytes(kv.MaxKey)
	if r.err == nil && len(t.Key) < leastKey {
		r.fail(invalid(r.field, "the key is empty"))
	}
	t.Slot = r.uint8()
	t.Placement = kv.PlacementVersion(r.uint64())
	t.Instance = kv.Instance(r.uint64())
	t.RemainingMS = r.uint32()
	r.extras(extra)
}

func appendStanding(dst []byte, s *Standing) []byte {
	dst = append(dst, 0x90|standingFields)
	dst = appendUint(dst, uint64(s.Role))
	dst = appendUint(dst, uint64(s.Placement))
	dst = appendUint(dst, uint64(s.Instance))
	dst = appendBool(dst, s.Confirmed)
	return appendUint(dst, uint64(s.Epoch))
}

func (r *reader) standing(s *Standing) {
	r.field = "standing"
	extra := r.tuple(standingFields)
	s.Role = r.role()
	s.Placement = kv.PlacementVersion(r.uint64())
	s.Instance = kv.Instance(r.uint64())
	s.Confirmed = r.bool()
	s.Epoch = kv.PurgeEpoch(r.uint64())
	r.extras(extra)
}

func (r *reader) role() kv.Role {
	return kv.Role(r.oneOf(uint8(kv.RoleOwner), uint8(kv.RoleNotOwner)))
}

func (r *reader) mode() ReadMode { return ReadMode(r.oneOf(uint8(ReadFull), uint8(ReadBare))) }

func (r *reader) class() kv.Class {
	return kv.Class(r.oneOf(uint8(kv.ClassClientWrite), uint8(kv.ClassReplicated)))
}

// oneOf reads a number from first to last.
func (r *reader) oneOf(first, last uint8) uint8 {
	n := r.uint8()
	if r.err == nil && (n < first || n > last) {
		r.fail(invalid(r.field, "%d, must be %d to %d", n, first, last))
		return 0
	}
	return n
}

// replicaCode reads how a replica's work ended. A code of a later release is the one
// that promises nothing: ReplicaFailed.
func (r *reader) replicaCode() ReplicaCode {
	c := ReplicaCode(r.uint8())
	if c < ReplicaOK || c > ReplicaNotComparable {
		return ReplicaFailed
	}
	return c
}

// AppendForwardRequest appends the params of coordinator.forward.
func AppendForwardRequest(dst []byte, q *ForwardRequest) []byte {
	dst = appendStr(append(dst, 0x93), q.Method)
	dst = appendUint(dst, uint64(q.RemainingMS))
	return appendBin(dst, q.Params)
}

// DecodeForwardRequest reads the params of coordinator.forward; Params alias b.
func DecodeForwardRequest(b []byte, into *ForwardRequest) error {
	*into = ForwardRequest{}
	r := reader{b: b, field: "forward"}
	extra := r.tuple(3)
	switch method := r.bytes(MaxName); string(method) {
	case MethodPut:
		into.Method = MethodPut
	case MethodDelete:
		into.Method = MethodDelete
	default:
		r.fail(invalid(r.field, "%s is not forwarded", quoted(method)))
	}
	into.RemainingMS = r.uint32()
	into.Params = r.bytes(len(r.b))
	r.extras(extra)
	return r.finish()
}

// AppendForwardReply appends the result of coordinator.forward.
func AppendForwardReply(dst []byte, a *ForwardReply) []byte {
	dst = appendStr(append(dst, 0x92), a.Error)
	return appendBin(dst, a.Result)
}

// DecodeForwardReply reads the result of coordinator.forward; Result aliases b.
func DecodeForwardReply(b []byte, into *ForwardReply) error {
	*into = ForwardReply{}
	r := reader{b: b, field: "forward"}
	extra := r.tuple(2)
	into.Error = r.text(len(r.b))
	into.Result = r.bytes(len(r.b))
	r.extras(extra)
	return r.finish()
}
