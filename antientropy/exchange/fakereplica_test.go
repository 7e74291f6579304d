// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// fakeReplica holds objects, and trees over them, by the rules of a replica.
type fakeReplica struct {
	node kv.NodeID
	ring *ring.Ring

	mu       sync.Mutex // guards what follows
	standing wire.Standing
	building bool
	// careless: it answers what is asked of it, whichever tree that is about.
	careless bool
	objects  [testPartitions]map[string]kv.Object // by place
	damaged  map[string]bool                      // places
	trees    [testPartitions]*antientropy.Tree
	calls    map[string]int
	listed   int // the most leaves that were listed at once
	// before is called, without the lock, before each call.
	before func(method string)
}

func newFakeReplica(r *ring.Ring, node kv.NodeID) *fakeReplica {
	f := &fakeReplica{
		node: node, ring: r, calls: make(map[string]int), damaged: make(map[string]bool),
		standing: wire.Standing{
			Role: kv.RoleOwner, Placement: r.Placement(0).Version, Instance: r.Instance(node),
			Confirmed: true, Epoch: 1,
		},
	}
	for p := range f.objects {
		f.objects[p] = make(map[string]kv.Object)
		f.trees[p] = antientropy.New(antientropy.ShapeOf(r.HashSeed(), testPartitions, uint16(p)))
	}
	return f
}

func placeText(bucket kv.BucketID, key []byte) string { return fmt.Sprintf("%08x/%s", bucket, key) }

// call notes a call.
func (f *fakeReplica) call(method string) {
	f.mu.Lock()
	f.calls[method]++
	before := f.before
	f.mu.Unlock()
	if before != nil {
		before(method)
	}
	f.mu.Lock()
}

func (f *fakeReplica) made(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// entry is what the tree has of a key.
func (f *fakeReplica) entry(p uint16, bucket kv.BucketID, key []byte) antientropy.Entry {
	place := placeText(bucket, key)
	if f.damaged[place] {
		return antientropy.Damaged(f.ring.HashSeed(), f.node, bucket, key)
	}
	if o, found := f.objects[p][place]; found {
		return antientropy.Of(f.ring.HashSeed(), bucket, key, &o)
	}
	return antientropy.Entry{}
}

// set changes what the replica holds of a key; the zero object removes it.
func (f *fakeReplica) set(bucket kv.BucketID, key []byte, o kv.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setLocked(bucket, key, o)
}

func (f *fakeReplica) setLocked(bucket kv.BucketID, key []byte, o kv.Object) {
	f.change(bucket, key, func(p uint16, place string) {
		delete(f.damaged, place)
		if o.IsZero() {
			delete(f.objects[p], place)
		} else {
			f.objects[p][place] = o
		}
	})
}

// damage makes a record unreadable.
func (f *fakeReplica) damage(bucket kv.BucketID, key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.change(bucket, key, func(_ uint16, place string) { f.damaged[place] = true })
}

func (f *fakeReplica) change(bucket kv.BucketID, key []byte, do func(p uint16, place string)) {
	hash := ring.Hash(f.ring.HashSeed(), bucket, key)
	p := ring.PartitionOf(hash, testPartitions)
	before := f.entry(p, bucket, key)
	do(p, placeText(bucket, key))
	f.trees[p].Change(f.trees[p].Shape().Leaf(hash), before, f.entry(p, bucket, key))
}

// merge is what a write, a hint or a read repair does.
func (f *fakeReplica) merge(bucket kv.BucketID, key []byte, o kv.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setLocked(bucket, key, kv.Merge(f.object(bucket, key), o))
}

func (f *fakeReplica) object(bucket kv.BucketID, key []byte) kv.Object {
	hash := ring.Hash(f.ring.HashSeed(), bucket, key)
	return f.objects[ring.PartitionOf(hash, testPartitions)][placeText(bucket, key)]
}

// holds returns all that the replica holds.
func (f *fakeReplica) holds() map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]uint64)
	for p := range f.objects {
		for place, o := range f.objects[p] {
			all[place] = o.Digest()
		}
	}
	return all
}

func (f *fakeReplica) state(change func(*wire.Standing)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.standing)
}

// judge is what a replica says of a question about a tree.
func (f *fakeReplica) judge(t *wire.TreeTarget) (wire.Standing, wire.ReplicaCode, string) {
	shape := f.trees[t.Partition].Shape().ID()
	switch {
	case f.standing.Role != kv.RoleOwner || t.Instance != f.standing.Instance:
		return f.standing, wire.ReplicaRefused, "not now"
	case f.building:
		return f.standing, wire.ReplicaNotComparable, "the tree is being built"
	case !f.careless && (t.Placement != f.standing.Placement || t.Shape != shape):
		return f.standing, wire.ReplicaNotComparable, "another tree"
	default:
		return f.standing, wire.ReplicaOK, ""
	}
}

