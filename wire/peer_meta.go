// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// Methods of the peer port by which the members of the metadata group talk. They pass
// bounds of their own, so that data never stands in their way.
const (
	MethodMetaHello     = "meta.hello"
	MethodMetaStep      = "meta.step"
	MethodMetaSnapshot  = "meta.snapshot"
	MethodMetaPropose   = "meta.propose"
	MethodMetaReadIndex = "meta.read_index"
	MethodMetaRenew     = "meta.renew"
	MethodMetaTail      = "meta.tail"
	MethodMetaView      = "meta.view"
)

// MetaPrefix begins the names of all of them.
const MetaPrefix = "meta."

// Bounds of messages of the metadata group.
const (
	// MaxMetaMessages is how many raft messages a meta.step carries.
	MaxMetaMessages = 1024
	// MaxMetaCommands is how many commands a meta.propose carries, as many as the leader
	// puts into an entry.
	MaxMetaCommands = 256
	// MaxMetaRenewals is how many sessions a meta.renew keeps alive.
	MaxMetaRenewals = 8192
	// MaxMetaEntries is how many entries a meta.tail answers with.
	MaxMetaEntries = 4096
	// MaxMetaVoters is how many seats a meta.tail names.
	MaxMetaVoters = 64
	// MaxMetaChunk is the longest piece of a snapshot that one message carries.
	MaxMetaChunk = 1 << 20
	// MaxMetaSnapshot is the longest snapshot: twice what the state is held to.
	MaxMetaSnapshot = 128 << 20
)

// MetaCode is how what was asked of a member of the group ended.
type MetaCode uint8

const (
	// MetaOK: done.
	MetaOK MetaCode = 1 + iota
	// MetaNotLeader: this member does not lead, and did nothing. The outcome's Leader may
	// know who does.
	MetaNotLeader
	// MetaNoSeat: this member has no seat, or no log to read from, and did nothing.
	MetaNoSeat
	// MetaDropped: certainly nothing was proposed: too much is under way, or the leader is
	// about to change.
	MetaDropped
	// MetaExpired: the time was over before anything was done.
	MetaExpired
	// MetaRefused: what was asked can not be; Detail says why. Nothing was done.
	MetaRefused
	// MetaUnknown: it was proposed, and may or may not come to pass.
	MetaUnknown
)

// MetaOutcome begins each answer of a member of the group but those to hello and step.
type MetaOutcome struct {
	Code   MetaCode
	Leader kv.NodeID // a hint: who leads, as far as the answering member knows; 0: unknown
	Term   uint64    // of the answering member; 0 where it has no seat
	Detail string    // for people; empty where Code is MetaOK
}

// MetaHello is the first call of a connection between seats of the group, and its answer.
// Who gets one compares it with what it remembers of that raft id before it takes any
// other message (ARCHITECTURE 8). Beside that members look after each other with it:
//
//	Raft and no For         a seat asks a member, which may have none, for its verdict
//	neither                 a member asks which seat this is: the answer shows it
//	Verdict, For, no Raft   a member has refused the receiver, seat For
type MetaHello struct {
	Raft uint64 // of the sender's seat; 0: a client of the group
	For  uint64 // the raft id that the sender takes the receiver for; 0: none
	Term uint64 // of the sender's hard state
	// Open are all openings of the sender's store under its raft id. With a verdict that
	// refuses it is the one that the refused store does not show, if there is one.
	Open []kv.Open
	// Verdict is what one member makes of the other's openings; 0 where it only shows its
	// own.
	Verdict kv.Verdict
	Detail  string // for people, where Verdict refuses
}

// StateHash is the hash of the applied state at an index of the log.
type StateHash struct {
	Index uint64 // 0: none
	Hash  [32]byte
}

// MetaStepRequest carries messages of raft, each as the library marshals it, in their
// order. They alias the message where decoded.
type MetaStepRequest struct {
	Raft     uint64 // of the sender
	Messages [][]byte
	Hash     StateHash // of the sender, for the receiver to compare with its own
}

