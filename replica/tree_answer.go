// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// checkTree is check for a question about a tree, which must also be of just this placement
// version and shape: to which tree a key belongs, and what stands for it there, depends on
// both (TRAPS M7).
func (r *Replica) checkTree(t *wire.TreeTarget) (wire.Standing, refusal) {
	s, why := r.check(&wire.Target{
		// The bucket that is never deleted: a tree is of all of them.
		Bucket: kv.DefaultBucket, Partition: t.Partition, Placement: t.Placement, Instance: t.Instance,
	})
	if why.refused() {
		return s, why
	}
	current := r.cfg.Ring()
	placement := current.Placement(t.Partition)
	shape := antientropy.ShapeOf(current.HashSeed(), current.Partitions(), t.Partition)
	switch {
	case placement.Version != t.Placement:
		return s, different("this node knows placement %d, the question is of %d",
			placement.Version, t.Placement)
	case !mayCoordinate(placement, r.cfg.Node):
		return s, different("this copy of the partition has no history yet, or is leaving")
	case shape.ID() != t.Shape:
		return s, different("the trees are of another shape here")
	case r.parts[t.Partition].underWay():
		return s, different("a purge round is under way")
	}
	return s, refusal{}
}

// different says why a tree must not be compared.
func different(format string, args ...any) refusal {
	why := refuse(format, args...)
	why.code = wire.ReplicaNotComparable
	return why
}

// treeTime bounds an answer about a tree by the time that the question has.
func treeTime(t *wire.TreeTarget) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(t.RemainingMS)*time.Millisecond)
}

// treeCode is why there is no answer about a tree.
func treeCode(err error) (wire.ReplicaCode, string) {
	switch {
	case errors.Is(err, ErrTreeUnknown):
		return wire.ReplicaNotComparable, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return wire.ReplicaExpired, "the time was over"
	default:
		return codeOf(err)
	}
}

// TreeSums answers a peer, or this node's own exchange, that compares trees. It reads no
// disk, and waits for its turn in the partition's shard.
func (r *Replica) TreeSums(req *wire.TreeSumsRequest) (reply wire.TreeSumsReply) {
	var why refusal
	if reply.Standing, why = r.checkTree(&req.TreeTarget); why.refused() {
		reply.Code, reply.Detail = why.code, why.detail
		return reply
	}
	ctx, cancel := treeTime(&req.TreeTarget)
	defer cancel()
	sums, err := readTree(ctx, r, req.Partition, func(tree *antientropy.Tree) []wire.TreeSum {
		return sumsOf(tree, req.Level, req.Nodes)
	})
	if err != nil {
		reply.Code, reply.Detail = treeCode(err)
		return reply
	}
	reply.Code, reply.Sums = wire.ReplicaOK, sums
	return reply
}

// sumsOf are those of some nodes of a level; nodes that there are not are empty.
func sumsOf(tree *antientropy.Tree, level wire.TreeLevel, nodes []uint16) []wire.TreeSum {
	branches := tree.Branches()
	sums := make([]wire.TreeSum, 0, len(nodes))
	for _, n := range nodes {
		var s antientropy.Sum
		switch {
		case level == wire.TreeRoot && n == 0:
			s = tree.Root()
		case level == wire.TreeBranches && n < antientropy.Branches:
			s = branches[n]
		case level == wire.TreeLeaves && n < antientropy.Leaves:
			s = tree.Leaf(n)
		}
		sums = append(sums, wire.TreeSum{Hash: s.Hash, Keys: s.Count})
	}
	return sums
}

// TreeEntries answers whoever compares trees with a page of the keys below some leaves. That
// reads the disk; one page is made at a time, and the others wait for their turn as long
// as they may: two would only make each other slower, and clients too.
func (r *Replica) TreeEntries(req *wire.TreeListRequest) (reply wire.TreeListReply) {
	var why refusal
	if reply.Standing, why = r.checkTree(&req.TreeTarget); why.refused() {
		reply.Code, reply.Detail = why.code, why.detail
		return reply
	}
	ctx, cancel := treeTime(&req.TreeTarget)
	defer cancel()
	select {
	case r.listing <- struct{}{}:
		defer func() { <-r.listing }()
	case <-ctx.Done():
		reply.Code, reply.Detail = wire.ReplicaExpired, "other lists are being made"
		return reply
	}
	var leaves antientropy.LeafSet
	for _, leaf := range req.Leaves {
		if leaf < antientropy.Leaves {
			leaves.Add(leaf)
		}
	}
	page, err := r.ListTree(ctx, req.Partition, &leaves, req.After.Bucket, req.After.Key,
		int(min(req.Limit, listKeys)))
	if err != nil {
		reply.Code, reply.Detail = treeCode(err)
		return reply
	}
	if now, why := r.checkTree(&req.TreeTarget); why.refused() {
		return wire.TreeListReply{Standing: now, Code: why.code, Detail: why.detail}
	}
	reply.Code, reply.More = wire.ReplicaOK, page.More
	if page.More {
		reply.Next = wire.TreePlace{Bucket: page.Bucket, Key: page.Key}
	}
	reply.Entries = make([]wire.TreeEntry, 0, len(page.Items))
	for _, item := range page.Items {
		reply.Entries = append(reply.Entries, wire.TreeEntry{
			TreePlace: wire.TreePlace{Bucket: item.Bucket, Key: item.Key},
			Damaged:   item.Held == antientropy.HeldDamaged, Hash: item.Hash,
		})
	}
	return reply
}
