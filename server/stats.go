// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dyno-kv/dyno/internal/tally"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// otherMethod is what requests of unknown methods are counted as: clients choose names.
const otherMethod = "other"

// otherCode is what failures are counted as whose code this release does not know: a newer
// member may have answered what was forwarded to it.
const otherCode = wire.Code("OTHER")

// methodStats counts the requests of one method, by how they ended.
type methodStats struct {
	codes []wire.Code // that are told apart, and otherCode at their end; immutable
	ok    tally.Doubling
	// failed has one for each of codes, made when it comes: few ever come to a method.
	failed []atomic.Pointer[tally.Doubling]
}

func newMethodStats() *methodStats {
	codes := append(wire.Codes(), otherCode)
	return &methodStats{codes: codes, failed: make([]atomic.Pointer[tally.Doubling], len(codes))}
}

// observe counts a request; failure is its error's text, empty where it succeeded.
func (m *methodStats) observe(failure string, took time.Duration) {
	if failure == "" {
		m.ok.ObserveTime(took)
		return
	}
	code, _ := wire.ParseError(failure)
	i := slices.Index(m.codes, code)
	if i < 0 {
		i = len(m.codes) - 1
	}
	at := &m.failed[i]
	times := at.Load()
	if times == nil {
		at.CompareAndSwap(nil, &tally.Doubling{})
		times = at.Load()
	}
	times.ObserveTime(took)
}

// RequestStats is what clients asked of one method, and how that ended.
type RequestStats struct {
	Method string
	Code   wire.Code       // empty: it succeeded
	Times  *tally.Doubling // how long it took until it was answered
}

// Requests tells what clients have asked since the start, in order of methods and codes;
// what never came is left out. Requests that other nodes forward are counted there.
func (s *Server) Requests() []RequestStats {
	var list []RequestStats
	for name, m := range s.methods {
		list = m.stats.tell(list, name)
	}
	slices.SortFunc(list, func(a, b RequestStats) int {
		return cmp.Or(cmp.Compare(a.Method, b.Method), cmp.Compare(a.Code, b.Code))
	})
	return s.strangers.tell(list, otherMethod)
}

func (m *methodStats) tell(list []RequestStats, name string) []RequestStats {
	if m.ok.Count() > 0 {
		list = append(list, RequestStats{Method: name, Times: &m.ok})
	}
	for i := range m.failed {
		if times := m.failed[i].Load(); times != nil {
			list = append(list, RequestStats{Method: name, Code: m.codes[i], Times: times})
		}
	}
	return list
}

// ReadStats is what reads of one key have shown.
type ReadStats struct {
	Siblings tally.Doubling // versions that a key shows
	Context  tally.Doubling // bytes of the context that clients are handed, encoded
}

// Reads is what kv.get has shown since the start.
func (s *Server) Reads() *ReadStats { return &s.shown }

// GateStats is how full one of the gates is that requests pass.
type GateStats struct {
	Name    string
	Open    int
	Refused uint64 // for want of room, since the start
}

// Gates tells of all gates.
func (s *Server) Gates() []GateStats {
	list := []GateStats{
		{Name: "keys"}, {Name: "decisions"}, {Name: "waits"}, {Name: "renewals"}, {Name: "peers"},
	}
	for i, g := range []*gate{s.requests, s.decisions, s.attempts, s.renewals, s.peers} {
		list[i].Open, list[i].Refused = g.counts()
	}
	return list
}

// PortStats is what one of the ports holds, and whom it has turned away.
type PortStats struct {
	Name string
	rpc.Stats
	rpc.Refusals
}

// Ports tells of both ports.
func (s *Server) Ports() []PortStats {
	return []PortStats{
		{"client", s.client.Stats(), s.client.Refusals()},
		{"peer", s.peer.Stats(), s.peer.Refusals()},
	}
}
