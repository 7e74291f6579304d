// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/whitebox"
)

const (
	// patience is how long anything that must happen may take: a start, the way back to
	// readiness after everything is healed.
	patience = 90 * time.Second
	// drained is when nothing that was begun is on its way any more.
	drained = 12 * time.Second
	// calm is how long a core has, after the last fault, before it must answer: as long as
	// gossip takes to find that a silent node is gone. A write that meets it before, through a
	// node that has not asked it lately, may spend all its time on it.
	calm = 16 * time.Second
	// answers is how many steps each session does that must be answered.
	answers = 12
	// longest bounds one operation of a client with all its attempts, whatever the knobs
	// say: the loads must end.
	longest = 30 * time.Second
	// mostOps bounds a history.
	mostOps = 1 << 20
)

// Options are what a run needs beside its plan.
type Options struct {
	// Dir is an empty folder for engines that need one. It should be in memory.
	Dir string
	// Log is the nodes'; never nil.
	Log *zap.Logger
}

// run is one run of a plan. Its methods are called from the bubble's first goroutine.
type run struct {
	plan    *plan.Plan
	log     *zap.Logger
	cluster *sim.Cluster
	hosts   []*host
	network *conditions
	record  *history.Recorder
	white   *whitebox.Checker
	digest  *digest
	loads   []workload.Workload // nil for those who lock
	lockers []*lockers          // of the loads that lock
	sights  sights
	began   time.Time

	processes int // sessions that there were so far
	// lockClients are the clients that there were so far who lock.
	lockClients int
	doors       []string // where sessions find the node of a number
	problems    []Problem
	met         []bool // whether each fault has met something
	bites       map[plan.Kind]Bite
	damage      map[string]int64
	crashed     chan crash // what failpoints have ended
	chaosEnd    int64
	chaosFrom   int64
	total       outage // of every set of hosts that could serve every key
}

// Run runs p. It must be called inside a synctest bubble; the record that it returns can
// be judged outside of it.
func Run(p *plan.Plan, o Options) (*Record, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := pointsOf(p); err != nil {
		return nil, err
	}
	r, err := newRun(p, o)
	if err != nil {
		return nil, err
	}
	defer r.cluster.Close()
	if r.boot() {
		r.chaos()
		r.liveness()
		if r.heal() {
			r.finish()
		}
	}
	return r.end()
}

func newRun(p *plan.Plan, o Options) (*run, error) {
	record, err := history.NewRecorder(header(p), mostOps)
	if err != nil {
		return nil, err
	}
	r := &run{
		plan: p, log: o.Log, record: record, white: whitebox.New(), digest: newDigest(),
		bites: make(map[plan.Kind]Bite), crashed: make(chan crash, len(p.Faults)+1),
		damage: make(map[string]int64), total: outage{name: "total outage", since: -1}, began: time.Now(),
	}
	cfg := sim.DefaultConfig(p.Seed)
	cfg.Nodes, cfg.Replicas, cfg.Partitions = p.Cluster.Nodes, p.Cluster.Replicas, p.Cluster.Partitions
	cfg.Log, cfg.Tune, cfg.Grouped = o.Log, r.tune, p.Grouped
	setEngine(&cfg, p, o.Dir)
	if r.cluster, err = sim.New(cfg); err != nil {
		return nil, err
	}
	r.network = newConditions(r.cluster, p.Link)
	r.cluster.Net.Observe(r.digest.deliver)
	for i, h := range r.cluster.Hosts {
		h.Disk.SetSyncTime(time.Duration(p.Sync))
		r.hosts = append(r.hosts, &host{
			Host: h, number: i + 1, away: outage{name: h.Name + " is away", since: -1},
		})
	}
	return r, r.drawLoads()
}

func header(p *plan.Plan) history.Header {
	return history.Header{
		N: p.Cluster.Replicas, Seed: p.Seed, Mode: "sim",
		// The built-in bucket is: members that own nothing of a key stand in for those that do.
		Sloppy: p.Cluster.Nodes > p.Cluster.Replicas,
		Labels: map[string]string{
			"engine": string(p.Engine), "nodes": fmt.Sprint(p.Cluster.Nodes),
			"skew": p.Skew().String(), "keep_sessions": fmt.Sprint(p.KeepsSessions()),
		},
	}
}

