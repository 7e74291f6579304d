// SPDX-License-Identifier: Apache-2.0

package wire

import "github.com/dyno-kv/dyno/kv"

// MethodFence is a method of the peer port.
const MethodFence = "replica.fence"

// FenceRequest asks an owner to refuse, from then on and durably, whatever is stamped below
// Since, in each partition that it shares with Node, whose store is being filled
// (docs/adr/0022).
type FenceRequest struct {
	Node kv.NodeID
	// Life is the instance that Node's store has since then.
	Life  kv.Instance
	Since kv.PlacementVersion
	// Instance is the receiver's, as the sender knows it.
	Instance kv.Instance
	// RemainingMS is how long the sender will wait, in milliseconds.
	RemainingMS uint32
}

// FenceReply answers a FenceRequest. ReplicaOK: all that was taken in before is durable and
// can be read, and nothing older is taken in or answered any more.
type FenceReply struct {
	// Instance is the life of the store that answers.
	Instance kv.Instance
	Code     ReplicaCode
	Detail   string
}

// How many fields this release knows of each message; arrays may be longer.
const (
	fenceFields      = 5
	fenceReplyFields = 3
)

// AppendFenceRequest appends the params of replica.fence.
func AppendFenceRequest(dst []byte, q *FenceRequest) []byte {
	dst = append(dst, 0x90|fenceFields)
	dst = appendUint(dst, uint64(q.Node))
	dst = appendUint(dst, uint64(q.Life))
	dst = appendUint(dst, uint64(q.Since))
	dst = appendUint(dst, uint64(q.Instance))
	return appendUint(dst, uint64(q.RemainingMS))
}

// DecodeFenceRequest reads the params of replica.fence.
func DecodeFenceRequest(b []byte, into *FenceRequest) error {
	r := reader{b: b, field: "fence"}
	extra := r.tuple(fenceFields)
	*into = FenceRequest{
		Node: kv.NodeID(r.uint16()), Life: kv.Instance(r.uint64()),
		Since: kv.PlacementVersion(r.uint64()), Instance: kv.Instance(r.uint64()),
		RemainingMS: r.uint32(),
	}
	r.extras(extra)
	return r.finish()
}

// AppendFenceReply appends the result of replica.fence.
func AppendFenceReply(dst []byte, a *FenceReply) []byte {
	dst = appendUint(append(dst, 0x90|fenceReplyFields), uint64(a.Instance))
	dst = appendUint(dst, uint64(a.Code))
	return appendStr(dst, a.Detail)
}

// DecodeFenceReply reads the result of replica.fence.
func DecodeFenceReply(b []byte, into *FenceReply) error {
	r := reader{b: b, field: "fence"}
	extra := r.tuple(fenceReplyFields)
	*into = FenceReply{
		Instance: kv.Instance(r.uint64()), Code: r.replicaCode(), Detail: r.text(len(b)),
	}
	r.extras(extra)
	return r.finish()
}
