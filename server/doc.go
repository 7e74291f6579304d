// SPDX-License-Identifier: Apache-2.0

// Package server answers the client port and the peer port. It turns bytes into
// requests, errors into codes, and holds no rule of the protocol: clients' requests go
// to package coordinator, peers' to package replica, and what the metadata group decides
// (sessions, locks, buckets, members) to package meta.
//
// Read handleGet and handlePut first: decode, find the bucket, open the context, ask the
// coordinator, encode.
//
// # Invariants
//
//   - I1 Every request is answered exactly once, or its connection is gone.
//   - I2 At most MaxRequests requests of clients, of at most MaxBytes, are worked on at a
//     time, those included that peers forward; above it they are refused with OVERLOADED
//     before anything was done. The same holds for peers' requests, by bounds of their own.
//   - I3 Whatever outlives a request has been copied out of the connection's buffer.
//   - I4 An error is told once, to the client; INTERNAL alone is logged too, since it is
//     a fault of our own.
//   - I5 A context is opened with the binding of the key that the request names, so one
//     of another key, bucket or cluster is INVALID.
//   - I6 The answer is the map that docs/protocol.md has; what does not fit a message is
//     paged or told, never cut off. The answer of a write that was stored always fits.
//   - I7 A request whose time is over when its work would begin has done nothing, and is
//     told so by a code that says that. NO_LEADER is told only where the group was asked
//     for nothing that it may yet do.
//   - I8 Once DrainClients has returned nothing is coordinated here, not even for peers.
//   - I9 From a peer whose hello was not accepted nothing else is taken: messages of at
//     most 16 KiB, for 5 s.
//   - I10 Requests to the metadata group never wait for room behind those for keys, nor
//     what ends a wait for a lock behind the waits; calls of its members pass no gate here.
//
// What it does not do: TLS and authentication have their place (rpc takes a TLS config,
// hello an auth map) and come with their own feature; the page and metrics come later.
//
// # Goroutines
//
// A client's request has a goroutine to itself and ends by its deadline; up to 256 of
// these are kept for the next request, for their stacks. So has a wait for a lock, and a
// keep-alive, which are outside of their connection's window. Those that never wait (hello,
// ping, what is told of the cluster) run where they were read. Peers' reads and writes
// run like requests. One goroutine at most asks the group for buckets that nobody here
// has heard of. [Server.Wait] waits for all.
package server