func (f *fakeReplica) TreeSums(q *wire.TreeSumsRequest) (reply wire.TreeSumsReply) {
	f.call(wire.MethodTreeSums)
	defer f.mu.Unlock()
	reply.Standing, reply.Code, reply.Detail = f.judge(&q.TreeTarget)
	if reply.Code != wire.ReplicaOK {
		return reply
	}
	tree := f.trees[q.Partition]
	branches := tree.Branches()
	for _, n := range q.Nodes {
		var sum antientropy.Sum
		switch q.Level {
		case wire.TreeRoot:
			sum = tree.Root()
		case wire.TreeBranches:
			sum = branches[n]
		default:
			sum = tree.Leaf(n)
		}
		reply.Sums = append(reply.Sums, wire.TreeSum{Hash: sum.Hash, Keys: sum.Count})
	}
	return reply
}

func (f *fakeReplica) TreeEntries(q *wire.TreeListRequest) (reply wire.TreeListReply) {
	f.call(wire.MethodTreeList)
	defer f.mu.Unlock()
	reply.Standing, reply.Code, reply.Detail = f.judge(&q.TreeTarget)
	if reply.Code != wire.ReplicaOK {
		return reply
	}
	f.listed = max(f.listed, len(q.Leaves))
	places := slices.Collect(maps.Keys(f.objects[q.Partition]))
	slices.Sort(places)
	after, shape := placeText(q.After.Bucket, q.After.Key), f.trees[q.Partition].Shape()
	looked := 0
	for _, place := range places {
		var bucket kv.BucketID
		var key []byte
		if _, err := fmt.Sscanf(place[:9], "%08x/", &bucket); err != nil {
			panic(err)
		}
		if key = []byte(place[9:]); place <= after {
			continue
		}
		if len(reply.Entries) == int(q.Limit) || looked == 100 {
			reply.More = true
			break
		}
		looked++
		reply.Next = wire.TreePlace{Bucket: bucket, Key: key}
		if slices.Contains(q.Leaves, shape.Leaf(ring.Hash(shape.Seed, bucket, key))) {
			e := f.entry(q.Partition, bucket, key)
			reply.Entries = append(reply.Entries, wire.TreeEntry{
				TreePlace: reply.Next, Hash: e.Hash, Damaged: e.Held == antientropy.HeldDamaged,
			})
		}
	}
	return reply
}

func (f *fakeReplica) Read(q *wire.ReadRequest) (reply wire.ReadReply) {
	f.call(wire.MethodRead)
	defer f.mu.Unlock()
	reply.Standing, reply.Code = f.standing, wire.ReplicaOK
	switch {
	case f.standing.Role != kv.RoleOwner:
		reply.Code, reply.Detail = wire.ReplicaRefused, "not now"
	case f.damaged[placeText(q.Bucket, q.Key)]:
		reply.Code, reply.Detail = wire.ReplicaUnreadable, "damaged"
	default:
		reply.Object = f.object(q.Bucket, q.Key)
		if q.Mode == wire.ReadBare {
			reply.Object = reply.Object.WithoutValues()
		}
	}
	return reply
}

func (f *fakeReplica) Store(req replica.StoreRequest) { req.Done(f.store(req.StoreRequest, false)) }

func (f *fakeReplica) store(q *wire.StoreRequest, mends bool) (reply wire.StoreReply) {
	f.call(wire.MethodStore)
	defer f.mu.Unlock()
	reply.Standing, reply.Code = f.standing, wire.ReplicaOK
	place := placeText(q.Bucket, q.Key)
	switch {
	case f.standing.Role != kv.RoleOwner || q.Class != kv.ClassReplicated:
		reply.Code, reply.Detail = wire.ReplicaRefused, "not now"
	case q.Epoch < f.standing.Epoch:
		reply.Code = wire.ReplicaStaleEpoch
	case f.damaged[place] && !mends:
		reply.Code, reply.Detail = wire.ReplicaUnreadable, "damaged"
	case f.damaged[place]:
		f.setLocked(q.Bucket, q.Key, q.Object)
	default:
		f.setLocked(q.Bucket, q.Key, kv.Merge(f.object(q.Bucket, q.Key), q.Object))
	}
	return reply
}

// Mend implements Keeper.
func (f *fakeReplica) Mend(req replica.StoreRequest) { req.Done(f.store(req.StoreRequest, true)) }

// Scrub implements Keeper.
func (f *fakeReplica) Scrub(p uint16, _ wire.TreePlace, _ int) (page replica.ScrubPage, _ error) {
	f.call("scrub")
	defer f.mu.Unlock()
	for place, o := range f.objects[p] {
		page.Keys++
		page.Bytes += o.Size()
		if f.damaged[place] {
			page.Damaged = append(page.Damaged,
				wire.TreePlace{Bucket: kv.DefaultBucket, Key: []byte(place[9:])})
		}
	}
	return page, nil
}

// RebuildTree implements Keeper.
func (f *fakeReplica) RebuildTree(context.Context, uint16) error {
	f.call("rebuild")
	f.mu.Unlock()
	return nil
}
