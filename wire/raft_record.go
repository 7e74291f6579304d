// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// RaftState is where the raft log of a seat stands: one record, so that every step of the
// log is one change of it. What the log holds beyond it was never written, or is no more.
type RaftState struct {
	Raft           uint64 // the raft id; 0: the store has no seat
	Epoch          uint64 // of the keys of the log's entries: a new one begins an empty log
	Term, Vote     uint64
	Commit         uint64 // at least so much is committed
	Base, BaseTerm uint64 // the entry before the first that is kept
	Last           uint64 // the newest entry; Base where there is none
}

// RaftEntry is one entry of a raft log. Data aliases the record where decoded.
type RaftEntry struct {
	Term uint64
	Kind uint8 // as raft numbers them
	Data []byte
}

// RaftOpens are the openings of a store since it has its raft id, oldest first, at most
// MaxOpens: by them the other seats know that it has forgotten nothing (ARCHITECTURE 8).
type RaftOpens struct {
	Raft uint64
	List []kv.Open
	// Refused: this seat was found to be rolled back or copied when it was the only voter;
	// it takes no part under this raft id any more.
	Refused bool
}

// RaftPeer is the newest opening that was heard of under a raft id.
type RaftPeer struct {
	Raft uint64
	Open kv.Open
}

// SnapshotHead is what a snapshot of the group's state is made of.
type SnapshotHead struct {
	ID          uint64 // of its parts
	Index, Term uint64 // of the last entry in it
	Size, Sum   uint64 // bytes, and their xxhash64
	Parts       uint64
	// The seats as of that entry, each list in order.
	Voters, Learners, Outgoing, LearnersNext []uint64
	AutoLeave                                bool
}

const (
	raftStateFields = 8
	raftEntryFields = 3
	raftOpensFields = 2 // and Refused, which older records do not have
	raftPeerFields  = 3
	snapshotFields  = 11
	// maxRaftIDs bounds the lists of raft ids in a record.
	maxRaftIDs = 1024
)

// RaftEntryKey is the key of an entry's record; keys sort as their numbers.
func RaftEntryKey(epoch, index uint64) string {
	return fmt.Sprintf("%s%016x/%016x", PrefixRaftLog, epoch, index)
}

// RaftLogPrefix begins the keys of all entries of an epoch.
func RaftLogPrefix(epoch uint64) string { return fmt.Sprintf("%s%016x/", PrefixRaftLog, epoch) }

// ParseRaftEntryKey is the inverse of RaftEntryKey.
func ParseRaftEntryKey(key string) (epoch, index uint64, err error) {
	n, err := fmt.Sscanf(key, PrefixRaftLog+"%16x/%16x", &epoch, &index)
	if err != nil || n != 2 || key != RaftEntryKey(epoch, index) {
		return 0, 0, fmt.Errorf("%w: %q", ErrRecordKey, key)
	}
	return epoch, index, nil
}

// SnapshotPartKey is the key of a part of the snapshot of an id.
func SnapshotPartKey(id, part uint64) string {
	return fmt.Sprintf("%s%016x/%08x", PrefixSnapshotPart, id, part)
}

// ParseSnapshotPartKey is the inverse of SnapshotPartKey.
func ParseSnapshotPartKey(key string) (id, part uint64, err error) {
	n, err := fmt.Sscanf(key, PrefixSnapshotPart+"%16x/%8x", &id, &part)
	if err != nil || n != 2 || key != SnapshotPartKey(id, part) {
		return 0, 0, fmt.Errorf("%w: %q", ErrRecordKey, key)
	}
	return id, part, nil
}

// AppendRaftStateRecord appends the record that stands under KeyRaftState.
func AppendRaftStateRecord(dst []byte, s *RaftState) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|raftStateFields)
	for _, n := range [...]uint64{
		s.Raft, s.Epoch, s.Term, s.Vote, s.Commit, s.Base, s.BaseTerm, s.Last,
	} {
		dst = appendUint(dst, n)
	}
	SealRecord(dst[start:], FormatRaftState, []byte(KeyRaftState))
	return dst
}

// DecodeRaftStateRecord reads the record that stands under KeyRaftState. It returns
// ErrRecord for anything else.
func DecodeRaftStateRecord(rec []byte) (s RaftState, err error) {
	r, err := openControl(FormatRaftState, KeyRaftState, rec)
	if err != nil {
		return RaftState{}, err
	}
	extra := r.tuple(raftStateFields)
	for _, n := range [...]*uint64{
		&s.Raft, &s.Epoch, &s.Term, &s.Vote, &s.Commit, &s.Base, &s.BaseTerm, &s.Last,
	} {
		*n = r.uint64()
	}
	if r.err == nil && (s.Last < s.Base || s.Commit < s.Base || s.Commit > s.Last) {
		r.fail(invalid(r.field, "entries %d to %d, of which %d are committed", s.Base, s.Last,
			s.Commit))
	}
	r.extras(extra)
	return s, r.record()
}

// AppendRaftEntryRecord appends the record that stands under key, one of RaftEntryKey.
func AppendRaftEntryRecord(dst []byte, key string, e *RaftEntry) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|raftEntryFields)
	dst = appendUint(dst, e.Term)
	dst = appendUint(dst, uint64(e.Kind))
	dst = appendBin(dst, e.Data)
	SealRecord(dst[start:], FormatRaftEntry, []byte(key))
	return dst
}

