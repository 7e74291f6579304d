// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"cmp"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// TestHintKeysSortByPartitionSlotBucketAndKey: a delivery goes through the hints of a slot
// in this order, and goes on where it was broken off.
func TestHintKeysSortByPartitionSlotBucketAndKey(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(t *rapid.T) HintKeyParts {
		return HintKeyParts{
			ObjectKeyParts: ObjectKeyParts{
				Partition: rapid.Uint16Range(255, 257).Draw(t, "partition"),
				Bucket:    kv.BucketID(rapid.Uint32Range(255, 257).Draw(t, "bucket")),
				Key:       drawBytes(t, "key", 1, 4),
			},
			Slot: rapid.Uint8Range(0, 2).Draw(t, "slot"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		x := AppendHintKey(nil, a.Partition, a.Slot, a.Bucket, a.Key)
		y := AppendHintKey(nil, b.Partition, b.Slot, b.Bucket, b.Key)
		want := cmp.Or(
			cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Slot, b.Slot),
			cmp.Compare(a.Bucket, b.Bucket), bytes.Compare(a.Key, b.Key))
		if got := bytes.Compare(x, y); got != want {
			t.Fatalf("%x and %x compare as %d, want %d", x, y, got, want)
		}
		got, err := ParseHintKey(x)
		if err != nil || got.Partition != a.Partition || got.Slot != a.Slot ||
			got.Bucket != a.Bucket || !bytes.Equal(got.Key, a.Key) {
			t.Fatalf("got %v %v", got, err)
		}
		d := drawDot(t)
		version := AppendHintVersionKey(nil, a.Partition, a.Slot, a.Bucket, a.Key, d)
		got, gotDot, err := ParseHintVersionKey(version)
		if err != nil || got.Slot != a.Slot || !bytes.Equal(got.Key, a.Key) || gotDot != d {
			t.Fatalf("got %v %v %v", got, gotDot, err)
		}
		if inside := bytes.HasPrefix(x, AppendHintSlot(nil, b.Partition, b.Slot)); inside !=
			(a.Partition == b.Partition && a.Slot == b.Slot) {
			t.Fatalf("%x in slot %d of partition %d: %v", x, b.Slot, b.Partition, inside)
		}
		if inside := bytes.HasPrefix(x, AppendHintPartition(nil, b.Partition)); inside !=
			(a.Partition == b.Partition) {
			t.Fatalf("%x in partition %d: %v", x, b.Partition, inside)
		}
	})
}

// TestHintsAreNoObjects: what a fallback keeps is never read as what an owner holds.
func TestHintsAreNoObjects(t *testing.T) {
	t.Parallel()
	d := vclock.Dot{Actor: 1, Counter: 1}
	object, version := AppendObjectKey(nil, 1, 1, []byte("k")), AppendVersionKey(nil, 1, 1, []byte("k"), d)
	hint := AppendHintKey(nil, 1, 1, 1, []byte("k"))
	hintVersion := AppendHintVersionKey(nil, 1, 1, 1, []byte("k"), d)
	empty := AppendHintKey(nil, 1, 1, 1, nil)
	for _, b := range [][]byte{nil, {prefixHint}, empty, object, version, hintVersion} {
		if _, err := ParseHintKey(b); !errors.Is(err, ErrRecordKey) {
			t.Errorf("hint %x: %v", b, err)
		}
	}
	emptyVersion := append([]byte{prefixHintVersion}, empty[1:]...)
	emptyVersion = append(emptyVersion, make([]byte, dotSize)...)
	for _, b := range [][]byte{nil, {prefixHintVersion}, object, version, hint, emptyVersion} {
		if _, _, err := ParseHintVersionKey(b); !errors.Is(err, ErrRecordKey) {
			t.Errorf("hint's version %x: %v", b, err)
		}
	}
	if _, err := ParseObjectKey(hint); !errors.Is(err, ErrRecordKey) {
		t.Errorf("a hint is taken for an object: %v", err)
	}
	if _, _, err := ParseVersionKey(hintVersion); !errors.Is(err, ErrRecordKey) {
		t.Errorf("a hint's version is taken for an object's: %v", err)
	}
}
