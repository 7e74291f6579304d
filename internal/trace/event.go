// SPDX-License-Identifier: Apache-2.0

package trace

import "fmt"

// Kind says what happened.
type Kind uint8

// The kinds, with the fields that each fills beside Emitter, Bucket, Partition and Key.
const (
	// DotMinted: a version got its dot. Actor, Counter, Request.
	DotMinted Kind = 1 + iota
	// Applied: a copy was merged into a store's overlay. Actor and Counter of its newest
	// dot.
	Applied
	// Synced: the commit that holds a version is durable: one event for each version of
	// the object. Actor, Counter; Value is the timestamp of the commit, or of the store
	// where an operation was answered that found the object durable and changed nothing.
	Synced
	// Acknowledged: a client's put or delete is about to be answered with success, also
	// where an earlier try of the request was given the dot. Actor, Counter, Request;
	// Need is how many nodes had to have it, Value how many of them have said so.
	Acknowledged
	// HintStored: a hint is durable. Slot, Peer it is for, Actor, Counter of the newest
	// version that came; Covers is what the hint covers now, all of it.
	HintStored
	// HintSent: a hint is on its way. Slot, Peer, Actor, Counter.
	HintSent
	// HintDeleted: a hint is gone, after the receiver's durable answer. Slot, Peer,
	// Actor, Counter.
	HintDeleted
	// FenceSet: an owner refuses everything older from now on, durably. Partition, Value is
	// the placement version.
	FenceSet
	// PhaseCommitted: a store entered a phase of its life, as the group has committed. Value is
	// the instance, Counter the phase.
	PhaseCommitted
	// LockGranted: a holder got a lock. Value is the fence, Request the session.
	LockGranted
	// LockExpired: a holder lost it. Value is the fence, Request the session.
	LockExpired
	// PurgeConfirmed: this owner recorded a purge round. Value is the epoch.
	PurgeConfirmed
	// ReadAnswered: a client's read is about to be answered. Value is how many replicas
	// stand behind it; Counter how many versions it holds.
	ReadAnswered
	// Covered: what the durable object of a key covers, all of it: dots that it holds, and
	// dots whose versions are gone. Covers; Value as in Synced, whose events come before.
	// One key's events of one store come in the order of its commits.
	Covered
	// Removed: an object is durably gone from a store. Value as in Covered, among whose events
	// it comes in order; Counter is how many values the object had.
	Removed
	// EntryStored: a seat of the metadata group has an entry of its log durably. Value is the
	// index, Counter the term.
	EntryStored
	// EntryCommitted: a seat takes an entry for committed. Value is the index, Counter the
	// term; Need is how many seats must have it durably, at least.
	EntryCommitted
	// PartitionCopied: all that another owner held of a partition is durable in a store that
	// is being filled. Partition, Peer is that owner, Value the placement version that it is
	// fenced at, Counter the instance of the store.
	PartitionCopied
	// RefillReported: a store is about to be reported as full. Value is the placement version
	// that it has fenced itself at, Counter its instance.
	RefillReported
)

// The phases of a store's life.
const (
	// PhaseFilling: its data was lost, and is being copied from the other owners.
	PhaseFilling uint64 = 1 + iota
	// PhaseFull: it has been proven to have what it must have.
	PhaseFull
)

var kindNames = [...]string{
	DotMinted: "dot-minted", Applied: "applied", Synced: "synced",
	Acknowledged: "acknowledged", HintStored: "hint-stored", HintSent: "hint-sent",
	HintDeleted: "hint-deleted", FenceSet: "fence-set", PhaseCommitted: "phase-committed",
	LockGranted: "lock-granted", LockExpired: "lock-expired",
	PurgeConfirmed: "purge-confirmed", ReadAnswered: "read-answered",
	Covered: "covered", Removed: "removed", EntryStored: "entry-stored",
	EntryCommitted: "entry-committed", PartitionCopied: "partition-copied",
	RefillReported: "refill-reported",
}

func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Event is one thing that happened. Fields that its kind does not fill are zero.
type Event struct {
	Kind      Kind
	Emitter   uint16 // number of the node that speaks; the tracer fills it
	Peer      uint16 // number of the other node
	Bucket    uint32
	Partition uint32
	Slot      uint8
	Actor     uint64 // of the dot
	Counter   uint64 // of the dot
	Value     uint64
	Need      uint16
	Key       []byte // lent for the call
	Request   []byte // request id or session; lent for the call
	Covers    []Dots // lent for the call
}

// Dots are all dots of an actor up to a counter, or the one with it alone.
type Dots struct {
	Actor, Counter uint64
	Alone          bool
}

// Sink takes events. It is called from many goroutines, holds none of them up, and
// never calls back into the node.
type Sink interface {
	Take(Event)
}

// Tracer hands the events of one node to a sink. A nil *Tracer drops them.
type Tracer struct {
	node uint16
	sink Sink
}

// New returns a tracer of the node with this number, or nil where the sink is nil.
func New(node uint16, sink Sink) *Tracer {
	if sink == nil {
		return nil
	}
	return &Tracer{node: node, sink: sink}
}

// Enabled reports whether somebody listens. Ask before working out an event that
// costs something.
func (t *Tracer) Enabled() bool { return t != nil }

// Node is the number under which the tracer, which is not nil, speaks.
func (t *Tracer) Node() uint16 { return t.node }

// Emit hands an event to the sink, under the tracer's node number. It is small enough
// to be inlined where the tracer is nil.
func (t *Tracer) Emit(e Event) {
	if t != nil {
		t.emit(&e)
	}
}

func (t *Tracer) emit(e *Event) {
	e.Emitter = t.node
	t.sink.Take(*e)
}
