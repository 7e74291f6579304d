// SPDX-License-Identifier: Apache-2.0

package antientropy

import "testing"

// BenchmarkChange is what a put adds to a shard's work: two hashes, and three sums.
func BenchmarkChange(b *testing.B) {
	shape := ShapeOf(seed, 128, 5)
	tree, key := New(shape), []byte("a key of usual length")
	before, after := written(dot(1, 5), "before"), written(dot(1, 6), "after", dot(1, 5))
	entry := Of(seed, bucket, key, &before)
	leaf := shape.Leaf(keyHash(seed, key))
	tree.Change(leaf, Entry{}, entry)
	b.ReportAllocs()
	for b.Loop() {
		tree.Change(leaf, Of(seed, bucket, key, &before), Of(seed, bucket, key, &after))
		before, after = after, before
	}
}

// BenchmarkRoot is what an exchange costs that finds nothing.
func BenchmarkRoot(b *testing.B) {
	shape := ShapeOf(seed, 128, 5)
	mine, theirs := New(shape), New(shape)
	for b.Loop() {
		if leaves, err := Diff(mine, theirs); err != nil || leaves != nil {
			b.Fatal(leaves, err)
		}
	}
}
