// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
)

// Lacks reports whether this store, ready or not, lacks something that another owner holds
// of a key: bare is that one's object, with or without values. An unreadable record lacks
// everything. What it answers is as of the last durable commit.
func (r *Replica) Lacks(
	partition uint16, bucket kv.BucketID, key []byte, bare kv.Object,
) (bool, error) {
	cur, err := r.store.Read(partition, bucket, key, storage.ModeBare)
	if err != nil {
		return false, fmt.Errorf("compare a copy: %w", err)
	}
	return cur.State == storage.StateUnreadable || !cur.Object.Dominates(bare), nil
}
