// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func TestHashesAndPartitionsAreThoseOfTheGoldenVectors(t *testing.T) {
	file, err := os.ReadFile("testdata/hash_vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	vectors := 0
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var cluster, digits string
		var bucket kv.BucketID
		var want uint64
		var partitions [4]uint16
		if _, err := fmt.Sscanf(line, "%s %d %s %x %d %d %d %d", &cluster, &bucket, &digits,
			&want, &partitions[0], &partitions[1], &partitions[2], &partitions[3]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		id, err := ParseClusterID(cluster)
		if err != nil {
			t.Fatal(err)
		}
		key, err := hex.DecodeString(strings.TrimPrefix(digits, "-"))
		if err != nil {
			t.Fatal(err)
		}
		if got := Hash(id.HashSeed(), bucket, key); got != want {
			t.Errorf("Hash(%s, %d, %q) = %016x, want %016x", cluster, bucket, key, got, want)
		}
		for i, count := range [...]int{1, 2, 128, 65536} {
			if got := PartitionOf(want, count); got != partitions[i] {
				t.Errorf("PartitionOf(%016x, %d) = %d, want %d", want, count, got, partitions[i])
			}
		}
		vectors++
	}
	if vectors != 48 {
		t.Errorf("%d vectors, want 48", vectors)
	}
}

// TestEveryKeyIsInOnePartition checks I5: the partitions' ranges of the hash space are
// equal, disjoint and complete, and ring and function agree.
func TestEveryKeyIsInOnePartition(t *testing.T) {
	rings := make(map[int]*Ring)
	for log := 0; log <= 16; log += 4 {
		rings[log] = mustNew(t, formed(t, 1<<log, 1, makeMembers(1, 1, equalWeights)))
	}
	rapid.Check(t, func(t *rapid.T) {
		log := 4 * rapid.IntRange(0, 4).Draw(t, "log2(partitions)/4")
		bucket := kv.BucketID(rapid.Uint32().Draw(t, "bucket"))
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		r := rings[log]
		p, hash := r.PartitionOf(bucket, key), Hash(r.HashSeed(), bucket, key)
		if other := PartitionOf(hash, r.Partitions()); p != other {
			t.Fatalf("the ring says partition %d, PartitionOf %d", p, other)
		}
		if int(p) >= r.Partitions() {
			t.Fatalf("partition %d of %d", p, r.Partitions())
		}
		first := uint64(p) << (63 - log) << 1 // a shift by 64 where there is one partition
		last := first + (^uint64(0) >> log)
		if hash < first || hash > last {
			t.Fatalf("hash %016x is outside of partition %d: %016x to %016x", hash, p, first, last)
		}
	})
}

func TestRoutingAllocatesNothing(t *testing.T) {
	r := mustNew(t, formed(t, 128, 3, makeMembers(5, 3, equalWeights)))
	key := []byte("a key that is longer than one block of thirty-two bytes")
	allocated := testing.AllocsPerRun(100, func() {
		p := r.PartitionOf(kv.DefaultBucket, key)
		preference := r.Preference(p)
		for _, slot := range preference.Slots {
			_, _ = r.Member(slot.Owner)
			_, _ = r.SlotOf(p, slot.Owner)
		}
		_ = r.Placement(p)
		_ = r.Members()
	})
	if allocated != 0 {
		t.Errorf("%v allocations per routed request, want none", allocated)
	}
}

func BenchmarkRoute(b *testing.B) {
	r := mustNew(b, formed(b, 128, 3, makeMembers(5, 3, equalWeights)))
	key := []byte("user:1001")
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Preference(r.PartitionOf(kv.DefaultBucket, key))
	}
}
