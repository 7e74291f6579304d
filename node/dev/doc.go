// SPDX-License-Identifier: Apache-2.0

// Package dev runs a whole cluster in one process: real nodes with real sockets and
// stores, and a file in the place of the metadata group. It is what `dyno dev` shows,
// and what tests of the client side run against.
//
// The file, cluster.json in the cluster's directory, holds what the group would: cluster
// id, members with their numbers and instances, the ring, and the newest opening of each
// store. It is replaced as a whole, synced, at formation and at each opening.
//
// # Invariants
//
//   - I1 The cluster is formed once: the file is durable before any node opens.
//   - I2 An opening is durable in the file before the node hears that it is confirmed.
//   - I3 Identity comes from the file only; addresses may change between starts.
//   - I4 A node that stops by itself (a failed disk) takes the process with it: the
//     operator must see it.
//
// # Goroutines
//
// One for each running node, started by Run or StartNode, ended by StopNode or the end
// of Run, which waits for all.
package dev
