// SPDX-License-Identifier: Apache-2.0

// Package dev runs a whole cluster in one process: real nodes with real sockets and
// stores, that form a cluster as those of `dyno serve` do. It is what `dyno dev` shows,
// and what tests of the client side run against.
//
// The file cluster.json in the cluster's directory holds what was asked for when it was
// made, and whether it has been formed. What the cluster is its nodes know.
//
// # Invariants
//
//   - I1 The cluster is formed once: from then on no node founds one in an empty directory.
//   - I2 What is fixed at formation is in the file, durably, before any node opens.
//   - I3 Addresses may change between starts; who a node is, its directory says.
//   - I4 A node that stops by itself (a failed disk) takes the process with it: the
//     operator must see it.
//
// # Goroutines
//
// One for each running node, started by Run or StartNode, ended by StopNode or the end
// of Run, which waits for all.
package dev
