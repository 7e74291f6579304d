// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/jepsen/workload"
	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
)

// Points are the failpoints of the product.
func Points() []plan.Point {
	var out []plan.Point
	for _, p := range node.Points() {
		out = append(out, plan.Point{Name: p.Name, Fails: p.Fails || p.Drops})
	}
	return out
}

// pointsOf refuses a plan with failpoints that the product has not: such a fault would do
// nothing, and the plan show nothing.
func pointsOf(p *plan.Plan) error {
	for i := range p.Faults {
		name := p.Faults[i].Point
		if name != "" && !slices.ContainsFunc(Points(), func(x plan.Point) bool {
			return x.Name == name
		}) {
			return fmt.Errorf("trial: fault %d: the product has no failpoint %q", i, name)
		}
	}
	return nil
}

// Drawing says what plans may be drawn from.
func Drawing() plan.Options {
	return plan.Options{Loads: workload.Kinds(), Points: Points(), Locks: true}
}

// tune is how the plan's knobs, the failpoints and the tracer come into a process.
func (r *run) tune(sh *sim.Host, cfg *node.Config) {
	h := r.hosts[sh.ID-1]
	cfg.Points = h.begin()
	cfg.Trace = trace.New(uint16(sh.ID), r.white.Process(uint16(sh.ID)))

	k := &r.plan.Knobs
	set(&cfg.Storage.Shards, k.Shards)
	set(&cfg.Storage.QueueOps, max(k.QueueOps, min(k.QueueOps*cfg.Storage.Shards, cfg.Storage.Shards)))
	set(&cfg.Storage.BatchOps, k.BatchOps)
	set(&cfg.Storage.AheadBytes, k.AheadBytes)
	set(&cfg.Storage.CacheBytes, k.CacheBytes)
	set(&cfg.Storage.JournalNotes, k.JournalNotes)
	set(&cfg.Coordinator.MaxRepairs, k.MaxRepairs)
	set(&cfg.Coordinator.SendTimeout, time.Duration(k.SendTimeout))
	set(&cfg.Coordinator.HintAfter, time.Duration(k.HintAfter))
	set(&cfg.HintBytes, int64(k.HintBytes))
	set(&cfg.Server.MaxRequests, k.MaxRequests)
	set(&cfg.Exchange.Period, time.Duration(k.Exchange))
	if k.Purge > 0 {
		cfg.Server.MaxTimeout, cfg.PurgeGrace = time.Duration(k.Purge)/2, 0
	}
	r.tuneGroup(h, cfg)
	if k.Probe > 0 {
		cfg.Gossip.ProbeInterval = time.Duration(k.Probe)
		cfg.Gossip.ProbeTimeout = time.Duration(k.Probe) / 2
	}
}

// tuneClient is the same for those who load the cluster.
func (r *run) tuneClient(cfg *client.Config) {
	k := &r.plan.Knobs
	set(&cfg.Timeout, time.Duration(k.Timeout))
	set(&cfg.TryTimeout, time.Duration(k.TryTimeout))
	set(&cfg.Retry.Attempts, k.Attempts)
	cfg.Timeout = min(cfg.Timeout, longest)
}

func set[T int | int64 | time.Duration](to *T, v T) {
	if v != 0 {
		*to = v
	}
}

// setEngine chooses what stands for the disks.
func setEngine(cfg *sim.Config, p *plan.Plan, dir string) {
	switch p.Engine {
	case plan.EngineMemory:
		cfg.Engine = sim.EngineBadgerMemory
	case plan.EngineTmpfs:
		cfg.Engine, cfg.Dir = sim.EngineBadgerTmpfs, dir
	default:
		cfg.Engine = sim.EngineDisk
	}
	cfg.SmallMemtables = p.Knobs.SmallTables
}
