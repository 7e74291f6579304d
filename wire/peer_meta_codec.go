// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// How many fields this release knows of each message of the group; arrays may be longer.
const (
	metaHelloFields    = 6
	outcomeFields      = 4
	metaStepFields     = 3
	snapshotPartFields = 6
)

func appendBins(dst []byte, list [][]byte) []byte {
	dst = appendArray(dst, len(list))
	for _, b := range list {
		dst = appendBin(dst, b)
	}
	return dst
}

// atMost is array, for a list of at most limit elements.
func (r *reader) atMost(limit, least int) int {
	n := r.array(least)
	if n > limit {
		why := fmt.Sprintf("%d elements, at most %d", n, limit)
		r.fail(&DecodeError{Code: CodeTooLarge, Field: r.field, Why: why})
		return 0
	}
	return n
}

// bins reads a list of byte strings, none of which is empty; they alias the input.
func (r *reader) bins(limit int) [][]byte {
	n := r.atMost(limit, 2)
	list := make([][]byte, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		b := r.bytes(len(r.b))
		if len(b) == 0 {
			r.fail(invalid(r.field, "an element is empty"))
		}
		list = append(list, b)
	}
	return list
}

func appendOutcome(dst []byte, o *MetaOutcome) []byte {
	dst = append(dst, 0x90|outcomeFields)
	dst = appendUint(dst, uint64(o.Code))
	dst = appendUint(dst, uint64(o.Leader))
	dst = appendUint(dst, o.Term)
	return appendStr(dst, o.Detail)
}

func (r *reader) outcome(o *MetaOutcome) {
	extra := r.tuple(outcomeFields)
	o.Code = r.metaCode()
	o.Leader = kv.NodeID(r.uint16())
	o.Term = r.uint64()
	o.Detail = r.text(len(r.b))
	r.extras(extra)
}

// metaCode reads how something ended. A code of a later release is the one that promises
// nothing: MetaUnknown.
func (r *reader) metaCode() MetaCode {
	c := MetaCode(r.uint8())
	if c < MetaOK || c > MetaUnknown {
		return MetaUnknown
	}
	return c
}

// AppendMetaHello appends the params, and the result, of meta.hello.
func AppendMetaHello(dst []byte, h *MetaHello) []byte {
	dst = append(dst, 0x90|metaHelloFields)
	dst = appendUint(dst, h.Raft)
	dst = appendUint(dst, h.For)
	dst = appendUint(dst, h.Term)
	dst = appendArray(dst, len(h.Open))
	for _, o := range h.Open {
		dst = appendUint(append(dst, 0x92), o.Seq)
		dst = appendUint(dst, o.Nonce)
	}
	dst = appendUint(dst, uint64(h.Verdict))
	return appendStr(dst, h.Detail)
}

// DecodeMetaHello reads the params, or the result, of meta.hello.
func DecodeMetaHello(b []byte, into *MetaHello) error {
	*into = MetaHello{}
	r := reader{b: b, field: "hello"}
	extra := r.tuple(metaHelloFields)
	into.Raft = r.uint64()
	into.For = r.uint64()
	into.Term = r.uint64()
	n := r.atMost(MaxOpens, 3)
	into.Open = make([]kv.Open, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		more := r.tuple(2)
		into.Open = append(into.Open, kv.Open{Seq: r.uint64(), Nonce: r.uint64()})
		r.extras(more)
	}
	into.Verdict = kv.Verdict(r.oneOf(0, uint8(kv.VerdictForked)))
	into.Detail = r.text(len(r.b))
	r.extras(extra)
	return r.finish()
}

// appendStateHash appends a hash: an index, and 32 bytes or nil.
func appendStateHash(dst []byte, h *StateHash) []byte {
	dst = appendUint(append(dst, 0x92), h.Index)
	if h.Index == 0 {
		return appendNil(dst)
	}
	return appendBin(dst, h.Hash[:])
}

func (r *reader) stateHash(h *StateHash) {
	extra := r.tuple(2)
	h.Index = r.uint64()
	switch {
	case h.Index != 0:
		r.fixed(h.Hash[:])
	case !r.isNil():
		r.fail(invalid(r.field, "a hash without an index"))
	}
	r.extras(extra)
}

