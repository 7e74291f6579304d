// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

const (
	// maxTreeParts bounds what a clean stop keeps of trees, and what a start reads: trees
	// beyond it, of far more partitions than a node should own, are built anew.
	maxTreeParts = 64
	// treePartRoom is what a part takes beside its trees.
	treePartRoom = 4 << 10
	// treeRoom is what a tree takes in a part beside its bytes.
	treeRoom = 8
)

// readTrees reads the trees that the last life left at its clean stop. What can not be
// read, or is of another life, is missing: trees can be built anew.
func (o *opening) readTrees(parts uint32) (trees []*antientropy.Tree) {
	for n := range min(parts, maxTreeParts) {
		key := wire.TreePartKey(n)
		record, found, err := o.control.Get(key)
		if err != nil || !found {
			continue
		}
		part, err := wire.DecodeTreePartRecord(key, record)
		if err != nil || part.Open != o.past.Present() {
			continue
		}
		for _, encoded := range part.Trees {
			if tree, err := antientropy.Decode(encoded); err == nil {
				trees = append(trees, tree)
			}
		}
	}
	return trees
}

// leaveTrees keeps trees for the next start, and returns in how many parts. They count only
// together with the clean mark, which is written after them and removed by the next opening
// before anything else: the parts themselves stay until they are written over.
func (o *opening) leaveTrees(trees []*antientropy.Tree) (parts uint32, err error) {
	room, _ := o.control.Room()
	room -= treePartRoom
	part, size := wire.TreePart{Open: o.past.Present()}, 0
	write := func() error {
		key := wire.TreePartKey(parts)
		err := o.control.Apply(storage.ControlRecord{
			Key: key, Record: wire.AppendTreePartRecord(nil, key, &part),
		})
		if err != nil {
			return fmt.Errorf("node: write trees: %w", err)
		}
		part.Trees, size = part.Trees[:0], 0
		parts++
		return nil
	}
	for _, tree := range trees {
		encoded := tree.Append(nil)
		need := len(encoded) + treeRoom
		if size > 0 && size+need > room {
			if err := write(); err != nil {
				return 0, err
			}
		}
		if need > room || parts == maxTreeParts {
			continue
		}
		part.Trees = append(part.Trees, encoded)
		size += need
	}
	if size > 0 {
		err = write()
	}
	return parts, err
}
