// SPDX-License-Identifier: Apache-2.0

package memnet

import (
	"maps"
	"slices"
	"syscall"
)

// Cut cuts the link from one host to another, in this direction only.
func (n *Network) Cut(from, to string) { n.setCut(from, to, true) }

// Mend undoes Cut.
func (n *Network) Mend(from, to string) { n.setCut(from, to, false) }

func (n *Network) setCut(from, to string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(host(from), host(to)).setCut(cut)
}

// IsCut reports whether the link from one host to another is cut.
func (n *Network) IsCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(host(from), host(to)).cut
}

// Partition cuts every link between hosts of different groups, both ways, and
// mends those within a group. Links of hosts that are in no group stay as they are.
func (n *Network) Partition(groups ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, group := range groups {
		for j, other := range groups {
			for _, from := range group {
				for _, to := range other {
					if from != to {
						n.link(host(from), host(to)).setCut(i != j)
					}
				}
			}
		}
	}
}

// Grudge cuts exactly these links and mends all others: any set of directions, so
// that who hears whom need be neither symmetric nor transitive.
func (n *Network) Grudge(cuts ...Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	want := make(map[*link]bool)
	for _, c := range cuts {
		want[n.link(host(c.From), host(c.To))] = true
	}
	for _, l := range n.ordered {
		l.setCut(want[l])
	}
}

// Heal mends every link that is cut; faults and pauses stay.
func (n *Network) Heal() { n.Grudge() }

func (l *link) setCut(cut bool) {
	p := l.passage
	p.cut = cut
	l.become(p)
}

// Pause stops a host, as a signal stops a process: what it sends leaves when it goes
// on, what comes waits in its sockets, and it accepts nobody. Its kernel still
// answers: what had left arrives, and who dials it is connected. Deadlines go on;
// the host's clock is not the network's.
func (n *Network) Pause(name string) { n.setPaused(name, true) }

// Resume undoes Pause.
func (n *Network) Resume(name string) { n.setPaused(name, false) }

func (n *Network) setPaused(name string, paused bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pause(host(name), paused)
}

func (n *Network) pause(name string, paused bool) {
	if n.paused[name] == paused {
		return
	}
	if paused {
		n.paused[name] = true
		n.stats.Pauses++
	} else {
		delete(n.paused, name)
	}
	for _, l := range n.ordered {
		p := l.passage
		if l.From == name {
			p.fromPaused = paused
		}
		if l.To == name {
			p.toPaused = paused
		}
		l.become(p)
	}
	for _, l := range sorted(n.listeners) {
		if host(l.addr) == name {
			l.arrived.all()
		}
	}
	for _, p := range sorted(n.packets) {
		if host(p.addr) == name {
			p.changed.all()
		}
	}
}

// Kill does to a host what the end of its process does: its listeners and packet
// sockets close, and its connections are reset. What it had sent and has landed
// can still be read; the other side learns of the reset as soon as the link lets
// it. Whoever still dials for the dead process fails. The host may listen again at
// once, and is not paused any more.
func (n *Network) Kill(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name = host(name)
	n.lives[name]++
	resets := n.stats.Resets
	for _, l := range sorted(n.listeners) {
		if host(l.addr) == name {
			n.closeListener(l)
		}
	}
	for _, p := range sorted(n.packets) {
		if host(p.addr) == name {
			n.closePacket(p)
		}
	}
	for _, l := range n.ordered {
		if l.From == name {
			l.parked = nil
			l.resetAll()
		}
		if l.To == name {
			for _, s := range slices.Clone(l.open) {
				s.readerGone()
			}
		}
		if l.From == name || l.To == name {
			l.changed.all()
		}
	}
	n.stats.ResetsForced += n.stats.Resets - resets
	n.pause(name, false)
}

// Reset resets every connection between two hosts, as a box on the way does that has
// lost its state. It returns how many there were.
func (n *Network) Reset(one, other string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	resets := n.stats.Resets
	n.link(host(one), host(other)).resetAll()
	n.link(host(other), host(one)).resetAll()
	resets = n.stats.Resets - resets
	n.stats.ResetsForced += resets
	return int(resets)
}

func (l *link) resetAll() {
	for _, s := range l.open {
		s.abort(syscall.ECONNRESET)
	}
}

// sorted are the values of a map in the order of their keys.
func sorted[V any](m map[string]V) []V {
	var values []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[k])
	}
	return values
}
