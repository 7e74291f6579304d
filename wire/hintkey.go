// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Hints stand beside the objects of a partition, by the slot whose member lacks them:
//
//	'h' | partition (2) | slot (1) | bucket (4) | key                       a hint
//	'w' | partition (2) | slot (1) | bucket (4) | key | actor (8) | counter (8)
//	                                                                        a hint's version
//
// Their records are sealed as an object's and a version's are.
const (
	prefixHint        = 'h'
	prefixHintVersion = 'w'

	slotKeySize = partitionKeySize + 1
)

// AppendHintKey appends the key of a hint's record. With a part of a key it is the prefix
// of all keys that begin so.
func AppendHintKey(
	dst []byte, partition uint16, slot uint8, bucket kv.BucketID, key []byte,
) []byte {
	return appendHint(dst, prefixHint, partition, slot, bucket, key)
}

// AppendHintVersionKey appends the key of the record of one of a hint's versions.
func AppendHintVersionKey(
	dst []byte, partition uint16, slot uint8, bucket kv.BucketID, key []byte, d vclock.Dot,
) []byte {
	dst = appendHint(dst, prefixHintVersion, partition, slot, bucket, key)
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.Actor))
	return binary.BigEndian.AppendUint64(dst, d.Counter)
}

// AppendHintPartition appends the prefix of all hints of a partition.
func AppendHintPartition(dst []byte, partition uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, prefixHint), partition)
}

// AppendHintSlot appends the prefix of all hints of a partition's slot.
func AppendHintSlot(dst []byte, partition uint16, slot uint8) []byte {
	return append(AppendHintPartition(dst, partition), slot)
}

func appendHint(
	dst []byte, prefix byte, partition uint16, slot uint8, bucket kv.BucketID, key []byte,
) []byte {
	dst = append(binary.BigEndian.AppendUint16(append(dst, prefix), partition), slot)
	dst = binary.BigEndian.AppendUint32(dst, uint32(bucket))
	return append(dst, key...)
}

// HintKeyParts are the parts of a hint's key. Key aliases it.
type HintKeyParts struct {
	ObjectKeyParts
	Slot uint8
}

// ParseHintKey is the inverse of AppendHintKey. An empty key is refused.
func ParseHintKey(b []byte) (HintKeyParts, error) { return parseHint(b, prefixHint) }

// ParseHintVersionKey is the inverse of AppendHintVersionKey.
func ParseHintVersionKey(b []byte) (HintKeyParts, vclock.Dot, error) {
	at := len(b) - dotSize
	if at < slotKeySize {
		return HintKeyParts{}, vclock.Dot{}, fmt.Errorf("%w: %d bytes", ErrRecordKey, len(b))
	}
	parts, err := parseHint(b[:at:at], prefixHintVersion)
	d := vclock.Dot{
		Actor:   vclock.Actor(binary.BigEndian.Uint64(b[at:])),
		Counter: binary.BigEndian.Uint64(b[at+8:]),
	}
	return parts, d, err
}

func parseHint(b []byte, prefix byte) (HintKeyParts, error) {
	const head = slotKeySize + 4
	if len(b) <= head || b[0] != prefix {
		return HintKeyParts{}, fmt.Errorf("%w: %d bytes, expected %q", ErrRecordKey, len(b), prefix)
	}
	return HintKeyParts{
		ObjectKeyParts: ObjectKeyParts{
			Partition: binary.BigEndian.Uint16(b[1:]),
			Bucket:    kv.BucketID(binary.BigEndian.Uint32(b[slotKeySize:])),
			Key:       b[head:],
		},
		Slot: b[partitionKeySize],
	}, nil
}
