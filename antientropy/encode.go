// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is returned for bytes that are no tree.
var ErrMalformed = errors.New("antientropy: not an encoded tree")

const (
	// treeFormat is the first byte of a tree's encoding. Trees are stored: a format never
	// changes its meaning. Format 1 did not count tombstones: its trees are built anew.
	treeFormat = 2

	shapeSize = 1 + 8 + 4 + 2
	setSize   = Leaves / 8
	headSize  = 1 + shapeSize + setSize
	// maxCount bounds a leaf's count: more keys than any disk holds.
	maxCount = 1 << 48
)

// Append appends the encoding of a tree, integers big-endian:
//
//	format (1) | algorithm (1) | seed (8) | partitions (4) | partition (2) |
//	set of the leaves that are not empty (128, leaf 0 in the highest bit of the first) |
//	of each of these, in order: hash (8), uvarint count |
//	uvarint count of the tombstones
//
// Branches and root follow from the leaves. Damage is not noticed here: it goes into a
// record of package wire, which has a checksum.
func (t *Tree) Append(dst []byte) []byte {
	dst = append(dst, treeFormat, t.shape.Algorithm)
	dst = binary.BigEndian.AppendUint64(dst, t.shape.Seed)
	dst = binary.BigEndian.AppendUint32(dst, t.shape.Partitions)
	dst = binary.BigEndian.AppendUint16(dst, t.shape.Partition)
	set := len(dst)
	dst = append(dst, make([]byte, setSize)...)
	for leaf := range uint16(Leaves) {
		if s := t.Leaf(leaf); s.Count > 0 {
			dst[set+int(leaf/8)] |= 0x80 >> (leaf % 8)
			dst = binary.BigEndian.AppendUint64(dst, s.Hash)
			dst = binary.AppendUvarint(dst, s.Count)
		}
	}
	return binary.AppendUvarint(dst, t.tombstones)
}

// Decode reads a tree that fills b entirely. It returns ErrMalformed for anything but the
// encoding of a tree.
func Decode(b []byte) (*Tree, error) {
	if len(b) < headSize || b[0] != treeFormat {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	t := New(Shape{
		Algorithm:  b[1],
		Seed:       binary.BigEndian.Uint64(b[2:]),
		Partitions: binary.BigEndian.Uint32(b[10:]),
		Partition:  binary.BigEndian.Uint16(b[14:]),
	})
	set, b := b[1+shapeSize:headSize], b[headSize:]
	for leaf := range uint16(Leaves) {
		if set[leaf/8]&(0x80>>(leaf%8)) == 0 {
			continue
		}
		if len(b) < 8 {
			return nil, fmt.Errorf("%w: cut off in leaf %d", ErrMalformed, leaf)
		}
		s := Sum{Hash: binary.BigEndian.Uint64(b)}
		used := 0
		s.Count, used = count(b[8:])
		if used == 0 || s.Count == 0 || s.Count > maxCount {
			return nil, fmt.Errorf("%w: bad count of leaf %d", ErrMalformed, leaf)
		}
		b = b[8+used:]
		t.set(leaf, s)
	}
	tombstones, used := count(b)
	if used == 0 || tombstones > t.root.Count {
		return nil, fmt.Errorf("%w: bad count of tombstones", ErrMalformed)
	}
	if b = b[used:]; len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(b))
	}
	t.tombstones = tombstones
	return t, nil
}

// count reads a count in its shortest form; used is 0 where there is none.
func count(b []byte) (n uint64, used int) {
	n, used = binary.Uvarint(b)
	if used > 1 && b[used-1] == 0 {
		used = 0
	}
	return n, max(0, used)
}

// set gives an empty leaf its sum.
func (t *Tree) set(leaf uint16, s Sum) {
	branch := leaf / Fanout
	if t.leaves[branch] == nil {
		t.leaves[branch] = new([Fanout]Sum)
	}
	t.leaves[branch][leaf%Fanout] = s
	for _, above := range [...]*Sum{&t.root, &t.branches[branch]} {
		above.Hash ^= s.Hash
		above.Count += s.Count
	}
}
