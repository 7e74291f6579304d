// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Expire writes a tombstone over the versions of an object that have all expired, at the
// bucket's levels, so that all replicas agree that they are gone (TRAPS K2). Whatever was
// written beside them meanwhile stays: the tombstone covers exactly those versions, and its
// stamp is no later than theirs, so that in an lww bucket too it wins over nothing newer.
// This node must be an owner of the key.
func (c *Coordinator) Expire(
	ctx context.Context, bucket kv.Bucket, key []byte, expired kv.Object,
) error {
	dots := make([]vclock.Dot, 0, len(expired.Versions))
	for i := range expired.Versions {
		dots = append(dots, expired.Versions[i].Dot)
	}
	bucket.LWW = false // else it covered what this owner holds besides
	_, err := c.Put(ctx, &PutRequest{
		Bucket: bucket, Key: key, Kind: kv.KindTombstone, Seen: vclock.ContextOf(dots...),
		Informed: true, stamp: expired.LatestStamp(),
	})
	return err
}
