// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Algorithm numbers the way in which entries are hashed and dealt to leaves. Whoever
// changes one of them takes the next number: trees of two releases are then not compared.
const Algorithm = 1

const (
	// Branches is how many sums stand below the root, Fanout how many leaves below each
	// of them. At a million keys in 128 partitions a leaf holds eight: to list one costs
	// a few hundred bytes, and a tree takes 17 KiB of memory whatever it sums up.
	Branches = 32
	Fanout   = 32
	// Leaves is how many leaves there are.
	Leaves = Branches * Fanout

	leafBits = 10
	hashBits = 64
)

// ErrNotComparable is returned for trees that sum up different things (TRAPS M7).
var ErrNotComparable = errors.New("antientropy: the trees are not comparable")

// Shape is what two trees must have in common to be compared (I4). Shapes are compared
// by ==.
type Shape struct {
	Algorithm  uint8
	Seed       uint64 // of the cluster's hash
	Partitions uint32 // how many the cluster has; a power of two, at most 65,536
	Partition  uint16
}

// ShapeOf returns the shape of this release's trees.
func ShapeOf(seed uint64, partitions int, partition uint16) Shape {
	return Shape{
		Algorithm: Algorithm, Seed: seed, Partitions: uint32(partitions), Partition: partition,
	}
}

// ID names the shape in a message.
func (s Shape) ID() uint64 {
	var b [1 + 8 + 4 + 2]byte
	b[0] = s.Algorithm
	binary.BigEndian.PutUint64(b[1:], s.Seed)
	binary.BigEndian.PutUint32(b[9:], s.Partitions)
	binary.BigEndian.PutUint16(b[13:], s.Partition)
	return xxhash.Sum64(b[:])
}

// Leaf is the leaf of a key: the bits of its ring hash that come after those which name
// the partition. All keys of a partition share the latter.
func (s Shape) Leaf(keyHash uint64) uint16 {
	below := keyHash << bits.TrailingZeros32(s.Partitions)
	return uint16(below >> (hashBits - leafBits))
}

func (s Shape) String() string {
	return fmt.Sprintf("partition %d of %d, seed %016x, algorithm %d",
		s.Partition, s.Partitions, s.Seed, s.Algorithm)
}
