// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strings"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// View is the part of the state that the data path needs: the ring and the buckets. Every
// node keeps the last one durably, so that it can start without the group. It is
// immutable.
type View struct {
	Cluster ring.ClusterID
	// Version is the ring's, 0 before formation: of two views of a formed cluster the one
	// of the higher version is the newer, across recoveries of the group too.
	Version uint64
	// Index is that of the entry that made this view.
	Index      uint64
	Generation kv.Generation
	// Replicas and Partitions are those of the ring, known before there is one.
	Replicas, Partitions int
	// Expect is how many nodes the first ring waits for. Registered is how many were
	// registered, and Opened of how many of them the store was accepted, when the view was
	// made; after formation they are those of that moment and count no further.
	Expect, Registered, Opened int
	// Ring is nil before formation.
	Ring *ring.Ring
	// Buckets are in order of their names; none before formation.
	Buckets []kv.Bucket
	// BucketsIssued is the highest counter of a bucket id that was ever issued.
	BucketsIssued uint32
}

// Bucket returns the bucket of that name.
func (v *View) Bucket(name string) (kv.Bucket, bool) {
	i, found := slices.BinarySearchFunc(v.Buckets, name,
		func(b kv.Bucket, name string) int { return strings.Compare(b.Name, name) })
	if !found {
		return kv.Bucket{}, false
	}
	return v.Buckets[i], true
}

// BucketByID returns the bucket of that number.
func (v *View) BucketByID(id kv.BucketID) (kv.Bucket, bool) {
	for _, b := range v.Buckets {
		if b.ID == id {
			return b, true
		}
	}
	return kv.Bucket{}, false
}

// Deleted reports whether the bucket of that number is surely gone for ever. An id that
// this view has not heard of may be one of a newer bucket: it is not deleted.
//
// Ids rise, so that those of deleted buckets need no list: they are all those at or below
// the last issued one that are not there. Ids of an earlier generation that nobody
// remembers were issued by entries that a recovery gave up.
func (v *View) Deleted(id kv.BucketID) bool {
	if _, live := v.BucketByID(id); live {
		return false
	}
	generation, counter := kv.SplitBucketID(id)
	return generation < v.Generation ||
		generation == v.Generation && counter <= v.BucketsIssued
}
