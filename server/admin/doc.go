// SPDX-License-Identifier: Apache-2.0

// Package admin answers the HTTP admin port of a node: whether it lives and serves, its
// metrics, and the profiles of its process. Whoever reaches the port is asked nothing, as
// on the other ports (ARCHITECTURE 10).
//
// # Invariants
//
//   - I1 It changes nothing: GET and HEAD are all that it answers, and bodies are not read.
//   - I2 What a stranger can hold is bounded: connections, the size and the time of a
//     request's head, the time of an answer. A profile may take longer than others, and
//     one that would take longer than that is refused.
//   - I3 /readyz is 200 exactly if `dyno health --ready` calls the node healthy: both go by
//     the same word of the node. /livez is 200 if anybody answers.
//   - I4 When Serve returns no goroutine of it is left.
//
// What it does not do: TLS and authentication come with their own feature, the page at /
// with another.
//
// # Goroutines
//
// The accept loop, one that ends it, and net/http's for each connection; Serve waits for
// all. It is served until after the drain, so that the drain can be watched.
package admin
