// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Delete writes a tombstone over what req.Seen covers. With an empty context it deletes
// what a quorum read finds, and writes nothing where that finds nothing (TRAPS C13).
// It returns the context that covers the deletion.
func (c *Coordinator) Delete(ctx context.Context, req *PutRequest) (vclock.Context, error) {
	del := *req
	del.Kind, del.Value = kv.KindTombstone, nil
	if del.Seen.IsEmpty() {
		owners, err := c.ownersForDelete(req)
		if err != nil {
			return vclock.Context{}, err
		}
		got, err := c.read(ctx, &GetRequest{
			Bucket: req.Bucket, Key: req.Key, R: kv.LevelQuorum, PR: owners, MetaOnly: true,
		})
		if err != nil {
			return vclock.Context{}, err
		}
		if !c.worthDeleting(&got, req.Request) {
			return got.object.Context, nil
		}
		del.Seen = got.object.Context
	}
	done, err := c.Put(ctx, &del)
	return done.Context, err
}

// worthDeleting reports whether a tombstone is to be written over what a read found. It
// is also where nothing is left to see, as long as the copies differ, or this very
// request wrote that before: an earlier try may have reached fewer owners than a delete
// that is acknowledged must have.
func (c *Coordinator) worthDeleting(got *found, id kv.RequestID) bool {
	if !got.agreed {
		return true
	}
	now := c.cfg.Now().UnixMilli()
	for _, v := range got.object.Versions {
		if v.Live(now) || (!id.IsZero() && v.Request == id) {
			return true
		}
	}
	return false
}

// ownersForDelete is how many owners the read of a delete needs: as many as any read of
// the bucket, to see what was acknowledged, and as many as the delete itself, so that
// finding nothing is worth as much as a tombstone.
func (c *Coordinator) ownersForDelete(req *PutRequest) (kv.Level, error) {
	current := c.cfg.Ring()
	if current == nil {
		return 0, notFormed()
	}
	most := 0
	for _, level := range [2]kv.Level{req.Bucket.PR, req.PW.Or(req.Bucket.PW)} {
		n, err := level.Resolve(current.Replicas())
		if err != nil {
			return 0, invalid(err)
		}
		most = max(most, n)
	}
	level, err := kv.LevelOf(most)
	if err != nil {
		return 0, invalid(err)
	}
	return level, nil
}
