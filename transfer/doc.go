// SPDX-License-Identifier: Apache-2.0

// Package transfer fills a store that began its life with nothing, since the one that its
// node had before is lost (docs/adr/0022): it fences the other owners, copies them, looks
// whether all is here, and tells the group. The rule of all that is ring.Refill.
//
//	f, err := transfer.New(cfg, parts, log)
//	full, err := f.Run(ctx)
//
// # Invariants
//
//   - I1 Nothing of an owner is copied before it has acknowledged the fence of this refill
//     (TRAPS T3), in the life that it is copied in.
//   - I2 An owner is a source when each of its partitions was copied to its end and is
//     durable here. What could not be read or stored keeps it from being one (T13).
//   - I3 The end is proposed after two rounds in a row in which no source listed anything
//     that was not here a pause later, and after this node has fenced itself.
//   - I4 What was finished is noted, for one life of each source, and not done again after
//     a restart.
//   - I5 The store has the purge epochs of its partitions before it has any data: it takes
//     nothing that is older than what was purged (TRAPS T19, G5).
//   - I6 One page of one source is in memory at a time.
//
// What it does not do: it decides nothing about versions, stores by package replica, and
// counts no quorum. Moves of slots come later.
//
// Goroutines: none of its own; Run is its caller's.
package transfer
