// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/dyno-kv/dyno/wire"

// Work implements server.Cluster.
func (c *cluster) Work() *wire.WorkStatus {
	d := c.node.data.Load()
	if d == nil {
		return nil
	}
	hints, repairs := d.handoff.Report(), d.exchange.Status(0)
	trees, purges := d.replica.TreeStats(), d.replica.PurgeStats()
	s := &wire.WorkStatus{
		Bytes: hints.Bytes, Counted: hints.Counted, PausedMS: uint64(repairs.Paused.Milliseconds()),
		Pairs: uint64(repairs.Pairs), Settled: uint64(repairs.Settled),
		Trees: wire.TreeStatus{
			Known: uint64(trees.Known), Owned: uint64(trees.Owned), Builds: trees.Builds,
			Mismatches: trees.Mismatches,
		},
		Unreadable: uint64(repairs.Scrub.Damaged),
		Purge: wire.PurgeStatus{
			Epoch: purges.Epoch, Open: uint64(purges.Open), Missed: uint64(purges.Missed),
		},
		Full: c.node.store.Full(), Refill: d.refillStatus(),
	}
	oldest := int64(0)
	for _, b := range hints.Backlog {
		s.Hints += b.Hints
		s.Markers += b.Markers
		s.DamagedHints += b.Damaged
		if b.Oldest > 0 && (oldest == 0 || b.Oldest < oldest) {
			oldest = b.Oldest
		}
	}
	if oldest > 0 {
		s.OldestMS = uint64(max(1, c.node.cfg.Now().UnixMilli()-oldest))
	}
	return s
}
