// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Keys of records, integers big-endian so that they sort as numbers:
//
//	'o' | partition (2) | bucket (4) | key                                  an object
//	'v' | partition (2) | bucket (4) | key | actor (8) | counter (8)        a version
//	'j' | sequence (8)                                                      a journal batch
//	's'                                                                     the stamp mark
//
// 'h' and 'w' are hints (hintkey.go). Control records stand in a store of their own, under
// the names below.
const (
	prefixObject  = 'o'
	prefixVersion = 'v'
	prefixJournal = 'j'
	prefixStamp   = 's'
)

// Keys of control records.
const (
	KeyIdentity  = "identity"
	KeyOpens     = "opens"
	KeyCleanMark = "clean-mark"
	KeyRaftState = "raft/state"
	KeyRaftOpens = "raft/opens"
	KeyRaftPeers = "raft/peers"
	KeySnapshot  = "raft/snapshot"
	KeyRaftView  = "raft/view"
)

// PrefixRaftLog begins the keys of RaftEntryKey, PrefixSnapshotPart those of
// SnapshotPartKey.
const (
	PrefixRaftLog      = "raft/log/"
	PrefixSnapshotPart = "raft/part/"
)

const (
	partitionKeySize = 1 + 2
	bucketKeySize    = partitionKeySize + 4
	dotSize          = 8 + 8
	journalKeySize   = 1 + 8
)

// ErrRecordKey is returned for bytes that are no key of the kind asked for.
var ErrRecordKey = errors.New("wire: not such a record key")

// AppendObjectKey appends the key of an object's record. With a part of a key it is the
// prefix of all keys that begin so.
func AppendObjectKey(dst []byte, partition uint16, bucket kv.BucketID, key []byte) []byte {
	return appendKey(dst, prefixObject, partition, bucket, key)
}

// AppendVersionKey appends the key of a version's record.
func AppendVersionKey(
	dst []byte, partition uint16, bucket kv.BucketID, key []byte, d vclock.Dot,
) []byte {
	dst = appendKey(dst, prefixVersion, partition, bucket, key)
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.Actor))
	return binary.BigEndian.AppendUint64(dst, d.Counter)
}

// AppendObjectPartition appends the prefix of all objects of a partition.
func AppendObjectPartition(dst []byte, partition uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, prefixObject), partition)
}

// AppendVersionPartition appends the prefix of all version records of a partition.
func AppendVersionPartition(dst []byte, partition uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, prefixVersion), partition)
}

// AppendJournalKey appends the key of a journal batch.
func AppendJournalKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefixJournal), seq)
}

// AppendJournalPrefix appends the prefix of all journal batches.
func AppendJournalPrefix(dst []byte) []byte { return append(dst, prefixJournal) }

// AppendStampMarkKey appends the key of the store's stamp mark.
func AppendStampMarkKey(dst []byte) []byte { return append(dst, prefixStamp) }

func appendKey(
	dst []byte, prefix byte, partition uint16, bucket kv.BucketID, key []byte,
) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, prefix), partition)
	dst = binary.BigEndian.AppendUint32(dst, uint32(bucket))
	return append(dst, key...)
}

// PrefixEnd is the least key above all keys that begin with prefix, nil where there is
// none.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// ObjectKeyParts are the parts of a record's key. Key aliases it.
type ObjectKeyParts struct {
	Partition uint16
	Bucket    kv.BucketID
	Key       []byte
}

// ParseObjectKey is the inverse of AppendObjectKey. An empty key is refused.
func ParseObjectKey(b []byte) (ObjectKeyParts, error) {
	return parseKey(b, prefixObject)
}

// ParseVersionKey is the inverse of AppendVersionKey.
func ParseVersionKey(b []byte) (ObjectKeyParts, vclock.Dot, error) {
	at := len(b) - dotSize
	if at < bucketKeySize {
		return ObjectKeyParts{}, vclock.Dot{}, fmt.Errorf("%w: %d bytes", ErrRecordKey, len(b))
	}
	parts, err := parseKey(b[:at:at], prefixVersion)
	d := vclock.Dot{
		Actor:   vclock.Actor(binary.BigEndian.Uint64(b[at:])),
		Counter: binary.BigEndian.Uint64(b[at+8:]),
	}
	return parts, d, err
}

func parseKey(b []byte, prefix byte) (ObjectKeyParts, error) {
	if len(b) <= bucketKeySize || b[0] != prefix {
		return ObjectKeyParts{}, fmt.Errorf("%w: %d bytes, expected %q", ErrRecordKey, len(b), prefix)
	}
	return ObjectKeyParts{
		Partition: binary.BigEndian.Uint16(b[1:]),
		Bucket:    kv.BucketID(binary.BigEndian.Uint32(b[partitionKeySize:])),
		Key:       b[bucketKeySize:],
	}, nil
}

// ParseJournalKey is the inverse of AppendJournalKey.
func ParseJournalKey(b []byte) (uint64, error) {
	if len(b) != journalKeySize || b[0] != prefixJournal {
		return 0, fmt.Errorf("%w: %d bytes, expected %q", ErrRecordKey, len(b), prefixJournal)
	}
	return binary.BigEndian.Uint64(b[1:]), nil
}