// drawLoads draws the workloads of the plan, each from a source of its own, so that one
// less changes nothing for the others.
func (r *run) drawLoads() error {
	o := workload.Options{N: uint8(r.plan.Cluster.Replicas), Nodes: r.plan.Cluster.Nodes}
	if r.plan.Spare > 0 {
		o.MinW, o.FinalR = 2, o.N-1
	}
	for i := range r.plan.Loads {
		l := &r.plan.Loads[i]
		o.Pause = time.Duration(l.Pause)
		if l.Kind == plan.Locks {
			r.loads = append(r.loads, nil)
			r.lockers = append(r.lockers, r.drawLockers(l))
			continue
		}
		load, err := workload.Draw(r.source("load "+l.Kind), l.Kind, l.Kind+" ", o)
		if err != nil {
			return fmt.Errorf("trial: load %d: %w", i, err)
		}
		r.loads = append(r.loads, load)
	}
	return nil
}

func (r *run) source(name string) *rand.Rand { return sim.Source(r.plan.Seed, name) }

func (r *run) now() int64 { return int64(time.Since(r.began)) }

func (r *run) at() time.Duration { return time.Duration(r.now() - r.chaosFrom) }

func (r *run) problem(rule, format string, args ...any) {
	r.problems = append(r.problems, Problem{Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// unsure is a problem of which nobody knows whether it is one.
func (r *run) unsure(rule, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		Rule: rule, Text: fmt.Sprintf(format, args...), Unknown: true,
	})
}

func limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// boot starts the cluster in peace.
func (r *run) boot() bool {
	ctx, cancel := limit()
	defer cancel()
	if err := r.cluster.Start(ctx); err != nil {
		r.problem("boot", "%v", err)
		return false
	}
	return true
}

// chaos lets the loads run while the faults come.
func (r *run) chaos() {
	r.chaosFrom = r.now()
	r.open(r.hosts)
	wait, err := r.work(r.tuneClient, func(context.Context, *client.Client) {},
		time.Duration(r.plan.Chaos), func(l *plan.Load) int { return l.Steps })
	if err != nil {
		r.problem("run", "%v", err)
		return
	}
	locked := r.lockAll()
	r.conduct()
	wait()
	locked()
	r.chaosEnd = r.now()
	r.event("chaos", r.chaosFrom, true, nil)
}

func (r *run) event(name string, from int64, outage bool, hosts []*host) {
	e := history.Event{From: from, Until: r.now(), Name: name, Outage: outage}
	for _, h := range hosts {
		e.Nodes = append(e.Nodes, h.Name)
	}
	if err := r.record.Event(&e); err != nil {
		r.problem("run", "note %s: %v", name, err)
	}
}

// liveness heals the core only, and the core must answer.
func (r *run) liveness() {
	from := r.now()
	core, rest := r.pick(r.plan.Core), r.pick(r.plan.Rest(r.plan.Core))
	r.network.mend()
	for _, h := range core {
		r.mend(h)
	}
	clients := r.clientNames(r.sessionsOf())
	rng := r.source("liveness")
	for _, h := range rest {
		switch {
		case h.Up() && rng.IntN(2) == 0 && r.plan.Engine != plan.EngineMemory:
			h.LosePower()
		default:
			r.network.exile(h.Addr, clients)
		}
		h.down++
	}
	r.network.apply()
	if !r.await(core, "liveness", !r.plan.Grouped) {
		return
	}
	time.Sleep(calm)
	r.event("before liveness", from, true, nil)
	r.open(core)
	r.demand("liveness", r.plan.Cluster.Majority(), r.decides(core))
	for _, h := range rest {
		h.down--
	}
}

// heal takes every fault back, and waits until the cluster is whole.
func (r *run) heal() bool {
	from := r.now()
	r.network.mend()
	r.network.apply()
	for _, h := range r.hosts {
		r.mend(h)
	}
	whole := r.await(r.hosts, "healing", true) && r.awaitRefills()
	time.Sleep(drained)
	r.event("healing", from, true, nil)
	if whole {
		r.open(r.sound())
		r.demand("after healing", r.whole(), true)
		time.Sleep(drained)
	}
	return whole
}

// finish waits until the replicas hold the same though nobody reads, then reads everything
// from all replicas through each node, twice: the second time after all hosts have lost
// their power. Then the disks must hold the same.
func (r *run) finish() {
	r.converge()
	r.finalReads(1)
	if r.plan.Engine != plan.EngineMemory {
		from := r.now()
		for _, h := range r.hosts {
			h.LosePower()
		}
		r.damage["processes"] += int64(len(r.hosts))
		if !r.await(r.hosts, "the loss of all power", true) {
			return
		}
		r.event("power of all", from, true, nil)
		r.finalReads(2)
	}
	time.Sleep(drained)
	r.agreeOnState()
	if r.plan.Engine != plan.EngineMemory { // of which nothing is left to compare
		r.compare()
	}
}

func (r *run) pick(numbers []int) []*host {
	var out []*host
	for _, n := range numbers {
		out = append(out, r.hosts[n-1])
	}
	return out
}
