// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
)

// conditions are what the network does: what each link does all the time, and what the
// faults that are set add to that. A fault's part is named by the fault's number, so that
// faults may overlap and end in any order.
type conditions struct {
	net   *memnet.Network
	hosts []string
	base  memnet.Faults
	cuts  map[int][]memnet.Link
	bends map[int]bend
}

// bend is what one fault does to links.
type bend struct {
	from   string // whose messages; "": everybody's
	change func(f *memnet.Faults)
}

func newConditions(c *sim.Cluster, l plan.Link) *conditions {
	n := &conditions{
		net: c.Net, cuts: make(map[int][]memnet.Link), bends: make(map[int]bend),
		base: memnet.Faults{
			Delay: time.Duration(l.Delay), Jitter: time.Duration(l.Jitter), Loss: l.Loss,
		},
	}
	for _, h := range c.Hosts {
		n.hosts = append(n.hosts, h.Addr)
	}
	n.apply()
	return n
}

// apply sets on the network what the faults come to.
func (n *conditions) apply() {
	seen := make(map[memnet.Link]bool)
	var cuts []memnet.Link
	for _, i := range slices.Sorted(maps.Keys(n.cuts)) {
		for _, l := range n.cuts[i] {
			if !seen[l] {
				seen[l] = true
				cuts = append(cuts, l)
			}
		}
	}
	slices.SortFunc(cuts, func(a, b memnet.Link) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	n.net.Grudge(cuts...)
	n.net.SetDefaults(n.of(""))
	for _, from := range n.hosts {
		if !n.bent(from) {
			continue
		}
		for _, to := range n.hosts {
			if to != from {
				n.net.SetFaults(from, to, n.of(from))
			}
		}
	}
}

func (n *conditions) bent(from string) bool {
	for _, b := range n.bends {
		if b.from == from {
			return true
		}
	}
	return false
}

// of is what links from a host do; "": those of everybody else.
func (n *conditions) of(from string) memnet.Faults {
	f := n.base
	for _, i := range slices.Sorted(maps.Keys(n.bends)) {
		if b := n.bends[i]; b.from == "" || b.from == from {
			b.change(&f)
		}
	}
	return f
}

// mend takes everything back, at the next apply.
func (n *conditions) mend() {
	clear(n.cuts)
	clear(n.bends)
}

// exileKey is beyond the numbers of faults.
const exileKey = 1 << 30

// exile cuts a host off from everybody, at the next apply.
func (n *conditions) exile(addr string, clients []string) {
	all := append(slices.Clone(n.hosts), clients...)
	n.cuts[exileKey] = append(n.cuts[exileKey], between([]string{addr}, all)...)
}

// between are the links between two groups, both ways. Who is in both is not cut from
// itself.
func between(one, other []string) []memnet.Link {
	return append(towards(one, other), towards(other, one)...)
}

func towards(from, to []string) []memnet.Link {
	var links []memnet.Link
	for _, a := range from {
		for _, b := range to {
			if a != b {
				links = append(links, memnet.Link{From: a, To: b})
			}
		}
	}
	return links
}
