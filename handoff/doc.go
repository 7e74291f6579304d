// SPDX-License-Identifier: Apache-2.0

// Package handoff delivers hints: what this node keeps for members of slots that could not
// be reached goes to them as soon as they can (DeCandia et al., "Dynamo", 2007, section
// 4.6). The hints are package replica's, which keeps, lists and deletes them.
//
//	d, err := handoff.New(cfg, replica, peers, budget, log)
//	err = d.Run(ctx)    // delivers, until ctx ends
//	d.Wake()            // when gossip has news
//
// A slot's hints are gone through in the order of their keys, page by page: a *pass*. Who
// the members of the slot are is looked up in the newest ring for each hint (TRAPS S9). A
// hint that all of them have answered for, durably, is deleted if it still is what was sent
// (TRAPS S7, S8). Where a member fails, the pass is broken off, and begun anew after a pause
// that doubles.
//
// # Invariants
//
//   - I1 No hint is deleted before every member of its slot has said, as an owner, that it
//     has stored it durably.
//   - I2 What can not be read, or not be delivered, stays; it holds up nothing but a wait
//     for it.
//   - I3 At most Config.Window hints are on their way to one member at a time, and one page
//     of each member's hints is in memory beside them.
//   - I4 Nothing is sent before the hints of earlier lives are counted, nor by a store that
//     the group has not judged or that it refuses.
//   - I5 A pass is clean if everything that it met was delivered. [Deliverer.Ended] comes to
//     a mark only when each slot that had hints at the mark has had a clean pass that began
//     after it.
//
// # The sync point
//
// [Syncer] waits until all that is older than a moment is where it belongs, on all nodes:
// first until every node's sends that are older have ended, for they leave hints and
// markers; then until every node's hints that are older were delivered. A node that is out
// of reach is waited for. A process that ended has no sends open any more, and its hints are
// marked again in the next one.
//
// What it does not do: it decides nothing about versions, and mends nothing that no hint
// tells of; that is anti-entropy's.
//
// # Goroutines
//
// Run is one, the caller's; what it has under way are calls, which it waits for. A Syncer
// asks from the goroutines of its callers.
package handoff
