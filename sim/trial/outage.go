// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"math/bits"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// recovery is how long after an outage operations may still suffer from it: connections are
// made again, and members believed again.
const recovery = 3 * time.Second

// outage is when something is not there to serve.
type outage struct {
	name  string
	since int64 // -1: it is there
	past  []history.Event
}

func (o *outage) watch(out bool, now int64) {
	switch {
	case out && o.since < 0:
		o.since = now
	case !out && o.since >= 0:
		o.past = append(o.past, history.Event{
			Name: o.name, From: o.since, Until: now + int64(recovery),
		})
		o.since = -1
	}
}

// watchOutages notes since when no set of hosts that hear each other, and the clients, is
// large enough to have a majority of every key, and since when a host is in none.
func (r *run) watchOutages() {
	in := r.served()
	r.total.watch(in == 0 || r.torn(), r.now())
	for i, h := range r.hosts {
		h.away.watch(in>>i&1 == 0, r.now())
	}
}

// torn reports whether connections are reset at random while a majority is all of a key's
// replicas, as with two: nobody stands in for the one whose connection is being made again.
func (r *run) torn() bool {
	c := r.plan.Cluster
	return c.Replicas > 1 && c.Majority() == c.Replicas && r.network.of("").Reset > 0
}

// endOutages ends what is still out.
func (r *run) endOutages() {
	r.total.watch(false, r.now())
	for _, h := range r.hosts {
		h.away.watch(false, r.now())
	}
}

// served are the hosts, as bits, that are in some set of hosts which serve, hear each other,
// and are enough for a majority of every key.
func (r *run) served() (in uint) {
	hears := make([]uint, len(r.hosts)) // by host: who serves and is heard, and hears it
	for i, a := range r.hosts {
		if !a.serves() || r.network.cutFromClients(a.Addr) {
			continue
		}
		hears[i] |= 1 << i
		for j, b := range r.hosts[:i] {
			if net := r.cluster.Net; hears[j] != 0 &&
				!net.IsCut(a.Addr, b.Addr) && !net.IsCut(b.Addr, a.Addr) {
				hears[i] |= 1 << j
				hears[j] |= 1 << i
			}
		}
	}
	for set := range uint(1) << len(r.hosts) {
		if bits.OnesCount(set) >= r.plan.Cluster.Needed() && clique(hears, set) {
			in |= set
		}
	}
	return in
}

// clique reports whether all of a set hear each other.
func clique(hears []uint, set uint) bool {
	for i := range hears {
		if set>>i&1 == 1 && hears[i]&set != set {
			return false
		}
	}
	return true
}

// suffers reports whether an operation runs into an outage: of all, or of the one host that
// it asks.
func (r *run) suffers(op *history.Op) bool {
	if touches(op, r.total.past) || r.asksTheGroup(op) {
		return true
	}
	return op.Pinned && slices.ContainsFunc(r.hosts, func(h *host) bool {
		return (op.Node == h.Name || op.Node == h.Member.Client) && touches(op, h.away.past)
	})
}

// asksTheGroup reports whether an operation counts owners that the group has confirmed, as
// atomic reads do: one that was started while the nodes' own group was out of reach is none.
func (r *run) asksTheGroup(op *history.Op) bool {
	return r.plan.Grouped && (op.Atomic || max(op.PR, op.PW) > 0)
}

func touches(op *history.Op, events []history.Event) bool {
	for i := range events {
		if op.Invoked <= events[i].Until && op.Completed >= events[i].From {
			return true
		}
	}
	return false
}
