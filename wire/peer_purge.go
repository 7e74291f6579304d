// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Methods of the peer port by which tombstones are purged (package antientropy). All four
// have the same request and the same reply.
const (
	// MethodPurgeLook asks whether a node could drain now.
	MethodPurgeLook = "purge.look"
	// MethodPurgeConfirm asks an owner which items it holds exactly so, durably, and has it
	// record the round.
	MethodPurgeConfirm = "purge.confirm"
	// MethodPurgeAdopt has a node adopt an epoch that is committed, and asks whether it has
	// drained.
	MethodPurgeAdopt = "purge.adopt"
	// MethodPurgeDelete has an owner refuse what is older, and delete the items that it still
	// holds exactly so.
	MethodPurgeDelete = "purge.delete"
)

// PurgeRequest is a step of a purge round.
type PurgeRequest struct {
	Partition uint16
	// Placement is the round's: a node that knows another one takes no part (TRAPS G7).
	Placement kv.PlacementVersion
	// Instance is the receiver's, as the sender knows it.
	Instance kv.Instance
	// RemainingMS is how long the sender will wait, in milliseconds.
	RemainingMS uint32
	After       kv.PurgeEpoch // what was committed when the round began
	Epoch       kv.PurgeEpoch // the round's
	Items       []PurgeItem   // of purge.confirm and purge.delete; at most MaxList
}

// PurgeItem is a key, and the hash of what is to be purged of it (package antientropy).
type PurgeItem struct {
	TreePlace
	Hash uint64
}

// PurgeStep is how a node stands to the step that it was asked to take.
type PurgeStep uint8

const (
	// PurgeRefused: the reply's code says why.
	PurgeRefused PurgeStep = iota
	// PurgeTaken: the step is taken, durably.
	PurgeTaken
	// PurgeOpen: it will be, when what the node has under way is done. Ask again.
	PurgeOpen
	// PurgeOver: there is a newer round.
	PurgeOver
	// PurgeBehind: the node lacks an earlier step.
	PurgeBehind
	// PurgeMissed: the node has lost what it confirmed; it is not ready.
	PurgeMissed
)

// PurgeReply answers a PurgeRequest.
type PurgeReply struct {
	Standing
	Code   ReplicaCode
	Detail string
	Step   PurgeStep
	// Holds says of each item of purge.confirm whether the node holds exactly that.
	Holds []bool
}

// How many fields this release knows of each message; arrays may be longer.
const (
	purgeTargetFields = 4
	purgeFields       = 4
	purgeReplyFields  = 5
	purgeItemFields   = 2
)

// AppendPurgeRequest appends the params of a step.
func AppendPurgeRequest(dst []byte, q *PurgeRequest) []byte {
	dst = append(dst, 0x90|purgeFields, 0x90|purgeTargetFields)
	dst = appendUint(dst, uint64(q.Partition))
	dst = appendUint(dst, uint64(q.Placement))
	dst = appendUint(dst, uint64(q.Instance))
	dst = appendUint(dst, uint64(q.RemainingMS))
	dst = appendUint(dst, uint64(q.After))
	dst = appendUint(dst, uint64(q.Epoch))
	dst = appendArray(dst, len(q.Items))
	for i := range q.Items {
		dst = appendTreePlace(append(dst, 0x90|purgeItemFields), &q.Items[i].TreePlace)
		dst = appendUint(dst, q.Items[i].Hash)
	}
	return dst
}

// minPurgeItem is the least that an encoded item takes: its array, a place with a key of no
// byte, and a small hash.
const minPurgeItem = 1 + (1 + 1 + 1) + 1

// DecodePurgeRequest reads the params of a step. Slices alias b.
func DecodePurgeRequest(b []byte, into *PurgeRequest) error {
	*into = PurgeRequest{}
	r := reader{b: b, field: "purge"}
	extra := r.tuple(purgeFields)
	r.field = "target"
	more := r.tuple(purgeTargetFields)
	into.Partition = r.uint16()
	into.Placement = kv.PlacementVersion(r.uint64())
	into.Instance = kv.Instance(r.uint64())
	into.RemainingMS = r.uint32()
	r.extras(more)
	r.field = "epochs"
	into.After, into.Epoch = kv.PurgeEpoch(r.uint64()), kv.PurgeEpoch(r.uint64())
	r.field = "items"
	into.Items = elements(&r, r.atMost(MaxList, minPurgeItem), (*reader).purgeItem)
	r.extras(extra)
	return r.finish()
}

func (r *reader) purgeItem() (i PurgeItem) {
	extra := r.tuple(purgeItemFields)
	i.TreePlace = r.treePlace()
	i.Hash = r.uint64()
	r.extras(extra)
	return i
}

// AppendPurgeReply appends the result of a step.
func AppendPurgeReply(dst []byte, a *PurgeReply) []byte {
	dst = appendStanding(append(dst, 0x90|purgeReplyFields), &a.Standing)
	dst = appendUint(dst, uint64(a.Code))
	dst = appendStr(dst, a.Detail)
	dst = appendUint(dst, uint64(a.Step))
	dst = appendArray(dst, len(a.Holds))
	for _, holds := range a.Holds {
		dst = appendBool(dst, holds)
	}
	return dst
}

// DecodePurgeReply reads the result of a step.
func DecodePurgeReply(b []byte, into *PurgeReply) error {
	*into = PurgeReply{}
	r := reader{b: b, field: "purge"}
	extra := r.tuple(purgeReplyFields)
	r.standing(&into.Standing)
	into.Code = r.replicaCode()
	into.Detail = r.text(len(r.b))
	r.field = "step"
	into.Step = PurgeStep(r.oneOf(uint8(PurgeRefused), uint8(PurgeMissed)))
	r.field = "holds"
	into.Holds = elements(&r, r.atMost(MaxList, 1), (*reader).bool)
	r.extras(extra)
	return r.finish()
}
