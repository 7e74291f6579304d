// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"sync"

	"github.com/dyno-kv/dyno/jepsen/network"
)

// pair is one direction between two hosts.
type pair struct{ from, to int }

// grid lays the rules of several faults of a network over each other.
type grid struct {
	net network.Network

	mu    sync.Mutex // guards what follows; nothing waits under it
	next  int
	rules map[int]map[pair]network.Rule // by fault
}

func newGrid(n network.Network) *grid {
	return &grid{net: n, rules: make(map[int]map[pair]network.Rule)}
}

// lay adds the rules of a fault, and returns what takes them away again and tells how often
// they were met.
func (g *grid) lay(rules map[pair]network.Rule) (lift func() (int64, error), err error) {
	before := g.bites(rules)
	g.mu.Lock()
	id := g.next
	g.next++
	g.rules[id] = rules
	err = g.apply(rules)
	g.mu.Unlock()
	return func() (int64, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.rules, id)
		err := g.apply(rules)
		return g.bites(rules) - before, err
	}, err
}

// apply sets what some pairs have now.
func (g *grid) apply(pairs map[pair]network.Rule) error {
	var errs []error
	for p := range pairs {
		var all network.Rule
		for _, rules := range g.rules {
			all = both(all, rules[p])
		}
		errs = append(errs, g.net.Set(p.from, p.to, all))
	}
	return errors.Join(errs...)
}

func (g *grid) bites(pairs map[pair]network.Rule) (sum int64) {
	for p := range pairs {
		sum += g.net.Counts(p.from, p.to).Bites()
	}
	return sum
}

// both is what meets packets where two rules do: the worse of each.
func both(a, b network.Rule) network.Rule {
	out := network.Rule{
		Drop: a.Drop || b.Drop, Jam: a.Jam || b.Jam, Reset: a.Reset || b.Reset,
		Loss: max(a.Loss, b.Loss), Duplicate: max(a.Duplicate, b.Duplicate),
		Reorder: max(a.Reorder, b.Reorder), Corrupt: max(a.Corrupt, b.Corrupt),
		Delay: max(a.Delay, b.Delay), Jitter: max(a.Jitter, b.Jitter),
		Rate: max(a.Rate, b.Rate),
	}
	if a.Rate > 0 && b.Rate > 0 {
		out.Rate = min(a.Rate, b.Rate)
	}
	return out
}

// cut keeps two sets of hosts apart, in both directions.
func cut(rules map[pair]network.Rule, some, others []int) {
	oneWay(rules, some, others)
	oneWay(rules, others, some)
}

// oneWay loses what some hosts send to others.
func oneWay(rules map[pair]network.Rule, from, to []int) {
	for _, a := range from {
		for _, b := range to {
			if a != b {
				rules[pair{a, b}] = network.Rule{Drop: true}
			}
		}
	}
}
