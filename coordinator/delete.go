// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"

	"github.com/dyno-kv/dyno/internal/mutant"
	"github.com/dyno-kv/dyno/kv"
)

// Delete writes a tombstone over what req.Seen covers. Without a context it deletes what a
// quorum read finds, and writes nothing where that finds nothing; with one that covers
// nothing it deletes nothing, for the writer has not seen what is there now (TRAPS C13).
// It returns the context that covers the deletion, and the stamp; where there was nothing
// to write the rest of the result is zero.
func (c *Coordinator) Delete(ctx context.Context, req *PutRequest) (PutResult, error) {
	del := *req
	del.Kind, del.Value = kv.KindTombstone, nil
	if del.Seen.IsEmpty() && req.Informed && !mutant.On(mutant.BlindDelete) {
		_, err := c.planFor(req.Bucket, req.Key, req.W.Or(req.Bucket.W), req.PW.Or(req.Bucket.PW))
		// The levels must make sense; nothing has to be stored.
		return PutResult{Context: req.Seen, Stamp: req.After}, err
	}
	if del.Seen.IsEmpty() {
		r, pr, err := c.levelsForDelete(req)
		if err != nil {
			return PutResult{}, err
		}
		got, err := c.read(ctx, &GetRequest{
			Bucket: req.Bucket, Key: req.Key, R: r, PR: pr, MetaOnly: true,
		})
		if err != nil {
			return PutResult{}, err
		}
		del.Seen, del.After = got.object.Context, got.object.LatestStamp()
		if !c.worthDeleting(&got, req) {
			return PutResult{Context: del.Seen, Stamp: del.After}, nil
		}
	}
	done, err := c.Put(ctx, &del)
	if mutant.On(mutant.RetriedDeleteCovers) && done.Repeat {
		done.Context, done.Repeat = done.Object.Context, false
	}
	if done.Repeat {
		// The tombstone is an earlier try's. What was written since then stands beside it, and
		// this try has read it: a context that covered it would let the client's next write
		// drop what neither was deleted nor ever shown to anybody.
		done.Context = req.Seen.Add(done.Dot)
	}
	return done, err
}

// worthDeleting reports whether a tombstone is to be written over what a read found. It
// is also where nothing is left to see, as long as the copies differ, or this very
// request wrote that before: an earlier try may have reached fewer owners than a delete
// that is acknowledged must have.
func (c *Coordinator) worthDeleting(got *found, req *PutRequest) bool {
	if !got.agreed || len(req.Bucket.Shown(got.object, c.cfg.Now().UnixMilli())) > 0 {
		return true
	}
	for _, v := range got.object.Versions {
		if !req.Request.IsZero() && v.Request == req.Request {
			return true
		}
	}
	return false
}

// levelsForDelete is how many replicas, and owners among them, the read of a delete needs:
// as many as any read of the bucket, to see what was acknowledged, and as many as the
// delete itself, so that finding nothing is worth as much as a tombstone.
func (c *Coordinator) levelsForDelete(req *PutRequest) (r, pr kv.Level, err error) {
	bucket := &req.Bucket
	if r, err = c.highest(kv.LevelQuorum, bucket.R, req.W.Or(bucket.W)); err == nil {
		pr, err = c.highest(bucket.PR, req.PW.Or(bucket.PW))
	}
	return r, pr, err
}

// highest is the level that needs as many replicas as the strictest of those given.
func (c *Coordinator) highest(levels ...kv.Level) (kv.Level, error) {
	current := c.cfg.Ring()
	if current == nil {
		return 0, notFormed()
	}
	most := 0
	for _, level := range levels {
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
