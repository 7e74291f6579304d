// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/ring"
)

// Command is a change that the group may decide: one of the types of this package that
// have these methods. They are values.
type Command interface {
	// kind is the first byte of the encoding.
	kind() kind
	// append appends what follows kind and version.
	append(dst []byte) []byte
	// apply carries the command out.
	apply(s *State, at locks.At) Result
}

// Token says who proposed an entry, so that the proposer knows its own results again: a
// number of its own in each life of its raft state. The zero token belongs to nobody.
type Token struct {
	Raft RaftID
	Seq  uint64
}

// RegisterMember makes a node a member, under a number of its own, before it has stored
// anything.
//
// A name that is registered already is answered with its member. While the group has not
// accepted that member's store, the command replaces its zone, weight and addresses;
// afterwards it changes nothing. Whether the caller is that member, its identity record
// and OpenStore tell.
type RegisterMember struct {
	// Name is 1 to 128 of [A-Za-z0-9._-]; Zone at most 128 bytes of printable ASCII
	// without spaces.
	Name, Zone string
	// Weight is 1 to ring.MaxWeight.
	Weight    uint32
	Addresses Addresses
	// Expect and Replicas are what the node was told of the cluster; 0: nothing. Others
	// than the cluster's are refused.
	Expect, Replicas uint32
}

// OpenStore shows the openings of a member's store: all since the last confirmed one, that
// one included, oldest first. The answer is the verdict of kv.JudgeOpens.
//
// An accepted opening that is new is remembered, with the addresses of that process. A
// refused one that is new marks the member as refused; a late copy of a command that was
// judged before changes nothing. The last openings only are known again, 32 of each kind.
// An empty list is that of an empty directory: it is judged and changes nothing.
//
// The raft state in that directory is judged by the same rule against Member.RaftOpen.
type OpenStore struct {
	Node  kv.NodeID
	Opens []kv.Open
	// Addresses are the process's; with an empty Peer the remembered ones stay.
	Addresses Addresses
}

// AssignRaft gives a member a raft id, for a seat in the group. The raft state of the
// former id, if there is one, must be erased by whoever holds it.
//
// Previous must be the member's RaftLast, so that each id replaces one and the command
// repeated is answered with the id that it gave. For is the opening of the store that is
// to hold the raft state: the member's accepted one, or of a refused member the refused.
type AssignRaft struct {
	Node     kv.NodeID
	For      kv.Open
	Previous RaftID
}

// DropRaft takes a member's seat: that raft id is no more. An id that nobody has any more
// is no error.
type DropRaft struct {
	Raft RaftID
}

// FormRing makes the first ring of the members whose stores were accepted, and the bucket
// "default". It is refused until there are as many as the cluster expects. That enough of
// them vote is the caller's to see. In a cluster that is formed it changes nothing.
type FormRing struct{}

// ProposePlan stores a plan of moves. It is refused where ring.CheckPlan refuses it, and
// where a plan that is stored touches one of its partitions.
type ProposePlan struct {
	// Request is drawn by whoever proposes. The answers of the last 4,096 commands with a
	// request id are remembered, so that repeated they change nothing.
	Request kv.RequestID
	Moves   []ring.Move
}

// CommitPlan is not supported in this version.
type CommitPlan struct {
	Plan uint64
}

// MoveStep is not supported in this version.
type MoveStep struct {
	Plan uint64
	// Move is the place of the move in its plan.
	Move uint32
	Step ring.Step
}

// AbortPlan removes a plan, none of whose moves has begun in this version. A plan that is
// gone is no error.
type AbortPlan struct {
	Plan uint64
}

// NewInstance says that a member's store is lost, and begins a new life with the empty one
// whose opening is For: that is the accepted one from then on, and all before are refused.
// The store is being filled until FinishRefill, with all its partitions at one new
// placement version (docs/adr/0022). Before formation there is nothing to fill it with.
//
// Previous must be the member's instance, so that the command repeated is answered with the
// instance that it gave.
type NewInstance struct {
	Node     kv.NodeID
	Previous kv.Instance
	For      kv.Open
}

// AcceptLoss is an operator's word about the refill of a member's store: what the intact
// owners do not have is lost, and these owners are not waited for. It holds for that life
// of the store; words add up.
type AcceptLoss struct {
	Node     kv.NodeID
	Instance kv.Instance
	Without  []kv.NodeID
}

// FinishRefill ends the refill of a member's store, if ring.Refill.Finish allows it: Open
// is the opening that is full, Fence and Sources are those of ring.Filled. One that is over
// is no error.
type FinishRefill struct {
	Node     kv.NodeID
	Instance kv.Instance
	Open     kv.Open
	Fence    kv.PlacementVersion
	Sources  []ring.Source
}

// PurgeEpoch issues an epoch for a purge round of a partition that begins (package
// antientropy). After must be the one that is committed, and Placement the partition's, all
// of whose slots are at rest (TRAPS G7). Of the rounds that have begun the last one may be
// committed, and none before it.
type PurgeEpoch struct {
	// Request is as that of ProposePlan; a round draws one.
	Request   kv.RequestID
	Partition uint16
	Placement kv.PlacementVersion
	After     kv.PurgeEpoch
}

// PurgeCommit commits the epoch of a round in which all owners have confirmed. One that is
// committed already is no error. Placement is as in PurgeEpoch.
type PurgeCommit struct {
	Partition uint16
	Placement kv.PlacementVersion
	Epoch     kv.PurgeEpoch
}

// BucketCreate makes a bucket. Its ID is the group's to choose; N 0 is the cluster's
// replicas, and levels that are not set are those of the bucket "default". The name of a
// deleted bucket may be used again: it is another bucket.
type BucketCreate struct {
	// Request is as that of ProposePlan.
	Request kv.RequestID
	Bucket  kv.Bucket
}

// BucketUpdate changes properties of the bucket of a name.
type BucketUpdate struct {
	// Request is as that of ProposePlan.
	Request kv.RequestID
	Name    string
	// ID must be the bucket's, or 0.
	ID kv.BucketID
	// Levels that are not set stay as they are.
	R, W, PR, PW kv.Level
	// Sloppy and TTL stay as they are unless they are to be set.
	SetSloppy, Sloppy bool
	SetTTL            bool
	TTL               int64
}

// BucketDelete deletes the bucket of a name. Its id is never used again.
type BucketDelete struct {
	// Request is as that of ProposePlan.
	Request kv.RequestID
	Name    string
	// ID must be the bucket's, or 0.
	ID kv.BucketID
}

// GenerationBump begins the generation after Previous: the group was recovered from a
// copy that may lack the end of its log. A group that is past it already does nothing.
type GenerationBump struct {
	Previous kv.Generation
}

// VersionSet raises the version of the group's commands: every member is known to run a
// release that understands it. One that does not stops at this entry. A lower version
// changes nothing.
type VersionSet struct {
	Version uint32
}

// The commands of sessions and locks are those of package locks; their answer stands in
// Result.Lock. state.Acquire(c) makes one of a locks.Acquire.
type (
	SessionOpen   locks.SessionOpen
	SessionClose  locks.SessionClose
	SessionExpire locks.SessionExpire
	Acquire       locks.Acquire
	Cancel        locks.Cancel
	CancelWait    locks.CancelWait
	Release       locks.Release
	SetValue      locks.SetValue
	ForceRelease  locks.ForceRelease
	EndDelay      locks.EndDelay
)
