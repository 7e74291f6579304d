// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

// errFencing refuses a fence while another one is being set: nobody waits for a disk in a
// queue that has no bound.
var errFencing = errors.New("replica: another fence is being set; ask again")

// Fence promises to refuse what is stamped below the beginning of another owner's refill,
// in all partitions that this node shares with it, and answers when the promise is durable
// and all that was taken in before it can be read (TRAPS T4, T5). It waits for the disk.
func (r *Replica) Fence(ctx context.Context, req *wire.FenceRequest) wire.FenceReply {
	reply := wire.FenceReply{Instance: r.cfg.Instance, Code: wire.ReplicaRefused}
	current := r.cfg.Ring()
	switch {
	case current == nil:
		reply.Detail = "the cluster has not been formed yet"
	case !r.Status().Ready:
		reply.Detail = "not ready: " + r.Status().Reason
	case req.Instance != r.cfg.Instance:
		reply.Detail = fmt.Sprintf("this store is instance %d, not %d", r.cfg.Instance, req.Instance)
	case req.Node == r.cfg.Node || current.Instance(req.Node) != req.Life:
		reply.Detail = fmt.Sprintf("in this node's ring the store of node %d is instance %d, not %d",
			req.Node, current.Instance(req.Node), req.Life)
	default:
		fences, behind := sharedFences(current, r.cfg.Node, req.Node, req.Since)
		if behind {
			reply.Detail = fmt.Sprintf("this node's ring is older than placement %d", req.Since)
			return reply
		}
		if err := r.fenceAll(ctx, fences); err != nil {
			reply.Code, reply.Detail = codeOf(err)
			return reply
		}
		r.log.Info("fenced for a refill", zap.Uint16("node-id", uint16(req.Node)),
			zap.Uint64("placement", uint64(req.Since)), zap.Int("partitions", len(fences)))
		reply.Code = wire.ReplicaOK
	}
	return reply
}

// FenceSelf promises to refuse what is older than the present placement of each partition
// that this node stands in: the last step of its own refill. It returns the highest of
// these versions.
func (r *Replica) FenceSelf(ctx context.Context) (kv.PlacementVersion, error) {
	current := r.cfg.Ring()
	if current == nil {
		return 0, errors.New("replica: there is no ring to fence by")
	}
	var fences []wire.PlacementFence
	var newest kv.PlacementVersion
	for p := range current.Partitions() {
		placement := current.Placement(uint16(p))
		if placement.Has(r.cfg.Node) {
			newest = max(newest, placement.Version)
			fences = append(fences, wire.PlacementFence{
				Partition: uint16(p), Version: placement.Version,
			})
		}
	}
	return newest, r.fenceAll(ctx, fences)
}

// sharedFences are those for the partitions that both nodes stand in. It reports true where
// one of them is not at that version yet in this ring.
func sharedFences(
	current *ring.Ring, self, other kv.NodeID, since kv.PlacementVersion,
) (fences []wire.PlacementFence, behind bool) {
	for p := range current.Partitions() {
		placement := current.Placement(uint16(p))
		if !placement.Has(self) || !placement.Has(other) {
			continue
		}
		if placement.Version < since {
			return nil, true
		}
		fences = append(fences, wire.PlacementFence{Partition: uint16(p), Version: since})
	}
	return fences, false
}

// fenceAll sets fences, waits until what was applied before them is durable, and keeps all
// fences of this node. Each answer is checked once more after its commit: one that was
// applied under an older fence is not given any more.
func (r *Replica) fenceAll(ctx context.Context, fences []wire.PlacementFence) error {
	if r.cfg.KeepFences == nil {
		return errors.New("replica: there is no place to keep fences")
	}
	if !r.fencing.CompareAndSwap(false, true) {
		return errFencing
	}
	defer r.fencing.Store(false)
	for _, f := range fences {
		fence := &r.parts[f.Partition].fence
		for old := fence.Load(); old < uint64(f.Version); old = fence.Load() {
			if fence.CompareAndSwap(old, uint64(f.Version)) {
				break
			}
		}
	}
	if err := r.cfg.Points.Hit(PointFence); err != nil {
		return err
	}
	for _, f := range fences {
		// One after the other: each waits for a commit that is under way, mostly the same.
		if err := r.settle(ctx, f.Partition); err != nil {
			return err
		}
	}
	if err := r.cfg.KeepFences(r.fences()); err != nil {
		return err
	}
	for _, f := range fences {
		r.cfg.Trace.Emit(trace.Event{
			Kind: trace.FenceSet, Partition: uint32(f.Partition), Value: uint64(f.Version),
		})
	}
	return nil
}

// fences are all that this node has promised.
func (r *Replica) fences() (fences []wire.PlacementFence) {
	for p := range r.parts {
		if v := kv.PlacementVersion(r.parts[p].fence.Load()); v > 0 {
			fences = append(fences, wire.PlacementFence{Partition: uint16(p), Version: v})
		}
	}
	return fences
}
