// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
	"github.com/dyno-kv/dyno/jepsen/real"
	"github.com/dyno-kv/dyno/jepsen/report"
)

const (
	// holdTime is how long a fault waits for nodes that another one holds, see I4.
	holdTime = 15 * time.Second
	// upTime is how long a node may take to be ready before the next fault may hold it; it
	// goes on by itself then. fillTime is that of one which has lost its store.
	upTime, fillTime = 5 * time.Second, 90 * time.Second
	// look is how often somebody looks at what has to come.
	look = 100 * time.Millisecond
)

// conductor plays a plan. Each fault has a goroutine.
type conductor struct {
	cfg     *Config
	world   *world
	cluster *real.Cluster
	load    *load
	plan    *nemesis.Plan
	now     func() int64
	began   time.Time
	record  *history.Recorder

	held []chan struct{} // of each node; who has put something in holds it

	mu     sync.Mutex // guards what follows; nothing waits under it
	faults []report.Fault
	failed error
}

func newConductor(w *world, c *real.Cluster, l *load, p *nemesis.Plan) *conductor {
	con := &conductor{
		cfg: w.cfg, world: w, cluster: c, load: l, plan: p, now: l.now, record: l.record,
	}
	for range c.Nodes() {
		con.held = append(con.held, make(chan struct{}, 1))
	}
	return con
}

// play plays the plan to its end, and returns the first thing that went wrong with the rig or
// with a node.
func (c *conductor) play(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.began = time.Now()
	var all sync.WaitGroup
	all.Go(func() { c.watch(ctx) })
	ended := make(chan struct{})
	var playing sync.WaitGroup
	for i := range c.plan.Faults {
		f := &c.plan.Faults[i]
		if !rest(ctx, time.Until(c.began.Add(time.Duration(f.At)))) {
			break
		}
		playing.Go(func() {
			if err := c.fault(ctx, f, uint64(i)); err != nil && ctx.Err() == nil {
				c.fail(fmt.Errorf("rig: fault %s of %v at %v: %w", f.Kind, f.Nodes, f.At, err))
			}
		})
	}
	rest(ctx, time.Until(c.began.Add(time.Duration(c.plan.Duration))))
	go func() { // ends with the faults, for which play waits below
		playing.Wait()
		close(ended)
	}()
	<-ended
	stop()
	all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *conductor) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = errors.Join(c.failed, err)
}

// watch looks for nodes that end although nothing holds them.
func (c *conductor) watch(ctx context.Context) {
	for rest(ctx, look) {
		for i := range c.held {
			select {
			case c.held[i] <- struct{}{}:
			default:
				continue // a fault has it, and looks itself
			}
			if exit, ended := c.cluster.Collect(i); ended {
				c.fail(fmt.Errorf("rig: %s ended by itself (%v), and no fault explains it; see %s",
					c.cluster.Name(i), exit, c.cluster.Log(i)))
				if err := c.cluster.Restart(i); err != nil {
					c.fail(err)
				}
			}
			<-c.held[i]
		}
	}
}

// hold waits for some nodes, in order, so that two faults never wait for each other.
func (c *conductor) hold(ctx context.Context, nodes []int) (release func(), err error) {
	nodes = slices.Sorted(slices.Values(nodes))
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	var have []int
	release = func() {
		for _, i := range have {
			<-c.held[i]
		}
	}
	for _, i := range nodes {
		select {
		case c.held[i] <- struct{}{}:
			have = append(have, i)
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("%s has another fault for more than %v", c.cluster.Name(i), holdTime)
		}
	}
	return release, nil
}

// fault plays one, and tells what came of it.
func (c *conductor) fault(ctx context.Context, f *nemesis.Fault, n uint64) error {
	info, known := nemesis.Lookup(f.Kind)
	do := actions()[f.Kind]
	if !known || do == nil {
		return fmt.Errorf("nobody knows how to do it")
	}
	nodes := slices.Clone(f.Nodes)
	switch info.Whom {
	case nemesis.Leader:
		leader := c.cluster.Leader(ctx)
		if leader < 0 {
			c.told(report.Fault{
				Kind: string(f.Kind), From: c.now(), Until: c.now(), Error: "nobody leads the group",
			})
			return nil
		}
		nodes = []int{leader}
	case nemesis.Everybody:
		nodes = c.cluster.All()
	}
	out := report.Fault{Kind: string(f.Kind), Detail: detail(f), From: c.now()}
	for _, i := range nodes {
		out.Nodes = append(out.Nodes, c.cluster.Name(i))
	}
	release := func() {}
	if info.Holds {
		var err error
		if release, err = c.hold(ctx, nodes); err != nil {
			out.Until, out.Error = c.now(), err.Error()
			c.told(out)
			return nil
		}
	}
	defer release()
	out.From = c.now()
	c.cfg.tell("%s %s", f.Kind, strings.Join(out.Nodes, " "))
	a := &act{
		conductor: c, fault: f, nodes: nodes, out: &out,
		rng: rand.New(rand.NewPCG(c.plan.Seed, sourceOfFaults+n)),
	}
	err := do(ctx, a)
	if out.Until == 0 {
		out.Until = c.now()
	}
	if err != nil {
		out.Error = err.Error()
	}
	c.told(out)
	e := history.Event{
		From: out.From, Until: out.Until, Name: out.Kind, Nodes: out.Nodes, Outage: info.Outage,
		Detail: out.Detail,
	}
	return errors.Join(err, c.record.Event(&e))
}

func (c *conductor) told(f report.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, f)
}

// played are the faults in the order of their beginning.
func (c *conductor) played() []report.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.faults, func(a, b report.Fault) int {
		return int(min(max(a.From-b.From, -1), 1))
	})
	return c.faults
}

// detail tells what a fault has beside its nodes.
func detail(f *nemesis.Fault) string {
	var parts []string
	if f.N != 0 {
		parts = append(parts, fmt.Sprintf("n %d", f.N))
	}
	if f.Share != 0 {
		parts = append(parts, fmt.Sprintf("%.2g %%", 100*f.Share))
	}
	if f.By != 0 {
		parts = append(parts, "by "+f.By.String())
	}
	if f.Point != "" {
		parts = append(parts, "at "+f.Point)
	}
	return strings.Join(parts, ", ")
}

// act is a fault that is played.
type act struct {
	*conductor
	fault *nemesis.Fault
	nodes []int
	out   *report.Fault
	rng   *rand.Rand
}

// last waits until the fault is to be over.
func (a *act) last(ctx context.Context) { rest(ctx, time.Duration(a.fault.For)) }

// met says that something was met, n times.
func (a *act) met(what string, n int64) {
	a.out.Bit = a.out.Bit || n > 0
	if n == 0 {
		return
	}
	for i := range a.out.Counts {
		if c := &a.out.Counts[i]; c.Name == what {
			c.Value += n
			return
		}
	}
	a.out.Counts = append(a.out.Counts, report.Count{Name: what, Value: n})
}

// over says that the fault is over, though something is still to be waited for.
func (a *act) over() { a.out.Until = a.now() }

// others are all nodes but those that the fault meets.
func (a *act) others() []int {
	return slices.DeleteFunc(a.cluster.All(), func(i int) bool { return slices.Contains(a.nodes, i) })
}
