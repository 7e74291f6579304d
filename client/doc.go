// SPDX-License-Identifier: Apache-2.0

// Package client is the Go client of dyno. A [Client] finds the nodes of a cluster from a
// few endpoints, sends each request to an owner of its key, and tries again where the
// protocol (docs/protocol.md) says that it may.
//
//	cfg := client.DefaultConfig()
//	cfg.Endpoints = []string{"127.0.0.1:4610"}
//	c, err := client.New(cfg)
//	...
//	defer c.Close()
//	carts := c.Bucket("default")
//	found, err := carts.Get(ctx, []byte("cart:17"))
//	...
//	_, err = carts.Put(ctx, []byte("cart:17"), value, client.WithContext(found.Context))
//
// A key may have several values, siblings: the outcome of writes that did not know of
// each other. A reader gets all of them, with a [Context]; a put with that context
// replaces what was read, and nothing else. A put without context replaces nothing.
// [Bucket.Update] does the round of reading, joining and writing.
//
// # Errors
//
// Errors are of type *[Error]. errors.Is tells which, by the sentinels of this package;
// Error.Outcome tells whether a write that failed may nevertheless be there. Only one
// with OutcomeNone may simply be done again; one with OutcomeUnknown may be done again
// with the same request id, or read first.
//
// # Invariants
//
//   - I1 The outcome of a request is unknown if that of any of its attempts was: no later
//     answer makes it none, but for one of the metadata group, which knows what it did.
//   - I2 All attempts of one write carry the same request id, drawn for it alone unless
//     the caller gave one.
//   - I3 After an attempt of unknown outcome a write goes to the same node once more
//     before it goes elsewhere: the coordinator knows the request id. A write without
//     request id (a node stopped) is never sent again then.
//   - I4 A request ends by its deadline: the sooner of the caller's and Config.Timeout.
//     Attempts are bounded by Config.Retry.
//   - I5 ErrConnect means that not a byte of any attempt was sent.
//   - I6 A request runs on the caller's goroutine; there is none for each call. Only what
//     nobody waits for any more has one: see below.
//   - I7 A client speaks to the nodes of one cluster: that of the first hello.
//   - I8 Routing is an optimisation. Any node answers any request; a ring that is old,
//     wrong or missing costs a hop and nothing else.
//   - I9 A lock is handed out, and not told to be lost, only while the group can not have
//     ended its session: counted by this side's clock from when the newest renewal that
//     was answered had been sent.
//   - I10 A holder number is told to be finished with only when the group has ended it,
//     or has never been asked about it: no late request gets a lock for nobody.
//
// # Routing
//
// With the first request about a key the client fetches the ring (cluster.info), and
// again when an answer tells a newer version, or a node is not where the ring has it. A
// key's owners are asked first, in order, then the other members, then the endpoints.
//
// A node is out of reach while no connection to it is up and the last attempt to make one
// failed, or takes long. It gets no request while others are there to answer; the client
// goes on connecting in the background, pauses of at most 2 s between, and asks it in its
// turn when that succeeds. Where every node is out of reach, requests wait for them. The
// first to meet a silent node waits a quarter of TryTimeout, at least 250 ms, and then
// asks another; only a write that comes back to its coordinator (I3), a request to one
// endpoint, and a last attempt wait longer.
//
// A node that is connected and failed (no answer, shutting down) is asked last for 100 ms,
// twice as long each time it fails again, up to 3 s; then one request finds out whether
// it is back.
//
// # Locks
//
//	s, err := c.NewSession(ctx)
//	...
//	defer s.Close(context.WithoutCancel(ctx))
//	held, err := s.Mutex("jobs/compact").Lock(ctx)
//	...
//	defer held.Unlock(context.WithoutCancel(ctx))
//	work(held.Fence(), held.Lost())
//
// or [Client.WithLock], which does all of it. A lock is a lease: it is held while its
// session is renewed, and no longer. The client counts a session as lost an eighth of its
// time to live (at least 500 ms) before the group may end it; then [Held.Lost] is closed,
// and the holder has to stop. A process that is paused meanwhile learns of it too late,
// and so does one on a machine that sleeps: Go's clock stands still then. Locks alone
// exclude nobody for sure; whatever must be protected has to compare [Held.Fence] with the
// highest it has seen.
//
// A renewal is sent a quarter of the time to live after the last, to one node. Where that
// has not answered for a sixth of it, three others are asked as well, and three more after
// each further sixth; nobody is given up before another answers. So a session with a time to
// live of 10 s or more survives pauses of one process at a time, this one included, of up to
// half of that, and changes of leader meanwhile: docs/protocol.md, session.keepalive, says
// exactly what it survives.
//
// Each attempt has a number of its own, so that goroutines of one session exclude each
// other, and so that a request which arrives twice, or late, changes nothing. Who gives up
// cancels its number. Requests about locks go to any node, again and again as their time
// allows: an election takes seconds.
//
// # What it does not do
//
// Semaphores, elections, fenced writes and changing the cluster come with those features.
//
// # Goroutines
//
//	what            started by                ends when                 waited for by
//	keeper          a request, per connection connection ends, Close    Close
//	bringBack       failing to connect, one   the node is in reach     Close
//	                at a time per node        or left the ring, Close
//	ring fetch      a request, one at a time  the fetch ends, Close     Close
//	keep            NewSession, per session   session is over, Close    Close
//	asking          keep, for each node       one has answered          keep
//	                asked for a renewal
//	cancelling      a caller that gave up,    the group has answered,   Close
//	                where that took too long  session is over, Close
//	abandoning      a NewSession that failed  answer, deadline, Close   Close
//	session clock   NewSession (timer)        fires, or session is over nobody: it waits
//	                                                                    for nothing
//	rpc writer and  the keeper (rpc.Client)   connection ends           the keeper
//	watcher
package client
