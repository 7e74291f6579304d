// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"errors"
	"fmt"
)

// NodeID is the number of a member. The metadata group issues it once and never
// again; zero means "no node". Node numbers carry no generation.
type NodeID uint16

// BucketID is the number of a bucket: the group's generation in the top 5 bits,
// a counter below. Ids are never reused, not even of deleted buckets.
type BucketID uint32

// DefaultBucket is the id of the built-in bucket "default", in every cluster.
const DefaultBucket BucketID = 1

// DefaultBucketName is the name of the built-in bucket.
const DefaultBucketName = "default"

// Instance numbers the lives of a node's store. A store that lost its data gets
// a new one from the group, and replies of an old instance never count.
type Instance uint64

// PlacementVersion numbers the layouts of one partition; each change of its
// slots raises it. Versions of different partitions are not comparable.
type PlacementVersion uint64

// PurgeEpoch numbers the purge rounds of one partition. Data that was read under
// a lower epoch must be read again before it may be stored.
type PurgeEpoch uint64

// Fence orders the holders of a lock. Zero means "not fenced".
type Fence uint64

// Generation counts recoveries of the metadata group; it is part of every
// identifier that the group issues, so that a recovered group never repeats one.
type Generation uint8

const (
	// MaxGeneration is the last generation; recovery refuses to go beyond it.
	MaxGeneration Generation = 31

	generationShift       = 48
	bucketGenerationShift = 27
	maxCounter            = 1<<generationShift - 1
	maxBucketCounter      = 1<<bucketGenerationShift - 1
)

// ErrExhausted is returned where an identifier's counter or generation has no
// further value. It can not happen in practice and must never wrap.
var ErrExhausted = errors.New("kv: identifiers exhausted")

// groupID is any identifier with its generation in bits 48 to 52.
type groupID interface {
	~uint64
}

// MakeID joins a generation and a counter: generation in bits 48 to 52, counter
// below, so that the result stays exact in a 53-bit float (JavaScript).
// It returns ErrExhausted where either does not fit.
func MakeID[T groupID](g Generation, counter uint64) (T, error) {
	if g > MaxGeneration || counter > maxCounter {
		return 0, fmt.Errorf("%w: generation %d, counter %d", ErrExhausted, g, counter)
	}
	return T(uint64(g)<<generationShift | counter), nil
}

// SplitID is the inverse of MakeID.
func SplitID[T groupID](id T) (Generation, uint64) {
	return Generation(uint64(id) >> generationShift), uint64(id) & maxCounter
}

// MakeBucketID joins a generation (top 5 bits) and a counter.
// It returns ErrExhausted where either does not fit.
func MakeBucketID(g Generation, counter uint32) (BucketID, error) {
	if g > MaxGeneration || counter > maxBucketCounter {
		return 0, fmt.Errorf("%w: bucket generation %d, counter %d", ErrExhausted, g, counter)
	}
	return BucketID(uint32(g)<<bucketGenerationShift | counter), nil
}

// SplitBucketID is the inverse of MakeBucketID.
func SplitBucketID(id BucketID) (Generation, uint32) {
	return Generation(id >> bucketGenerationShift), uint32(id) & maxBucketCounter
}
