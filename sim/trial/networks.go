// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"strings"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/sim/plan"
)

// held counts what cuts have held back or dropped.
func held(s memnet.Stats) uint64 { return s.CutBytes + s.PacketsCut + s.DialsHeld }

// cutting is a fault that cuts links.
func (r *run) cutting(f *fault, links func() []memnet.Link) []action {
	var before uint64
	return spanning(f, func() {
		before = held(r.cluster.Net.Stats())
		r.network.cuts[f.number] = links()
		r.network.apply()
	}, func() {
		f.bit = f.bit || held(r.cluster.Net.Stats()) > before
		delete(r.network.cuts, f.number)
		r.network.apply()
	})
}

// bending is a fault that changes what links do; count counts what it met.
func (r *run) bending(
	f *fault, from string, count func(memnet.Stats) uint64, change func(*memnet.Faults),
) []action {
	var before uint64
	return spanning(f, func() {
		before = count(r.cluster.Net.Stats())
		r.network.bends[f.number] = bend{from, change}
		r.network.apply()
	}, func() {
		f.bit = count(r.cluster.Net.Stats()) > before
		delete(r.network.bends, f.number)
		r.network.apply()
	})
}

func (r *run) addrs(hosts []*host) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h.Addr)
	}
	return out
}

// sides are the addresses of the fault's hosts, and of all others.
func (r *run) sides(f *fault) (one, other []string) {
	return r.addrs(f.hosts), r.addrs(r.pick(r.plan.Rest(f.Hosts)))
}

// halves cuts the fault's hosts off from the others.
func (r *run) halves(f *fault) []action {
	return r.cutting(f, func() []memnet.Link { return between(r.sides(f)) })
}

func (r *run) oneWay(f *fault) []action {
	return r.cutting(f, func() []memnet.Link {
		one, other := r.sides(f)
		if f.N == 1 {
			one, other = other, one
		}
		return towards(one, other)
	})
}

// ring lets each host hear a majority that is around it: what it is cut off from is on the
// far side.
func (r *run) ring(f *fault) []action {
	return r.cutting(f, func() []memnet.Link {
		var links []memnet.Link
		n := len(r.hosts)
		near := n / 4 // on either side: with itself about half
		near = max(near, 1)
		for i, a := range r.hosts {
			for j, b := range r.hosts {
				if far := (j - i + n) % n; far > near && n-far > near {
					links = append(links, memnet.Link{From: a.Addr, To: b.Addr})
				}
			}
		}
		return links
	})
}

// bridge cuts the others in two halves; the fault's host hears both.
func (r *run) bridge(f *fault) []action {
	return r.cutting(f, func() []memnet.Link {
		_, others := r.sides(f)
		return between(others[:len(others)/2], others[len(others)/2:])
	})
}

// clients cuts the host off from those who load it.
func (r *run) clients(f *fault) []action {
	return r.cutting(f, func() []memnet.Link {
		return between(r.clientNames(0), r.addrs(f.hosts))
	})
}

// swizzle cuts its hosts off one after the other in the first half, and mends them in
// another order in the second (FoundationDB's swizzle-clog).
func (r *run) swizzle(f *fault) []action {
	n := len(f.hosts)
	step := time.Duration(f.For) / time.Duration(2*n)
	all := r.addrs(r.hosts)
	cut := make(map[string]bool)
	var before uint64
	set := func() {
		var links []memnet.Link
		for _, addr := range all {
			if cut[addr] {
				links = append(links, between([]string{addr}, all)...)
			}
		}
		r.network.cuts[f.number] = links
		r.network.apply()
	}
	out := []action{{time.Duration(f.At), func() { before = held(r.cluster.Net.Stats()) }}}
	for i, h := range f.hosts {
		out = append(out, action{time.Duration(f.At) + time.Duration(i)*step, func() {
			cut[h.Addr] = true
			set()
		}})
	}
	for i, j := range r.source("swizzle").Perm(n) {
		out = append(out, action{time.Duration(f.At) + time.Duration(n+i)*step, func() {
			cut[f.hosts[j].Addr] = false
			set()
		}})
	}
	return append(out, action{f.End(), func() {
		f.bit = held(r.cluster.Net.Stats()) > before
		delete(r.network.cuts, f.number)
		r.network.apply()
	}})
}

// worse adds a chance to another.
func worse(a, b float64) float64 { return min(0.9, a+b) }

func (r *run) networks(f *fault) (func(*fault) []action, bool) {
	if f.Kind == plan.Isolate {
		return r.halves, true
	}
	kinds := map[plan.Kind]func(*fault) []action{
		plan.Halves: r.halves, plan.Ring: r.ring, plan.Bridge: r.bridge, plan.OneWay: r.oneWay,
		plan.Clients: r.clients, plan.Swizzle: r.swizzle,
		plan.Loss: func(f *fault) []action {
			return r.bending(f, "", func(s memnet.Stats) uint64 { return s.PacketsLost + s.Stalls },
				func(x *memnet.Faults) { x.Loss = worse(x.Loss, f.Share) })
		},
		plan.Delay: func(f *fault) []action {
			return r.bending(f, f.hosts[0].Addr, func(s memnet.Stats) uint64 { return s.Delivered },
				func(x *memnet.Faults) { x.Jitter += time.Duration(f.By) })
		},
		plan.Tail: func(f *fault) []action {
			return r.bending(f, "", func(s memnet.Stats) uint64 { return s.Slowed },
				func(x *memnet.Faults) {
					x.Slow, x.SlowBy = worse(x.Slow, f.Share), max(x.SlowBy, time.Duration(f.By))
				})
		},
		plan.Disorder: func(f *fault) []action {
			return r.bending(f, "",
				func(s memnet.Stats) uint64 { return s.PacketsReordered + s.PacketsTwice },
				func(x *memnet.Faults) {
					x.Reorder, x.Twice = worse(x.Reorder, f.Share), worse(x.Twice, f.Share/3)
				})
		},
		plan.Rate: func(f *fault) []action {
			return r.bending(f, f.hosts[0].Addr, func(s memnet.Stats) uint64 { return s.Throttled },
				func(x *memnet.Faults) {
					if x.Rate == 0 || f.N < x.Rate {
						x.Rate = f.N
					}
				})
		},
		plan.Resets: func(f *fault) []action {
			return r.bending(f, "", func(s memnet.Stats) uint64 { return s.ResetsDrawn },
				func(x *memnet.Faults) { x.Reset = worse(x.Reset, f.Share) })
		},
	}
	score, ok := kinds[f.Kind]
	return score, ok
}

// cutFromClients reports whether a host is cut off from those who load it with data.
func (n *conditions) cutFromClients(addr string) bool {
	for _, links := range n.cuts {
		for _, l := range links {
			if l.To == addr && strings.HasPrefix(l.From, processName) {
				return true
			}
		}
	}
	return false
}
