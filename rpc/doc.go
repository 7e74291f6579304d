// SPDX-License-Identifier: Apache-2.0

// Package rpc carries MessagePack-RPC over connections: a [Server] answers, a
// [Client] asks, and a [Peer] keeps clients of another node alive. The client port
// and the peer port speak the same framing (docs/protocol.md); between peers
// messages above [Limits].Chunk travel in chunks, so that a short message never
// waits for a long one.
//
// It is a shell: it owns sockets, goroutines and deadlines, and knows nothing of
// what is called. Params and results are raw MessagePack here; package wire reads
// the headers, and codecs the rest. Deadlines travel inside the params, as the
// milliseconds that remain: the codec writes and reads them, the handler derives
// its context from them, and [Client] keeps the caller's own deadline.
//
// # Invariants
//
//   - I1 No byte from a socket reaches a decoder or handler before the structural
//     scan of package wire has accepted the whole message, chunks put together.
//   - I2 Every call of a client is completed exactly once: by its answer, its
//     deadline, or the end of its connection. A late answer is dropped.
//   - I3 A call that fails with [ErrNotSent] was not carried out and never will be:
//     not one byte of it was handed to the socket. Any other failure without an
//     answer is [ErrUnanswered], a timeout included.
//   - I4 Every request that is read gets exactly one answer, SHUTTING_DOWN and
//     TOO_LARGE included, unless its connection ends first.
//   - I5 All that a connection holds is bounded by its [Limits]: bytes read and not
//     handled, calls open, bytes unsent. A full bound stops the reading of that
//     connection, and of no other. What all of a server hold together is bounded by
//     [ServerConfig].Held: above it the one that holds most is closed.
//   - I6 Nobody but a connection's writer waits for its socket to accept bytes: Go,
//     Reply and Notify never wait, whatever the other side does.
//   - I7 No mutex is held over a wait, no channel, pool or limiter lives at package
//     level: all of it runs in a testing/synctest bubble, on memnet.
//
// # Writing
//
// Whoever has a message appends it to the connection's batch and leaves a token
// for the writer. The writer steps back once (runtime.Gosched), so that everybody
// who is ready appends first, and then hands the whole batch to one write. At 64
// calls in flight that is a few microseconds of CPU for both sides of a call. A
// sender that flushes by itself is as cheap, but would wait for a slow socket on
// the goroutine of a coordinator or committer (I6).
//
// # Liveness
//
// A node never speaks first to a client that did not ask for it, and many clients
// answer no requests: idle clients are therefore pinged by TCP keep-alive, after
// 60 s of silence and closed after two missed answers. Between peers the calling
// side sends ping requests after 60 s and closes after two without any message in
// return; the answering side closes a connection that was silent for 180 s.
// In memnet, which has no keep-alive, an idle client connection stays.
//
// # Closing
//
// The answering side ends a connection by closing its writing half and reading on
// for up to a second: closing with bytes unread would reset the connection, and
// might destroy the last answer on its way.
//
// # Goroutines
//
//	what                started by         ends when                waited for by
//	accept loop         caller of Serve    ctx ends, Shutdown       the caller
//	listener watcher    Serve              Serve's conns are gone   Serve
//	connection reader   Serve              connection ends          Serve
//	connection writer   its reader         connection ends          its reader
//	authentication      reader (timer)     fires once, or stopped   nobody: it waits for nothing
//	client reader       caller of Run      connection or ctx ends   the caller
//	client writer       Client.Run         connection ends          Client.Run
//	client watcher      Client.Run         connection or ctx ends   Client.Run
//	peer keeper         Peer.Run, per conn ctx ends                 Peer.Run
//	client of a keeper  peer keeper        connection or ctx ends   peer keeper
//
// Handlers run on the connection reader; goroutines that they start are theirs.
package rpc
