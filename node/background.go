// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/antientropy/exchange"
	"github.com/dyno-kv/dyno/handoff"
	"github.com/dyno-kv/dyno/internal/budget"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/server"
	"github.com/dyno-kv/dyno/wire"
)

// lookEvery is how often the background is told how long clients wait.
const lookEvery = time.Second

// background is what all of the node's work that no client waits for shares.
type background struct {
	budget *budget.Shared
	waits  budget.Meter
}

// look shows the budget how long clients waited, until ctx ends.
func (b *background) look(ctx context.Context) error {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			b.budget.Look(b.waits.P99())
		case <-ctx.Done():
			return nil
		}
	}
}

// openBackground connects what works beside requests: what brings hints to their members,
// and what compares this node's partitions with their other owners'.
func (n *Node) openBackground(m *membership, d *data) error {
	hints := n.cfg.Handoff
	hints.Node, hints.Ring, hints.Alive = d.member.ID, m.group.Ring, d.alive
	hints.Rand = rand.New(rand.NewPCG(n.cfg.Rand.Uint64(), n.cfg.Rand.Uint64()))
	var err error
	d.handoff, err = handoff.New(hints, d.replica, d.peers, n.background.budget,
		n.log.Named("handoff"))
	if err != nil {
		return err
	}
	d.hints = handoff.NewSyncer(d.handoff, m.opening.past.Present(), d.coordinator, d.peers)
	cfg := n.cfg.Exchange
	cfg.Node, cfg.Ring, cfg.Alive = d.member.ID, m.group.Ring, d.alive
	cfg.Budget, cfg.Coming = n.background.budget, handoff.NewArrivals(d.hints).Coming
	cfg.Rand = rand.New(rand.NewPCG(n.cfg.Rand.Uint64(), n.cfg.Rand.Uint64()))
	d.exchange, err = exchange.New(cfg, d.replica, d.peers, d.replica, n.log.Named("exchange"))
	if err != nil {
		return err
	}
	return n.openPurger(m, d)
}

// HandoffStatus implements handoff.Statuses.
func (p *peers) HandoffStatus(
	node kv.NodeID, req *wire.HandoffStatusRequest, deadline time.Time,
	done func(wire.HandoffStatusReply, error),
) {
	ask(p, node, wire.MethodHandoffStatus, deadline,
		func(dst []byte, _ uint16) []byte { return wire.AppendHandoffStatusRequest(dst, req) },
		wire.DecodeHandoffStatusReply, done)
}

// damaged hands on what the replica finds it can not read.
func (d *data) damaged(partition uint16, bucket kv.BucketID, key []byte) {
	if d.exchange != nil { // else the scrub finds it again
		d.exchange.Damaged(partition, bucket, key)
	}
}

// repairs tells clients of the exchange.
type repairs struct {
	*exchange.Exchange
	data *data
}

var _ server.Repairs = repairs{}

// Status implements server.Repairs.
func (r repairs) Status(round uint64) wire.RepairStatusResult {
	return r.told(r.Exchange.Status(round))
}

// Wait implements server.Repairs.
func (r repairs) Wait(ctx context.Context, round uint64) wire.RepairStatusResult {
	r.Exchange.Wait(ctx, round)
	r.data.awaitFull(ctx) // also of what has no other owner to compare with
	return r.told(r.Exchange.Status(round))
}

func (r repairs) told(s exchange.Status) wire.RepairStatusResult {
	counts, trees := r.Counters(), r.data.replica.TreeStats()
	result := wire.RepairStatusResult{
		Node: r.data.member.Name, PausedMS: uint64(s.Paused.Milliseconds()), Round: s.Round,
		Pairs: uint64(s.Pairs), Settled: uint64(s.Settled), Running: uint64(s.Running),
		Failed: counts.Exchanges(exchange.Failed), Repaired: counts.Repaired(),
		Bytes: counts.Bytes(),
		Scrub: wire.ScrubStatus{
			Rounds: s.Scrub.Rounds, Done: uint64(s.Scrub.Done), Partitions: uint64(s.Scrub.Partitions),
			Keys: s.Scrub.Keys, Bytes: s.Scrub.Bytes, Damaged: uint64(s.Scrub.Damaged),
			Mended: s.Scrub.Mended,
		},
		Trees: wire.TreeStatus{
			Known: uint64(trees.Known), Owned: uint64(trees.Owned), Builds: trees.Builds,
			Mismatches: trees.Mismatches,
		},
		Refill: r.data.refillStatus(),
	}
	for o := exchange.InSync; o <= exchange.Stopped; o++ {
		result.Compared += counts.Exchanges(o)
	}
	if result.Never = s.Oldest < 0; !result.Never {
		result.OldestMS = uint64(s.Oldest.Milliseconds())
	}
	for _, b := range s.Behind {
		result.Behind = append(result.Behind, wire.RepairBehind{
			Partition: b.Partition, Node: b.Name, State: wire.RepairState(b.Outcome.String()),
			Reason: b.Why,
		})
	}
	return result
}

// Partitions implements server.Repairs.
func (r repairs) Partitions() wire.RingPartitionsResult {
	result := wire.RingPartitionsResult{Node: r.data.member.Name}
	for _, p := range r.data.replica.Owned() {
		held := wire.PartitionContents{Partition: p}
		c, err := r.data.replica.Contents(p)
		if held.Known = err == nil; held.Known {
			held.Keys, held.Tombstones, held.Damaged = c.Keys, c.Tombstones, c.Damaged
		} else if result.Reason == "" {
			result.Reason = err.Error()
		}
		result.Partitions = append(result.Partitions, held)
	}
	return result
}
