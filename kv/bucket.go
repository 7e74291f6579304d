// SPDX-License-Identifier: Apache-2.0

package kv

// Bucket is a named space of keys with its replication properties. The group owns
// them; ID, N, LWW and Fenced never change.
type Bucket struct {
	ID   BucketID
	Name string
	N    uint8 // replicas; always the cluster's in this version
	R, W Level // defaults of requests
	PR   Level // owners that a read needs; LevelZero by default
	PW   Level // owners that a write needs; LevelZero by default
	// Sloppy lets fallbacks stand in for owners that can not be reached.
	Sloppy bool
	// LWW shows one version of concurrent ones, the one of the highest stamp.
	LWW bool
	// TTL is the time to live of new values in milliseconds; 0 means they stay.
	TTL int64
	// Fenced refuses writes without a lock's fence (later).
	Fenced bool
}

// BuiltinBucket is the bucket "default" of a cluster with n replicas.
func BuiltinBucket(n int) Bucket {
	return Bucket{
		ID: DefaultBucket, Name: DefaultBucketName, N: uint8(n),
		R: LevelQuorum, W: LevelQuorum, PR: LevelZero, PW: LevelZero, Sloppy: true,
	}
}

// Shown are the versions of a key of b that a reader at now (Unix milliseconds) is shown,
// in order of their dots: of siblings all that are live, of an lww bucket the winner. A
// winner that is a tombstone, or has expired, has overwritten the others all the same:
// then nothing is shown.
func (b Bucket) Shown(o Object, now int64) []Version {
	if !b.LWW {
		return o.Live(now)
	}
	if w, found := o.Winner(); found && w.Live(now) {
		return []Version{w}
	}
	return nil
}
