// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
)

// hashBits is the width of the hash space.
const hashBits = 64

// Hash returns the place of a key in the hash space: xxhash64 with the cluster's seed
// over the bucket id (4 bytes, big-endian) and the key. It allocates nothing.
//
// Clients compute it too, so it never changes; testdata/hash_vectors.txt pins it.
func Hash(seed uint64, bucket kv.BucketID, key []byte) uint64 {
	var prefix [4]byte
	binary.BigEndian.PutUint32(prefix[:], uint32(bucket))
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	// A Digest's Write never fails.
	_, _ = d.Write(prefix[:])
	_, _ = d.Write(key)
	return d.Sum64()
}

// PartitionOf returns the partition of a hash: its top log2(partitions) bits.
// partitions is a power of two, 1 to MaxPartitions.
func PartitionOf(hash uint64, partitions int) uint16 {
	return uint16(hash >> (hashBits - bits.TrailingZeros(uint(partitions))))
}

// PartitionOf returns the partition that a key of a bucket lives in.
func (r *Ring) PartitionOf(bucket kv.BucketID, key []byte) uint16 {
	return uint16(Hash(r.seed, bucket, key) >> r.shift)
}