// DecodeRaftEntryRecord reads the record that stands under key. It returns ErrRecord for
// anything else.
func DecodeRaftEntryRecord(key string, rec []byte) (e RaftEntry, err error) {
	r, err := openControl(FormatRaftEntry, key, rec)
	if err != nil {
		return RaftEntry{}, err
	}
	extra := r.tuple(raftEntryFields)
	e.Term = r.uint64()
	e.Kind = r.uint8()
	e.Data = r.bytes(len(r.b))
	r.extras(extra)
	return e, r.record()
}

// AppendRaftOpensRecord appends the record that stands under KeyRaftOpens.
func AppendRaftOpensRecord(dst []byte, o *RaftOpens) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|raftOpensFields+1)
	dst = appendUint(dst, o.Raft)
	dst = appendArray(dst, len(o.List))
	for _, open := range o.List {
		dst = appendUint(append(dst, 0x90|openFields), open.Seq)
		dst = appendUint(dst, open.Nonce)
	}
	dst = appendBool(dst, o.Refused)
	SealRecord(dst[start:], FormatRaftOpens, []byte(KeyRaftOpens))
	return dst
}

// DecodeRaftOpensRecord reads the record that stands under KeyRaftOpens. It returns
// ErrRecord for anything else.
func DecodeRaftOpensRecord(rec []byte) (o RaftOpens, err error) {
	r, err := openControl(FormatRaftOpens, KeyRaftOpens, rec)
	if err != nil {
		return RaftOpens{}, err
	}
	extra := r.tuple(raftOpensFields)
	o.Raft = r.uint64()
	o.List = make([]kv.Open, r.array(1+openFields))
	for i := range o.List {
		more := r.tuple(openFields)
		o.List[i] = kv.Open{Seq: r.uint64(), Nonce: r.uint64()}
		r.extras(more)
		if r.err == nil && i > 0 && o.List[i-1].Seq >= o.List[i].Seq {
			r.fail(invalid(r.field, "openings are out of order"))
		}
		if r.err != nil {
			break
		}
	}
	if extra > 0 {
		o.Refused = r.bool()
		extra--
	}
	r.extras(extra)
	return o, r.record()
}

// AppendRaftPeersRecord appends the record that stands under KeyRaftPeers.
func AppendRaftPeersRecord(dst []byte, peers []RaftPeer) []byte {
	start := len(dst)
	dst = appendArray(beginRecord(dst), len(peers))
	for _, p := range peers {
		dst = appendUint(append(dst, 0x90|raftPeerFields), p.Raft)
		dst = appendUint(dst, p.Open.Seq)
		dst = appendUint(dst, p.Open.Nonce)
	}
	SealRecord(dst[start:], FormatRaftPeers, []byte(KeyRaftPeers))
	return dst
}

// DecodeRaftPeersRecord reads the record that stands under KeyRaftPeers. It returns
// ErrRecord for anything else.
func DecodeRaftPeersRecord(rec []byte) ([]RaftPeer, error) {
	r, err := openControl(FormatRaftPeers, KeyRaftPeers, rec)
	if err != nil {
		return nil, err
	}
	peers := make([]RaftPeer, r.array(1+raftPeerFields))
	for i := range peers {
		more := r.tuple(raftPeerFields)
		peers[i] = RaftPeer{Raft: r.uint64(), Open: kv.Open{Seq: r.uint64(), Nonce: r.uint64()}}
		r.extras(more)
		if r.err != nil {
			break
		}
	}
	return peers, r.record()
}

// AppendSnapshotHeadRecord appends the record that stands under KeySnapshot.
func AppendSnapshotHeadRecord(dst []byte, h *SnapshotHead) []byte {
	start := len(dst)
	dst = append(beginRecord(dst), 0x90|snapshotFields)
	for _, n := range [...]uint64{h.ID, h.Index, h.Term, h.Size, h.Sum, h.Parts} {
		dst = appendUint(dst, n)
	}
	for _, list := range [...][]uint64{h.Voters, h.Learners, h.Outgoing, h.LearnersNext} {
		dst = appendArray(dst, len(list))
		for _, id := range list {
			dst = appendUint(dst, id)
		}
	}
	dst = appendBool(dst, h.AutoLeave)
	SealRecord(dst[start:], FormatSnapshotHead, []byte(KeySnapshot))
	return dst
}

// DecodeSnapshotHeadRecord reads the record that stands under KeySnapshot. It returns
// ErrRecord for anything else.
func DecodeSnapshotHeadRecord(rec []byte) (h SnapshotHead, err error) {
	r, err := openControl(FormatSnapshotHead, KeySnapshot, rec)
	if err != nil {
		return SnapshotHead{}, err
	}
	extra := r.tuple(snapshotFields)
	for _, n := range [...]*uint64{&h.ID, &h.Index, &h.Term, &h.Size, &h.Sum, &h.Parts} {
		*n = r.uint64()
	}
	for _, list := range [...]*[]uint64{&h.Voters, &h.Learners, &h.Outgoing, &h.LearnersNext} {
		for n := r.atMost(maxRaftIDs, 1); n > 0 && r.err == nil; n-- {
			*list = append(*list, r.uint64())
		}
	}
	h.AutoLeave = r.bool()
	r.extras(extra)
	return h, r.record()
}

// AppendSnapshotPartRecord appends the record of a part that stands under key, one of
// SnapshotPartKey.
func AppendSnapshotPartRecord(dst []byte, key string, part []byte) []byte {
	return AppendRecord(dst, FormatSnapshotPart, []byte(key), part)
}

// DecodeSnapshotPartRecord reads the record of a part; what it returns aliases rec. It
// returns ErrRecord for anything else.
func DecodeSnapshotPartRecord(key string, rec []byte) ([]byte, error) {
	return openAs(FormatSnapshotPart, []byte(key), rec)
}
