// SPDX-License-Identifier: Apache-2.0

// Package node is the composition root: it opens the parts of one member in order, runs
// them in one group, drains and closes them in reverse, and connects what rooms of one
// row need of each other. It holds no rule of the protocol.
//
// [Open] takes the directory, asks the group who this member is, and returns a node
// whose listeners are bound. [Node.Run] blocks until its context ends or a part fails.
//
// # Invariants
//
//   - I1 The directory's identity is checked before anything is written into it.
//   - I2 This opening of the store is durable before the group is asked about it, and
//     the clean mark is gone, durably, before the first write can be taken in.
//   - I3 Parts end in the reverse order of their use: clients are drained before
//     sends, sends before peers, peers before the store.
//   - I4 A clean mark is written only after every shard of the store has ended without
//     an error.
//   - I5 The first failed write or sync ends Run with an error (fail-stop).
//   - I6 Which life of its node's store a directory holds stands in it, and its replies
//     carry that and no other. A new life begins by an operator's word alone, on a
//     directory of which nothing is left (docs/adr/0022).
//
// # Goroutines
//
//	ports     clients, peers                            end by draining
//	admin     the HTTP admin port                       ends after the drain, with ports
//	grow      makes the node a member, opens its data   ends when that is done, or with peers
//	group     this member's part in the metadata group  ends with peers
//	peers     connections to the other members          end after the sends
//	probe     pings members whose liveness is doubted   ends with peers
//	gossip    memberlist and its loops                  ends with peers
//	confirm   asks the group about this opening, and
//	          then whether another one has followed     ends with peers
//	join      is any address to join another cluster's? ends when all have been asked
//	around    asks there for members that moved         ends with peers
//	watch     ring and gossip changes                   ends with peers
//	fill      fills a store that was lost, by
//	          transfer                                  ends when it is full, or with peers
//	sweep     removes deleted buckets                   ends with peers
//	handoff   delivers hints                            ends with peers
//	trees     builds the trees that are missing         ends with peers
//	exchange  compares replicas, repairs, scrubs        ends with peers
//	look      shows the budget how long clients wait    ends with peers
//	store     shards, committer, answers, tending       ends after peers
//	control   tends the control store                   ends with store
package node
