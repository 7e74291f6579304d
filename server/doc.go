// SPDX-License-Identifier: Apache-2.0

// Package server answers the client port and the peer port. It turns bytes into
// requests, errors into codes, and holds no rule of the protocol: clients' requests go
// to package coordinator, peers' to package replica.
//
// Read handleGet and handlePut first: decode, find the bucket, open the context, ask the
// coordinator, encode.
//
// # Invariants
//
//   - I1 Every request is answered exactly once, or its connection is gone.
//   - I2 At most MaxRequests client requests are worked on at a time; above it they are
//     refused with OVERLOADED before anything was done.
//   - I3 Whatever outlives a request has been copied out of the connection's buffer.
//   - I4 An error is told once, to the client; it is logged only where an operator must
//     act.
//   - I5 A context is opened with the binding of the key that the request names, so one
//     of another key, bucket or cluster is INVALID.
//   - I6 The answer is the map that docs/protocol.md has; what does not fit a message is
//     paged or told, never cut off.
//
// What it does not do: TLS and authentication have their place (rpc takes a TLS config,
// hello an auth map) and come with their own feature; the page and metrics come later.
//
// # Goroutines
//
// A client request runs in a goroutine of its own, counted by rpc's open calls, and
// ends by its deadline. Peers' reads and writes run likewise. Drain waits for all.
package server
