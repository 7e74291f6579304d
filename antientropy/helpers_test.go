// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

const (
	seed   = 0x0102030405060708
	bucket = kv.DefaultBucket
)

func dot(n uint16, counter uint64) vclock.Dot {
	a, err := vclock.NewActor(n, uint64(n))
	if err != nil {
		panic(err)
	}
	return vclock.Dot{Actor: a, Counter: counter}
}

// written is an object with one value, whose writer had seen what is given.
func written(d vclock.Dot, value string, seen ...vclock.Dot) kv.Object {
	v := kv.Version{Dot: d, Kind: kv.KindValue, Value: []byte(value), Stamp: 7}
	return kv.Object{
		Context:  vclock.ContextOf(append(seen, d)...),
		Versions: []kv.Version{v.Sealed()},
	}
}

// deleted is an object with one tombstone.
func deleted(d vclock.Dot) kv.Object {
	o := written(d, "")
	o.Versions[0].Kind, o.Versions[0].Value = kv.KindTombstone, nil
	o.Versions[0] = o.Versions[0].Sealed()
	return o
}

// model is a partition as a map: what trees are compared with.
type model map[string]Entry

// tree builds the tree of a model, key by key.
func (m model) tree(s Shape) *Tree {
	t := New(s)
	for _, key := range slices.Sorted(maps.Keys(m)) {
		t.Change(leafOf(s, key), Entry{}, m[key])
	}
	return t
}

// tombstones counts them one by one.
func (m model) tombstones() (n uint64) {
	for _, e := range m {
		if e.Held == HeldTombstone {
			n++
		}
	}
	return n
}

// keyHash is some hash of a key: trees do not ask where it comes from.
func keyHash(seed uint64, key []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(key) // never fails
	return d.Sum64()
}

// leafOf is the leaf of a key, wherever its partition is: for tests that say which.
func leafOf(s Shape, key string) uint16 { return s.Leaf(keyHash(s.Seed, []byte(key))) }

// list is the model as a replica lists it.
func (m model) list() []Item {
	var items []Item
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if m[key] != (Entry{}) {
			items = append(items, Item{Bucket: bucket, Key: []byte(key), Entry: m[key]})
		}
	}
	return items
}

// drawKey draws one of a few keys, so that they meet.
func drawKey(t *rapid.T) string {
	return keyOf(rapid.IntRange(0, 40).Draw(t, "key"))
}

// drawEntry draws what a replica may hold of a key.
func drawEntry(t *rapid.T, key string) Entry {
	switch n := rapid.IntRange(0, 9).Draw(t, "entry"); {
	case n < 3:
		return Entry{}
	case n == 3:
		return Damaged(seed, 1, bucket, []byte(key))
	case n == 4:
		o := deleted(dot(1, 4))
		return Of(seed, bucket, []byte(key), &o)
	default:
		o := written(dot(1, uint64(n)), "value")
		return Of(seed, bucket, []byte(key), &o)
	}
}

func drawModel(t *rapid.T) model {
	m := model{}
	for range rapid.IntRange(0, 60).Draw(t, "keys") {
		key := drawKey(t)
		if e := drawEntry(t, key); e != (Entry{}) {
			m[key] = e
		}
	}
	return m
}

// drawObject draws an object that puts of a few writers have made.
func drawObject(t *rapid.T) kv.Object {
	var o kv.Object
	for range rapid.IntRange(0, 5).Draw(t, "writes") {
		d := dot(uint16(rapid.IntRange(1, 3).Draw(t, "actor")), uint64(rapid.IntRange(1, 6).Draw(t, "counter")))
		if o.Context.Contains(d) {
			continue
		}
		seen := vclock.Context{}
		if rapid.Bool().Draw(t, "informed") {
			seen = o.Context
		}
		v := kv.Version{Dot: d, Kind: kv.KindValue, Value: []byte(d.String()), Stamp: kv.Stamp(d.Counter)}
		next, err := o.Put(v.Sealed(), seen)
		if err != nil {
			t.Fatalf("put: %v", err)
		}
		o = next
	}
	return o
}

func keyOf(n int) string { return fmt.Sprintf("key-%d", n) }
