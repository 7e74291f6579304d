// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
)

// Audit is what a node holds: for checkers, which compare it with what others hold.
type Audit struct {
	// Objects has the digest of each durable object of a partition that this node owns, by
	// partition, bucket and key.
	Objects map[string]uint64
	// Damaged are the keys whose records can not be read, Strange those in partitions that
	// this node does not own.
	Damaged, Strange []string
	// Trees are those of the partitions that this node owns, Wrong the partitions of which
	// the tree is not what a scan finds.
	Trees map[uint16]*antientropy.Tree
	Wrong []uint16
	// Hints is how many hints and markers it keeps, by the member that they are for now.
	Hints map[kv.NodeID]int
}

var (
	errNoData = errors.New("node: it serves no data")
	errCounts = errors.New("node: it has not counted its hints yet")
)

// Audit reads all that the node holds. It is of one moment only where nothing is written.
func (n *Node) Audit(ctx context.Context) (Audit, error) {
	a := Audit{
		Objects: make(map[string]uint64), Trees: make(map[uint16]*antientropy.Tree),
		Hints: make(map[kv.NodeID]int),
	}
	d, current := n.data.Load(), n.ringOf()
	if d == nil || current == nil {
		return a, errNoData
	}
	hints := d.replica.HintStatus()
	if !hints.Counted {
		return a, errCounts
	}
	for _, c := range hints.Cells {
		if slots := current.Placement(c.Partition).Slots; int(c.Slot) < len(slots) {
			a.Hints[slots[c.Slot].Owner] += c.Hints + c.Markers + c.Damaged
		}
	}
	for p := range current.Partitions() {
		if err := n.auditPartition(ctx, &a, d, current, uint16(p)); err != nil {
			return a, err
		}
	}
	return a, ctx.Err()
}

func (n *Node) auditPartition(
	ctx context.Context, a *Audit, d *data, current *ring.Ring, partition uint16,
) error {
	_, owns := current.SlotOf(partition, d.member.ID)
	seed := current.HashSeed()
	shape := antientropy.ShapeOf(seed, current.Partitions(), partition)
	scanned := antientropy.New(shape)
	err := n.store.Fold(partition, func(bucket kv.BucketID, key []byte, c storage.Current) bool {
		name := fmt.Sprintf("%d/%d/%s", partition, bucket, key)
		leaf := shape.Leaf(ring.Hash(seed, bucket, key))
		switch {
		case !owns:
			a.Strange = append(a.Strange, name)
		case c.State == storage.StateUnreadable:
			a.Damaged = append(a.Damaged, name)
			scanned.Change(leaf, antientropy.Entry{},
				antientropy.Damaged(seed, d.member.ID, bucket, key))
		default:
			a.Objects[name] = c.Object.Digest()
			scanned.Change(leaf, antientropy.Entry{}, antientropy.Of(seed, bucket, key, &c.Object))
		}
		return ctx.Err() == nil
	})
	if err != nil || !owns {
		return err
	}
	tree, err := d.replica.Tree(ctx, partition)
	if err != nil {
		return err
	}
	a.Trees[partition] = tree
	if !tree.Equal(scanned) {
		a.Wrong = append(a.Wrong, partition)
	}
	return nil
}
