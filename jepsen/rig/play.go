// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/jepsen/report"
)

const (
	// leastAvailable is the share of operations outside of outages that must be ok; where no
	// node is there to stand in for another one, leastWithoutFallbacks.
	leastAvailable, leastWithoutFallbacks = 0.8, 0.6
	// calm is how long all goes on behind the last fault.
	calm = 2 * time.Second
)

// Play makes one run. The folder of its configuration has its history then, and what it
// returns says the rest. An error is one of the rig, or of a node that ended by itself: it
// comes with what is known of the run, as far as it came.
func Play(ctx context.Context, cfg Config) (run *report.Run, err error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	w, err := openWorld(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	plan, lacks, err := drawPlan(&cfg, w)
	if err != nil {
		return nil, err
	}
	run = &report.Run{
		Seed: cfg.Seed, Toolchain: runtime.Version(), Mode: w.mode(), Nodes: cfg.Nodes,
		Started: time.Now().UTC(), Duration: cfg.Duration,
	}
	for _, k := range lacks {
		run.Lacks = append(run.Lacks, string(k))
	}
	for _, why := range w.lacks {
		run.Settings = append(run.Settings, report.Setting{Name: "lacks", Value: why})
	}
	if run.Plan, err = json.Marshal(plan); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(cfg.Dir, report.HistoryFile))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	record, err := history.NewFileRecorder(file, header(&cfg, w, plan), maxOps)
	if err != nil {
		return nil, err
	}
	p := &playing{cfg: &cfg, world: w, plan: plan, record: record, run: run}
	return run, errors.Join(p.work(ctx), record.Close())
}

// drawPlan draws what the world can do of what is wanted, and tells what it can not.
func drawPlan(cfg *Config, w *world) (*nemesis.Plan, []nemesis.Kind, error) {
	if cfg.Plan != nil {
		return cfg.Plan, nil, nil
	}
	o := nemesis.Options{
		Nodes: cfg.Nodes, Duration: cfg.Duration, Have: w.have(), Groups: cfg.Groups,
		Kinds: cfg.Kinds, Without: cfg.Without, Points: cfg.Points,
	}
	if cfg.Old == "" && !slices.Contains(cfg.Kinds, nemesis.Upgrade) {
		o.Without = append(slices.Clone(o.Without), nemesis.Upgrade) // nobody asked for it
	}
	missing := wanted(o, w.missing())
	o.Without = slices.Concat(o.Without, missing)
	if cfg.Peace {
		return &nemesis.Plan{
			Version: nemesis.Version, Seed: cfg.Seed, Nodes: cfg.Nodes,
			Duration: nemesis.Span(cfg.Duration),
		}, nil, nil
	}
	plan, err := nemesis.Draw(cfg.Seed, o)
	return plan, append(o.Lacks(), missing...), err
}

// wanted are those of some kinds that options ask for.
func wanted(o nemesis.Options, kinds []nemesis.Kind) []nemesis.Kind {
	o.Have = 0
	asked := o.Lacks() // of an environment that has nothing
	return slices.DeleteFunc(kinds, func(k nemesis.Kind) bool { return !slices.Contains(asked, k) })
}

// header tells checkers what the run promises.
func header(cfg *Config, w *world, plan *nemesis.Plan) history.Header {
	h := history.Header{
		N: replicas, Mode: "real", Seed: cfg.Seed, Sloppy: cfg.Nodes > replicas,
		Labels: map[string]string{
			"nodes": strconv.Itoa(cfg.Nodes), "network": w.mode(),
			"min_available": fmt.Sprint(leastAvailable),
		},
	}
	if !h.Sloppy {
		h.Labels["min_available"] = fmt.Sprint(leastWithoutFallbacks)
	}
	if skew := skewOf(plan); skew > 0 {
		h.Labels["skew"] = skew.String()
	}
	return h
}

// skewOf is how far the clocks of a plan's nodes are apart at most.
func skewOf(plan *nemesis.Plan) time.Duration {
	var most time.Duration
	for i := range plan.Faults {
		f := &plan.Faults[i]
		switch f.Kind {
		case nemesis.ClockStep, nemesis.ClockStrobe:
			most = max(most, time.Duration(f.By), -time.Duration(f.By))
		case nemesis.ClockDrift:
			most = max(most, time.Duration(f.For))
		}
	}
	return 2 * most
}

// minW is how many copies an acknowledgement must promise, where a node loses its own.
func minW(plan *nemesis.Plan) uint8 {
	for _, k := range plan.Used() {
		if info, _ := nemesis.Lookup(k); info.Group == nemesis.GroupData {
			return 2
		}
	}
	return 0
}

// playing is a run under way.
type playing struct {
	cfg    *Config
	world  *world
	plan   *nemesis.Plan
	record *history.Recorder
	run    *report.Run
}

func (p *playing) work(ctx context.Context) (err error) {
	p.cfg.tell("start %d nodes (%s)", p.cfg.Nodes, p.world.mode())
	c, err := real.StartAt(ctx, p.world.site())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	began := time.Now()
	now := func() int64 { return int64(time.Since(began)) }
	l, err := newLoad(p.cfg, c, p.record, now, minW(p.plan), p.world.dials())
	if err != nil {
		return err
	}
	defer l.close()
	lww, err := newLWW(ctx, p.cfg, c, l)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	l.start(working)
	lww.start(working)
	con := newConductor(p.world, c, l, p.plan)
	played := con.play(ctx)
	p.run.Faults = con.played()
	rest(ctx, calm)
	stop()
	if err := errors.Join(l.wait(), ctx.Err()); err != nil {
		return errors.Join(played, err)
	}
	return errors.Join(played, p.end(ctx, c, l, lww))
}

// end heals what is left, waits for the copies to agree, and looks at all there is.
func (p *playing) end(ctx context.Context, c *real.Cluster, l *load, lww *lww) error {
	if p.world.net != nil {
		p.world.net.Heal()
	}
	p.cfg.tell("wait for all copies to agree")
	result := converge(ctx, c)
	p.run.Judged = append(p.run.Judged, result)
	if err := l.finals(ctx); err != nil {
		return err
	}
	sanity, err := lww.judge(ctx, p.run.Faults)
	if err != nil {
		return err
	}
	p.run.Judged = append(p.run.Judged, sanity)
	copies, err := l.copies(ctx)
	if err != nil {
		return err
	}
	same := real.JudgeCopies(copies)
	if len(l.used()) == 0 {
		same = checker.Result{Checker: "copies", Verdict: checker.Valid, Why: "locks have no copies"}
	}
	p.run.Judged = append(p.run.Judged, same)
	for i := range p.cfg.Nodes {
		if err := c.Ended(i); err != nil {
			return err
		}
	}
	return ctx.Err()
}