// MetaStepReply answers a MetaStepRequest: the messages were taken in, or Detail says why
// not. That says nothing of what raft makes of them.
type MetaStepReply struct {
	Taken  bool
	Hash   StateHash // the newest of the receiver; none where it has none
	Detail string
}

// SnapshotPart is a piece of a snapshot of the state. Chunk aliases the message where
// decoded.
type SnapshotPart struct {
	Index, Term uint64 // of the last command in the snapshot; Index 0: no part
	Total       uint64 // bytes of the whole, at most MaxMetaSnapshot
	Sum         uint64 // xxhash64, seed 0, of the whole
	Offset      uint64 // of Chunk
	Chunk       []byte // at most MaxMetaChunk
}

// MetaSnapshotRequest gives a member a piece of a snapshot, before the message of raft
// that makes it install the whole.
type MetaSnapshotRequest struct {
	Raft uint64 // of the sender
	Part SnapshotPart
}

// MetaSnapshotReply answers a MetaSnapshotRequest.
type MetaSnapshotReply struct {
	MetaOutcome
	Next uint64 // the offset that the receiver wants; the total where it has everything
}

// MetaProposeRequest hands encoded commands to the leader. They alias the message where
// decoded.
type MetaProposeRequest struct {
	RemainingMS uint32
	Commands    [][]byte
}

// MetaProposeReply answers a MetaProposeRequest, once the commands are applied.
type MetaProposeReply struct {
	MetaOutcome
	Index   uint64   // of the entry with the last of the commands
	Results [][]byte // encoded, one for each command, in their order
}

// MetaReadIndexRequest asks the leader for an index that a linearizable read needs.
type MetaReadIndexRequest struct {
	RemainingMS uint32
}

// MetaReadIndexReply answers a MetaReadIndexRequest, once a quorum has confirmed the
// leader after the request arrived.
type MetaReadIndexReply struct {
	MetaOutcome
	Index uint64
}

// MetaRenewRequest keeps sessions alive.
type MetaRenewRequest struct {
	RemainingMS uint32
	Sessions    [][16]byte
}

// MetaRenewReply answers a MetaRenewRequest, once a quorum has confirmed the leader after
// the request arrived.
type MetaRenewReply struct {
	MetaOutcome
	// Renewed says of each session, in their order, whether it lives on for its whole time
	// to live. One that is not is ending, or has ended.
	Renewed []bool
	Index   uint64 // of the log; who has applied it knows which of the others have ended
}

// MetaTailRequest asks a member with a seat for what was committed after an index. It
// waits for news until its time is over.
type MetaTailRequest struct {
	After       uint64
	Term        uint64        // of the entry After, as the sender has applied it; 0: not told
	Generation  kv.Generation // of the sender's state
	RemainingMS uint32
	Bytes       uint32 // about how many the answer may have
	// Snapshot and Offset ask for the next piece of a snapshot that was begun; 0: none.
	Snapshot, Offset uint64
}

// MetaEntry is a committed entry of the log. Data aliases the message where decoded.
type MetaEntry struct {
	Index, Term uint64
	Data        []byte // empty: the entry changes nothing in the state
}

// MetaTailReply answers a MetaTailRequest: with entries, or with a piece of a snapshot
// where the log no longer begins early enough, or with neither where nothing is new.
type MetaTailReply struct {
	MetaOutcome
	Generation kv.Generation
	Committed  uint64      // the last that the answering member has applied
	Entries    []MetaEntry // without gaps, the first of index After+1
	Part       SnapshotPart
	Voters     []uint64 // the raft ids of the seats that vote, in order
	// Raft is the answering seat, 0 for a client of the group, and Open the present opening
	// of its store: who tails it looks whether it knows a later one.
	Raft uint64
	Open kv.Open
}

// MetaViewRequest asks a member for its view of ring and buckets, where that is newer
// than the one of the sender.
type MetaViewRequest struct {
	Version uint64 // of the sender's view; 0: it has none
}

// MetaViewReply answers a MetaViewRequest.
type MetaViewReply struct {
	Version uint64 // of the answering member's view
	View    []byte // encoded; empty where it is not newer. Aliases the message where decoded
}