// AppendMetaStepRequest appends the params of meta.step.
func AppendMetaStepRequest(dst []byte, q *MetaStepRequest) []byte {
	dst = appendUint(append(dst, 0x90|metaStepFields), q.Raft)
	dst = appendBins(dst, q.Messages)
	return appendStateHash(dst, &q.Hash)
}

// DecodeMetaStepRequest reads the params of meta.step. Slices alias b.
func DecodeMetaStepRequest(b []byte, into *MetaStepRequest) error {
	*into = MetaStepRequest{}
	r := reader{b: b, field: "step"}
	extra := r.tuple(metaStepFields)
	into.Raft = r.uint64()
	into.Messages = r.bins(MaxMetaMessages)
	r.stateHash(&into.Hash)
	r.extras(extra)
	return r.finish()
}

// AppendMetaStepReply appends the result of meta.step.
func AppendMetaStepReply(dst []byte, a *MetaStepReply) []byte {
	dst = appendBool(append(dst, 0x90|metaStepFields), a.Taken)
	dst = appendStateHash(dst, &a.Hash)
	return appendStr(dst, a.Detail)
}

// DecodeMetaStepReply reads the result of meta.step.
func DecodeMetaStepReply(b []byte, into *MetaStepReply) error {
	*into = MetaStepReply{}
	r := reader{b: b, field: "step"}
	extra := r.tuple(metaStepFields)
	into.Taken = r.bool()
	r.stateHash(&into.Hash)
	into.Detail = r.text(len(r.b))
	r.extras(extra)
	return r.finish()
}

func appendSnapshotPart(dst []byte, p *SnapshotPart) []byte {
	dst = append(dst, 0x90|snapshotPartFields)
	dst = appendUint(dst, p.Index)
	dst = appendUint(dst, p.Term)
	dst = appendUint(dst, p.Total)
	dst = appendUint(dst, p.Sum)
	dst = appendUint(dst, p.Offset)
	return appendBin(dst, p.Chunk)
}

// snapshotPart reads a piece of a snapshot, which lies inside the whole.
func (r *reader) snapshotPart(p *SnapshotPart) {
	extra := r.tuple(snapshotPartFields)
	p.Index = r.uint64()
	p.Term = r.uint64()
	p.Total = r.uint(MaxMetaSnapshot)
	p.Sum = r.uint64()
	p.Offset = r.uint(p.Total)
	p.Chunk = r.bytes(MaxMetaChunk)
	if r.err == nil && uint64(len(p.Chunk)) > p.Total-p.Offset {
		r.fail(invalid(r.field, "%d bytes at %d, beyond the %d of the snapshot",
			len(p.Chunk), p.Offset, p.Total))
	}
	r.extras(extra)
}

// AppendMetaSnapshotRequest appends the params of meta.snapshot.
func AppendMetaSnapshotRequest(dst []byte, q *MetaSnapshotRequest) []byte {
	return appendSnapshotPart(appendUint(append(dst, 0x92), q.Raft), &q.Part)
}

// DecodeMetaSnapshotRequest reads the params of meta.snapshot. Slices alias b.
func DecodeMetaSnapshotRequest(b []byte, into *MetaSnapshotRequest) error {
	*into = MetaSnapshotRequest{}
	r := reader{b: b, field: "snapshot"}
	extra := r.tuple(2)
	into.Raft = r.uint64()
	r.snapshotPart(&into.Part)
	if r.err == nil && into.Part.Index == 0 {
		r.fail(invalid(r.field, "the piece is of no snapshot"))
	}
	r.extras(extra)
	return r.finish()
}

// AppendMetaSnapshotReply appends the result of meta.snapshot.
func AppendMetaSnapshotReply(dst []byte, a *MetaSnapshotReply) []byte {
	return appendUint(appendOutcome(append(dst, 0x92), &a.MetaOutcome), a.Next)
}

// DecodeMetaSnapshotReply reads the result of meta.snapshot.
func DecodeMetaSnapshotReply(b []byte, into *MetaSnapshotReply) error {
	*into = MetaSnapshotReply{}
	r := reader{b: b, field: "snapshot"}
	extra := r.tuple(2)
	r.outcome(&into.MetaOutcome)
	into.Next = r.uint(MaxMetaSnapshot)
	r.extras(extra)
	return r.finish()
}
