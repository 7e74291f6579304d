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
	req.Kind, req.Value = kv.KindTombstone, nil
	if req.Seen.IsEmpty() {
		found, err := c.Get(ctx, &GetRequest{
			Bucket: req.Bucket, Key: req.Key, R: kv.LevelQuorum, PR: req.PW, MetaOnly: true,
		})
		if err != nil {
			return vclock.Context{}, err
		}
		if len(found.Live(c.cfg.Now().UnixMilli())) == 0 {
			return found.Context, nil
		}
		req.Seen = found.Context
	}
	done, err := c.Put(ctx, req)
	return done.Context, err
}
