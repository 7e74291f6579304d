// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
)

// Audit is what a node holds as an owner: for checkers, which compare it with what others
// hold.
type Audit struct {
	// Objects has the digest of each durable object, by partition, bucket and key.
	Objects map[string]uint64
	// Damaged are the keys whose records can not be read.
	Damaged []string
	// Trees are those of the partitions that this node owns.
	Trees map[uint16]*antientropy.Tree
}

var errNoData = errors.New("node: it serves no data")

// Audit reads all that the node holds. It is of one moment only where nothing is written.
func (n *Node) Audit(ctx context.Context) (Audit, error) {
	a := Audit{Objects: make(map[string]uint64), Trees: make(map[uint16]*antientropy.Tree)}
	d, current := n.data.Load(), n.ringOf()
	if d == nil || current == nil {
		return a, errNoData
	}
	for p := range current.Partitions() {
		partition := uint16(p)
		if _, owns := current.SlotOf(partition, d.member.ID); owns {
			tree, err := d.replica.Tree(ctx, partition)
			if err != nil {
				return a, err
			}
			a.Trees[partition] = tree
		}
		err := n.store.Fold(partition, func(bucket kv.BucketID, key []byte, c storage.Current) bool {
			name := fmt.Sprintf("%d/%d/%s", partition, bucket, key)
			if c.State == storage.StateUnreadable {
				a.Damaged = append(a.Damaged, name)
			} else {
				a.Objects[name] = c.Object.Digest()
			}
			return ctx.Err() == nil
		})
		if err != nil {
			return a, err
		}
	}
	return a, ctx.Err()
}
