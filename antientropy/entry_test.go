// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// Whatever readers or later merges can tell apart changes the hash (I2).
func TestTrapM2EachFieldOfAnObjectChangesTheHash(t *testing.T) {
	sealed := func(change func(*kv.Version)) kv.Object {
		v := kv.Version{
			Dot: dot(1, 5), Kind: kv.KindValue, Value: []byte("value"), ExpiresAt: 9, Stamp: 7,
			Request: kv.RequestID{1},
		}
		change(&v)
		return kv.Object{Context: vclock.ContextOf(dot(1, 5), dot(2, 3)), Versions: []kv.Version{v.Sealed()}}
	}
	base := sealed(func(*kv.Version) {})
	objects := map[string]kv.Object{
		"dot":     sealed(func(v *kv.Version) { v.Dot = dot(2, 3) }),
		"counter": sealed(func(v *kv.Version) { v.Dot.Counter = 4 }),
		"kind":    sealed(func(v *kv.Version) { v.Kind, v.Value = kv.KindTombstone, nil }),
		"value":   sealed(func(v *kv.Version) { v.Value = []byte("other") }),
		"expiry":  sealed(func(v *kv.Version) { v.ExpiresAt++ }),
		"stamp":   sealed(func(v *kv.Version) { v.Stamp++ }),
		"request": sealed(func(v *kv.Version) { v.Request[3]++ }),
		"nothing": {},
	}
	add := func(what string, change func(*kv.Object)) {
		o := base
		o.Versions = []kv.Version{base.Versions[0]}
		change(&o)
		objects[what] = o
	}
	add("context entry", func(o *kv.Object) { o.Context = o.Context.Fold(dot(2, 3)) })
	add("context dot", func(o *kv.Object) { o.Context = o.Context.Add(dot(2, 9)) })
	add("fence", func(o *kv.Object) { o.Fence = 3 })
	add("no version", func(o *kv.Object) { o.Versions = nil })
	add("second version", func(o *kv.Object) { o.Versions = append(o.Versions, written(dot(2, 3), "x").Versions...) })
	// What a checksum covers must count by itself as well: a damaged record may have either.
	add("kind alone", func(o *kv.Object) { o.Versions[0].Kind = kv.KindTombstone })
	add("expiry alone", func(o *kv.Object) { o.Versions[0].ExpiresAt++ })
	add("stamp alone", func(o *kv.Object) { o.Versions[0].Stamp++ })
	add("checksum alone", func(o *kv.Object) { o.Versions[0].Checksum++ })

	key := []byte("key")
	seen := map[uint64]string{EntryHash(seed, bucket, key, &base): "the object itself"}
	see := func(what string, hash uint64) {
		if twin, known := seen[hash]; known {
			t.Errorf("%s: the hash is that of %s", what, twin)
		}
		seen[hash] = what
	}
	for what, o := range objects {
		see(what, EntryHash(seed, bucket, key, &o))
	}
	see("another key", EntryHash(seed, bucket, []byte("kez"), &base))
	see("a longer key", EntryHash(seed, bucket, []byte("key\x00"), &base))
	see("another bucket", EntryHash(seed, bucket+1, key, &base))
	see("another seed", EntryHash(seed+1, bucket, key, &base))
	see("damage at node 1", Damaged(seed, 1, bucket, key).Hash)
	see("damage at node 2", Damaged(seed, 2, bucket, key).Hash)
	see("damage of another key", Damaged(seed, 1, bucket, []byte("kez")).Hash)
	see("damage in another bucket", Damaged(seed, 1, bucket+1, key).Hash)
}

// Objects that differ have different hashes; values that are left out change nothing, so
// that bare objects serve.
func TestHashesTellObjectsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawObject(t), drawObject(t)
		key := []byte("key")
		same := a.Dominates(b) && b.Dominates(a)
		left, right := EntryHash(seed, bucket, key, &a), EntryHash(seed, bucket, key, &b)
		if same != (left == right) {
			t.Fatalf("same objects: %v; same hashes: %v", same, left == right)
		}
		bare := a.WithoutValues()
		if EntryHash(seed, bucket, key, &bare) != left {
			t.Fatal("the hash depends on whether the values are there")
		}
	})
}

// The hash is part of the algorithm: nodes of two releases must agree, and checkpoints
// are kept.
func TestHashesAreThoseOfTheVectors(t *testing.T) {
	value, sibling := written(dot(1, 5), "value", dot(2, 3)), written(dot(3, 1), "sibling")
	both := kv.Merge(value, sibling)
	fenced := kv.Object{Context: vclock.VectorOf(dot(1, 9)), Fence: 4}
	tests := []struct {
		name   string
		object kv.Object
		want   uint64
	}{
		{"one value", value, 0x8309e1bdf6b8f6af},
		{"siblings", both, 0xda5f2086a8020e0e},
		{"no version", fenced, 0xb1d2b6bce8c567e6},
	}
	for _, tt := range tests {
		got := Of(seed, bucket, []byte("key"), &tt.object)
		if got.Hash != tt.want || got.Held != HeldObject {
			t.Errorf("%s: %+v, want %#x", tt.name, got, tt.want)
		}
	}
	damaged := Damaged(seed, 7, bucket, []byte("key"))
	if damaged != (Entry{HeldDamaged, 0xec45a7e6c1079f88}) {
		t.Errorf("damage: %s, %#x", damaged.Held, damaged.Hash)
	}
}

func TestHashOfAnUsualObjectAllocatesNothing(t *testing.T) {
	o, key := written(dot(1, 5), "value", dot(2, 3)), []byte("a key of usual length")
	if n := testing.AllocsPerRun(100, func() { _ = EntryHash(seed, bucket, key, &o) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
