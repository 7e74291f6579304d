// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Methods of the peer port. docs/peer-protocol.md has their byte tables.
const (
	MethodPeerHello = "peer.hello"
	MethodPeerPing  = "peer.ping"
	MethodStore     = "replica.store"
	MethodRead      = "replica.read"
	MethodScan      = "replica.scan"
	MethodForward   = "coordinator.forward"
)

// PeerVersionMin and PeerVersionMax bound the peer protocol's versions that this
// build speaks; two nodes use the highest that both know. One release back is
// always among them.
const (
	PeerVersionMin = 1
	PeerVersionMax = 1
)

// PeerHello opens a peer connection. Its answer is a PeerHello too, with Min and Max
// both set to the version that the connection will use.
type PeerHello struct {
	Min, Max uint32
	Cluster  [16]byte
	Node     kv.NodeID
	Instance kv.Instance
	// OpenSeq and Nonce name the sender's present open of its store, so that a
	// rolled-back or forked one is found out (ARCHITECTURE 6).
	OpenSeq  uint64
	Nonce    uint64
	Features []string
}

// Target says which replica of which key a message is for, and by which view of the
// world. Every data message between peers begins with one.
type Target struct {
	Bucket    kv.BucketID
	Partition uint16
	Key       []byte
	// Slot is the index of the slot that the message is for; for a fallback, the slot
	// whose owner it stands in for.
	Slot uint8
	// Placement is the partition's version in the sender's ring.
	Placement kv.PlacementVersion
	// Instance is the receiver's, as the sender knows it.
	Instance kv.Instance
	// RemainingMS is how long the sender will wait, in milliseconds; work that comes to
	// its turn later is dropped.
	RemainingMS uint32
}

// StoreRequest asks a replica to merge an object into its own, durably.
type StoreRequest struct {
	Target
	Role    kv.Role // what the sender takes the receiver for: RoleOwner or RoleFallback
	Class   kv.Class
	Epoch   kv.PurgeEpoch // of the read behind the object
	Request kv.RequestID
	Object  kv.Object
	// Raw is Object encoded. A decoded request has it, aliasing the message, so that an
	// object that dominates the stored one is kept as it came; a request that is encoded
	// with it spares the encoding, which must be that of Object.
	Raw []byte
}

// Standing is what a replica states of itself in every reply; quorums count this.
type Standing struct {
	Role      kv.Role
	Placement kv.PlacementVersion
	Instance  kv.Instance
	Confirmed bool // the group has confirmed this open of the store
	Epoch     kv.PurgeEpoch
}

// ReplicaCode is how a replica's work ended.
type ReplicaCode uint8

const (
	// ReplicaOK: stored durably, or read.
	ReplicaOK ReplicaCode = 1 + iota
	// ReplicaRefused: certainly nothing was stored; Detail says why.
	ReplicaRefused
	// ReplicaExpired: the deadline had passed before the work began; nothing stored.
	ReplicaExpired
	// ReplicaOverloaded: a queue was full; nothing stored.
	ReplicaOverloaded
	// ReplicaStaleEpoch: the data was read under an older purge epoch than Standing's;
	// nothing stored. Read again, send again.
	ReplicaStaleEpoch
	// ReplicaUnreadable: the record is damaged; nothing stored, nothing known.
	ReplicaUnreadable
	// ReplicaFailed: an error from which it is unknown whether the object was stored.
	ReplicaFailed
	// ReplicaShuttingDown: draining; nothing stored.
	ReplicaShuttingDown
	// ReplicaFenced: a higher fence is promised for the key; nothing stored.
	ReplicaFenced
	// ReplicaNoBucket: the group has deleted the bucket; nothing stored, nothing shown.
	ReplicaNoBucket
	// ReplicaNotComparable: the tree is being built, or is another one than was asked for;
	// nothing is told of it.
	ReplicaNotComparable
)

// StoreReply answers a StoreRequest.
type StoreReply struct {
	Standing
	Code   ReplicaCode
	Detail string // for people; empty where Code is ReplicaOK
}

// ReadMode is how much of an object a read wants.
type ReadMode uint8

const (
	// ReadFull: the object with its values.
	ReadFull ReadMode = 1 + iota
	// ReadBare: context, dots, checksums and sizes without values; serves as digest.
	ReadBare
)

// ReadRequest asks a replica for its copy of a key.
type ReadRequest struct {
	Target
	Mode ReadMode
}

// ReadReply answers a ReadRequest. A key that the replica knows nothing of has the
// zero Object.
type ReadReply struct {
	Standing
	Code   ReplicaCode
	Detail string
	Object kv.Object
	Raw    []byte // as in StoreRequest
}

// ScanRequest asks a replica for a page of its keys of one bucket and partition, in
// order, after a key.
type ScanRequest struct {
	Target // Key is the last key of the page before, empty at the start
	Prefix []byte
	Limit  uint32 // keys, at most 1,024
	Bytes  uint32 // about how many bytes of objects the page may have
	Mode   ReadMode
}

// ScanEntry is one key of a page.
type ScanEntry struct {
	Key    []byte
	Object kv.Object
	Raw    []byte // as in StoreRequest
}

// ScanReply answers a ScanRequest. Where More is false the partition has no further
// key of that bucket and prefix at this replica.
type ScanReply struct {
	Standing
	Code    ReplicaCode
	Detail  string
	Entries []ScanEntry
	More    bool
}

// ForwardRequest hands a client's put or delete to an owner, who coordinates it and
// never forwards it again (TRAPS C10). The answer is the client's answer.
type ForwardRequest struct {
	Method      string // MethodPut or MethodDelete
	RemainingMS uint32
	Params      []byte // the request map, encoded as from a client
}

// ForwardReply carries the owner's answer: an error string of the client protocol,
// or an encoded result.
type ForwardReply struct {
	Error  string
	Result []byte
}
