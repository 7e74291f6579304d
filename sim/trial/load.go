// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
)

// session is that of a process that there was not before.
func (r *run) session(change func(*client.Config), opts ...client.Option) (*session, error) {
	name := clientName(r.processes)
	cl, err := r.cluster.Client(name, change)
	if err != nil {
		return nil, err
	}
	r.processes++
	store := sim.NewStoreOf(cl, r.doors, opts...)
	s := workload.NewSession(store, r.processes-1, r.record, r.now)
	return &session{Session: s, client: cl, rng: r.source("steps of " + name)}, nil
}

// open lets sessions that ask for a node by its number find one of these.
func (r *run) open(hosts []*host) {
	r.doors = nil
	for i := range r.hosts {
		r.doors = append(r.doors, hosts[i%len(hosts)].Member.Client)
	}
}

// patient is a client that has the time to find out that a node does not answer.
func patient(cfg *client.Config) { cfg.Timeout = longest }

func clientName(i int) string { return fmt.Sprintf("process %d", i) }

// session is one process of the history.
type session struct {
	*workload.Session
	client *client.Client
	rng    *rand.Rand
}

// work lets every workload do steps in new sessions of its own, and returns what waits for
// them to end. ahead is done before a session begins; steps is asked for each load.
func (r *run) work(
	change func(*client.Config), ahead func(context.Context, *client.Client),
	until time.Duration, steps func(*plan.Load) int,
) (wait func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), until)
	var all sync.WaitGroup
	for i, load := range r.loads {
		l := &r.plan.Loads[i]
		for range l.Sessions {
			s, err := r.session(change)
			if err != nil {
				cancel()
				all.Wait()
				return nil, err
			}
			all.Go(func() {
				defer s.client.Close()
				ahead(ctx, s.client)
				if err := workload.Run(ctx, s.Session, load, s.rng, steps(l)); err != nil {
					r.digest.fault(err)
				}
			})
		}
	}
	return func() { all.Wait(); cancel() }, nil
}

func (r *run) sessionsOf() (n int) {
	for i := range r.plan.Loads {
		n += r.plan.Loads[i].Sessions
	}
	return n
}

// acquaint lets a client find out who answers, which may take it a while for each node
// that does not: what is asked of the cluster is judged, not how clients begin.
func (r *run) acquaint(ctx context.Context, cl *client.Client) {
	for _, h := range r.hosts {
		_ = cl.Ping(ctx, h.Member.Client) // that is what it is to find out
	}
	for ctx.Err() == nil {
		if _, err := cl.ClusterInfo(ctx); err == nil {
			return
		}
	}
}

// demand lets new sessions do a few steps that must be answered, within the time that
// clients have by default.
func (r *run) demand(phase string) {
	time.Sleep(time.Millisecond)
	from := r.now()
	wait, err := r.work(nil, r.acquaint, patience, func(*plan.Load) int { return answers })
	if err != nil {
		r.problem("run", "%v", err)
		return
	}
	wait()
	all, ok := fair(r.record.History().Ops, r.plan.Cluster.Majority(), from, r.now(), nil)
	if all > 0 && ok*100 < all*99 {
		r.problem("liveness", "%s: %d of %d operations that need a majority at most were ok",
			phase, ok, all)
	}
}

func (r *run) finalReads(round uint8) {
	for _, h := range r.hosts {
		if h.lost {
			continue
		}
		s, err := r.session(patient, client.WithEndpoint(h.Member.Client))
		if err != nil {
			r.problem("run", "%v", err)
			return
		}
		for _, load := range r.loads {
			for _, step := range load.Final(round) {
				ctx, cancel := limit()
				if err := s.Do(ctx, step); err != nil {
					r.digest.fault(err)
				}
				cancel()
			}
		}
		s.client.Close()
	}
}

// fair counts the operations of an interval that ask for a majority at most, and how many
// of them were ok. Those that touch one of without do not count.
func fair(
	ops []history.Op, majority int, from, until int64, without []history.Event,
) (all, ok int) {
	for i := range ops {
		op := &ops[i]
		if op.Invoked < from || op.Completed > until || op.Final > 0 ||
			int(max(op.R, op.W, op.PR, op.PW)) > majority || touches(op, without) {
			continue
		}
		all++
		if op.Outcome == history.OK {
			ok++
		}
	}
	return all, ok
}

func touches(op *history.Op, events []history.Event) bool {
	for i := range events {
		if op.Invoked <= events[i].Until && op.Completed >= events[i].From {
			return true
		}
	}
	return false
}
