// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/wire"
)

// request is a client's request, from a client or forwarded by a peer.
type request struct {
	method  string
	params  []byte // lent until the request is answered (I3)
	arrived time.Time
	// forwarded: another node could not coordinate it; it is not forwarded again.
	forwarded bool
	trace     string // of the client, once params are decoded
	// park takes the call out of its connection's window; nil where it is in none.
	park func() bool
}

// leaveWindow lets other requests of the connection be read while this one waits. It
// reports false where too many wait outside of the window already.
func (r *request) leaveWindow() bool { return r.park == nil || r.park() }

// encoder appends a result.
type encoder func(dst []byte) []byte

// method is how requests of one name are answered.
type method struct {
	name   string
	handle func(context.Context, *request) (encoder, error)
	reads  reads
	// quick ones never wait: they are answered where they were read, and are not counted
	// among the requests under way, so that a busy node still says who it is.
	quick bool
	// data: it is about keys, which this node may not be able to serve yet.
	data bool
	// gate is what its requests pass, unless they are quick.
	gate  *gate
	stats *methodStats
}

// reads says how much of the store a request holds until it is answered.
type reads uint8

const (
	readsNothing reads = iota
	readsOne           // an object
	readsPage          // a page of objects
)

// clientMethods are the methods of the client port.
func (s *Server) clientMethods() map[string]method {
	list := []method{
		{name: wire.MethodGet, handle: s.handleGet, reads: readsOne, data: true},
		{name: wire.MethodPut, handle: s.handlePut, data: true},
		{name: wire.MethodDelete, handle: s.handleDelete, data: true},
		{name: wire.MethodGetMany, handle: s.handleGetMany, reads: readsPage, data: true},
		{name: wire.MethodKeyScan, handle: s.handleScan, reads: readsPage, data: true},
		{name: wire.MethodHello, handle: s.handleHello, quick: true},
		{name: wire.MethodPing, handle: s.handlePing, quick: true},
		{name: wire.MethodClusterInfo, handle: s.handleClusterInfo, quick: true},
		{name: wire.MethodClusterStatus, handle: s.handleClusterStatus, quick: true},
		{name: wire.MethodBucketGet, handle: s.handleBucketGet, gate: s.decisions},
		{name: wire.MethodBucketList, handle: s.handleBucketList, quick: true},
	}
	list = append(append(list, s.repairMethods()...), s.hintsMethods()...)
	if s.parts.Control != nil {
		list = append(list,
			method{name: wire.MethodNodeStop, handle: s.handleNodeStop},
			method{name: wire.MethodNodeStart, handle: s.handleNodeStart})
	}
	if s.parts.Grouped {
		list = append(list, s.groupMethods()...)
	}
	methods := make(map[string]method, len(list))
	for _, m := range list {
		if m.gate == nil {
			m.gate = s.requests
		}
		m.stats = newMethodStats()
		methods[m.name] = m
	}
	return methods
}

// begin bounds ctx by the time that the request has, which runs since it arrived. One
// whose time is up before any work ends here: nothing was done, which TIMEOUT could not
// say.
func (s *Server) begin(ctx context.Context, req *request, c wire.Common) (
	context.Context, context.CancelFunc, error,
) {
	req.trace = c.Trace
	timeout := min(time.Duration(c.TimeoutMS)*time.Millisecond, s.cfg.MaxTimeout)
	ctx, cancel := context.WithDeadline(ctx, req.arrived.Add(timeout))
	if err := ctx.Err(); err != nil {
		cancel()
		return nil, nil, &coordinator.Error{
			Code: wire.CodeOverloaded, Err: err,
			Text: "the deadline passed before the work began; " + tryAgain,
		}
	}
	return ctx, cancel, nil
}
