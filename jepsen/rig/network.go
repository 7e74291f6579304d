// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/network"
)

// action does a fault, and takes it back.
type action func(ctx context.Context, a *act) error

// actions are what each kind does.
func actions() map[nemesis.Kind]action {
	all := networkActions()
	for _, more := range []map[nemesis.Kind]action{
		processActions(), diskActions(), clockActions(), loadActions(),
	} {
		for k, do := range more {
			all[k] = do
		}
	}
	return all
}

func networkActions() map[nemesis.Kind]action {
	return map[nemesis.Kind]action{
		nemesis.Isolate:   keep(halves),
		nemesis.Halves:    keep(halves),
		nemesis.LeaderCut: keep(halves),
		nemesis.Minority:  keep(minority),
		nemesis.Ring:      keep(ring),
		nemesis.Bridge:    keep(bridge),
		nemesis.OneWay:    keep(outOrIn),
		nemesis.Owners:    owners,
		nemesis.Clients:   keep(fromClients),
		nemesis.Swizzle:   swizzle,
		nemesis.Resets:    resets,
		nemesis.Jam: keep(sends(func(*nemesis.Fault) network.Rule {
			return network.Rule{Jam: true}
		})),
		nemesis.Delay: keep(sends(func(f *nemesis.Fault) network.Rule {
			return network.Rule{Delay: time.Duration(f.By), Jitter: time.Duration(f.By) / 4}
		})),
		nemesis.Rate: keep(sends(func(f *nemesis.Fault) network.Rule {
			return network.Rule{Rate: int64(f.N)}
		})),
		nemesis.Loss: keep(between(func(f *nemesis.Fault) network.Rule {
			return network.Rule{Loss: f.Share}
		})),
		nemesis.Disorder: keep(between(func(f *nemesis.Fault) network.Rule {
			return network.Rule{Reorder: f.Share, Jitter: time.Duration(f.By) / 4}
		})),
		nemesis.Duplicate: keep(between(func(f *nemesis.Fault) network.Rule {
			return network.Rule{Duplicate: f.Share}
		})),
		nemesis.Corrupt: keep(between(func(f *nemesis.Fault) network.Rule {
			return network.Rule{Corrupt: f.Share}
		})),
	}
}

// keep lays rules for as long as the fault lasts.
func keep(rules func(a *act) map[pair]network.Rule) action {
	return func(ctx context.Context, a *act) error {
		lift, err := a.world.grid.lay(rules(a))
		a.last(ctx)
		met, lifted := lift()
		a.met("packets", met)
		return errors.Join(err, lifted)
	}
}

func halves(a *act) map[pair]network.Rule {
	rules := make(map[pair]network.Rule)
	cut(rules, a.nodes, a.others())
	return rules
}

func minority(a *act) map[pair]network.Rule {
	rules := make(map[pair]network.Rule)
	cut(rules, a.nodes, a.cluster.All())
	return rules
}

// ring lets each node hear its nearest neighbours in a ring that is drawn, and nobody else, so
// that each hears a majority.
func ring(a *act) map[pair]network.Rule {
	rules := make(map[pair]network.Rule)
	at := a.rng.Perm(a.cluster.Nodes())
	n := len(at)
	for i := range n {
		for j := range n {
			if d := (j - i + n) % n; min(d, n-d) > (n/2+1)/2 {
				cut(rules, []int{at[i]}, []int{at[j]})
			}
		}
	}
	return rules
}

func bridge(a *act) map[pair]network.Rule {
	rules := make(map[pair]network.Rule)
	others := a.others()
	a.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	cut(rules, others[:len(others)/2], others[len(others)/2:])
	return rules
}

func outOrIn(a *act) map[pair]network.Rule {
	rules := make(map[pair]network.Rule)
	if a.fault.N == 0 {
		oneWay(rules, a.nodes, a.others())
	} else {
		oneWay(rules, a.others(), a.nodes)
	}
	return rules
}

// clientHostsOf are the hosts of all clients but that of the rig itself.
func (w *world) clientHostsOf() []int {
	var all []int
	for k := range clientHosts {
		all = append(all, w.net.Client(k))
	}
	return all
}

func fromClients(a *act) map[pair]network.Rule {
	rules := make(map[pair]network.Rule)
	cut(rules, a.nodes, a.world.clientHostsOf())
	return rules
}

// sends gives a rule to all that the nodes send, to clients too.
func sends(rule func(*nemesis.Fault) network.Rule) func(a *act) map[pair]network.Rule {
	return func(a *act) map[pair]network.Rule {
		rules := make(map[pair]network.Rule)
		for _, from := range a.nodes {
			for _, to := range slices.Concat(a.cluster.All(), a.world.clientHostsOf()) {
				if from != to {
					rules[pair{from, to}] = rule(a.fault)
				}
			}
		}
		return rules
	}
}

// between gives a rule to all ways between nodes.
func between(rule func(*nemesis.Fault) network.Rule) func(a *act) map[pair]network.Rule {
	return func(a *act) map[pair]network.Rule {
		rules := make(map[pair]network.Rule)
		for _, from := range a.cluster.All() {
			for _, to := range a.cluster.All() {
				if from != to {
					rules[pair{from, to}] = rule(a.fault)
				}
			}
		}
		return rules
	}
}

// owners cuts off those who hold a partition from everybody. Nodes that do not answer are not
// among them: they are cut off, or gone, already.
func owners(ctx context.Context, a *act) error {
	a.nodes = a.cluster.Owners(ctx, uint16(a.rng.IntN(partitions)))
	a.out.Nodes = nil
	for _, i := range a.nodes {
		a.out.Nodes = append(a.out.Nodes, a.cluster.Name(i))
	}
	return keep(minority)(ctx, a)
}

// swizzle cuts nodes off one after the other, and mends them in another order.
func swizzle(ctx context.Context, a *act) error {
	step := time.Duration(a.fault.For) / time.Duration(2*len(a.nodes)+1)
	var lifts []func() (int64, error)
	var errs []error
	for _, i := range a.nodes {
		rules := make(map[pair]network.Rule)
		cut(rules, []int{i}, a.cluster.All())
		lift, err := a.world.grid.lay(rules)
		lifts, errs = append(lifts, lift), append(errs, err)
		rest(ctx, step)
	}
	for _, n := range a.rng.Perm(len(lifts)) {
		rest(ctx, step)
		met, err := lifts[n]()
		a.met("packets", met)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// resets resets the connections of two nodes that are drawn, again and again.
func resets(ctx context.Context, a *act) error {
	const storm, pause = 30 * time.Millisecond, 250 * time.Millisecond
	end := time.Now().Add(time.Duration(a.fault.For))
	var errs []error
	for time.Now().Before(end) && rest(ctx, pause) {
		two := a.rng.Perm(a.cluster.Nodes())[:2]
		rule := network.Rule{Reset: true}
		lift, err := a.world.grid.lay(map[pair]network.Rule{
			{two[0], two[1]}: rule, {two[1], two[0]}: rule,
		})
		rest(ctx, storm)
		met, lifted := lift()
		a.met("segments", met)
		errs = append(errs, err, lifted)
	}
	return errors.Join(errs...)
}
