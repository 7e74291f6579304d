// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
)

// treeDamage bounds the records that a partition may have lost and still be compared. Above
// it something larger is wrong than a sector: such a copy wants to be filled anew, and is
// not comparable until then.
const treeDamage = 4096

// partitionTree is what a shard keeps of the tree of one of its partitions.
type partitionTree struct {
	// Owned by the shard; whole is changed by setWhole only.
	whole *summed // nil: the tree is not known
	build *build  // nil: none is under way

	// known reports whether whole is there; set by the shard, looked at outside of it, as
	// are the numbers of its entries.
	known                     atomic.Bool
	keys, tombstones, damaged atomic.Uint64
	// suspect: a record that could not be read was met since the last scan began, or in it.
	// The tree may have it as it was, or have as damaged what is well again.
	suspect atomic.Bool
}

func (t *partitionTree) setWhole(s *summed) {
	if t.whole = s; s != nil {
		t.counted()
	}
	t.known.Store(s != nil)
}

// counted shows how many entries the whole tree has.
func (t *partitionTree) counted() {
	tombstones, damaged := t.whole.tree.Tombstones(), uint64(len(t.whole.damaged))
	t.keys.Store(t.whole.tree.Root().Count - tombstones - damaged)
	t.tombstones.Store(tombstones)
	t.damaged.Store(damaged)
}

// summed is a tree and what it has as damaged.
type summed struct {
	tree *antientropy.Tree
	// damaged are the places of the keys whose records could not be read when they were
	// scanned; nil where there are none. Invariant: their entries are antientropy.Damaged.
	damaged map[string]struct{}
}

// place orders keys as the store does: bucket (4 bytes, big-endian), key.
func appendPlace(dst []byte, bucket kv.BucketID, key []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(bucket)), key...)
}

// treeChange is a change of one key as trees see it.
type treeChange struct {
	place   []byte
	leaf    uint16
	before  antientropy.Entry
	unknown bool              // before could not be read
	damaged antientropy.Entry // what the key has in trees that know it as damaged
	after   antientropy.Entry
}

// treeChanged has the partition's tree follow a change of what this node owns. before is
// exactly what the tree has: nobody else changes it.
func (r *Replica) treeChanged(op *storage.Op, before, after *storage.Current) {
	t := &r.parts[op.Partition].tree
	var shape antientropy.Shape
	switch {
	case t.whole != nil:
		shape = t.whole.tree.Shape()
	case t.build != nil:
		shape = t.build.sum.tree.Shape()
	default:
		return
	}
	var room [128]byte
	c := treeChange{
		place:   appendPlace(room[:0], op.Bucket, op.Key),
		leaf:    shape.Leaf(ring.Hash(shape.Seed, op.Bucket, op.Key)),
		before:  entryOf(shape.Seed, op, before),
		unknown: before.State == storage.StateUnreadable,
		after:   entryOf(shape.Seed, op, after),
	}
	if t.knowsDamaged(c.place) {
		c.damaged = antientropy.Damaged(shape.Seed, r.cfg.Node, op.Bucket, op.Key)
	}
	switch {
	case t.whole == nil:
	case t.whole.apply(&c):
		t.counted()
	default:
		t.setWhole(nil) // until it is built anew
	}
	if t.build != nil && !t.build.apply(&c) {
		t.build = nil
	}
}

// entryOf is the entry of what a store holds of a key; none of what can not be read.
func entryOf(seed uint64, op *storage.Op, c *storage.Current) antientropy.Entry {
	if c.State != storage.StatePresent {
		return antientropy.Entry{}
	}
	return antientropy.Of(seed, op.Bucket, op.Key, &c.Object)
}

func (t *partitionTree) knowsDamaged(place []byte) bool {
	return t.whole != nil && t.whole.has(place) || t.build != nil && t.build.sum.has(place)
}

func (s *summed) has(place []byte) bool {
	_, known := s.damaged[string(place)]
	return known
}

// apply changes the tree, or reports false where nobody knows what it has of the key: of a
// record that could be read when the tree learned of it, and can not be any more.
func (s *summed) apply(c *treeChange) bool {
	before := c.before
	switch {
	case s.has(c.place):
		before = c.damaged
		delete(s.damaged, string(c.place))
	case c.unknown:
		return false
	}
	s.tree.Change(c.leaf, before, c.after)
	return true
}

// put adds a key that the tree does not have, and reports false where too many are damaged.
func (s *summed) put(place string, leaf uint16, entry antientropy.Entry) bool {
	if entry.Held == antientropy.HeldDamaged {
		if len(s.damaged) >= treeDamage {
			return false
		}
		if s.damaged == nil {
			s.damaged = make(map[string]struct{})
		}
		s.damaged[place] = struct{}{}
	}
	s.tree.Change(leaf, antientropy.Entry{}, entry)
	return true
}

// CleanTrees returns the trees that a clean stop may keep: those of which the store is
// certain. The store's shards must have ended.
func (r *Replica) CleanTrees() []*antientropy.Tree {
	if r.Status().Refused {
		return nil
	}
	var trees []*antientropy.Tree
	for p := range r.parts {
		t := &r.parts[p].tree
		if t.whole != nil && len(t.whole.damaged) == 0 && !t.suspect.Load() {
			trees = append(trees, t.whole.tree)
		}
	}
	return trees
}

// adoptTrees takes over the trees that a clean stop left, as far as they are of this
// cluster's partitions. Whether they may be compared is another question: only once the
// group has confirmed that the store is the one which stopped.
func (r *Replica) adoptTrees(trees []*antientropy.Tree) {
	current := r.cfg.Ring()
	if r.past.Stop != StopClean || current == nil {
		return
	}
	for _, tree := range trees {
		p := tree.Shape().Partition
		shape := antientropy.ShapeOf(current.HashSeed(), len(r.parts), p)
		if tree.Shape() == shape && int(p) < len(r.parts) {
			r.parts[p].tree.setWhole(&summed{tree: tree})
		}
	}
}
