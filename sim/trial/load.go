// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
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
	store := clients.NewStoreOf(cl, r.doors, opts...)
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

// processName begins the names of clients that ask for data.
const processName = "process "

func clientName(i int) string { return fmt.Sprintf("%s%d", processName, i) }

// clientNames are those of all clients that there are, and of some more that ask for data.
func (r *run) clientNames(more int) []string {
	var names []string
	for i := range r.processes + more {
		names = append(names, clientName(i))
	}
	for i := range r.lockClients {
		names = append(names, lockerName(i))
	}
	return names
}

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
		if load == nil {
			continue
		}
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
// clients have by default, as far as they ask for no more than level replicas.
//
// Where the group decides, locks must be granted as well.
func (r *run) demand(phase string, level int, decides bool) {
	time.Sleep(time.Millisecond)
	from := r.now()
	if decides {
		defer r.demandLocks(phase)()
	}
	wait, err := r.work(nil, r.acquaint, patience, func(*plan.Load) int { return answers })
	if err != nil {
		r.problem("run", "%v", err)
		return
	}
	wait()
	var suffers func(*history.Op) bool
	if !decides {
		suffers = r.asksTheGroup
	}
	switch all, ok, failed := fair(r.record.History().Ops, level, from, r.now(), suffers); {
	case all == 0 && len(r.loads) > len(r.lockers):
		r.unsure("liveness", "%s: nothing was asked that %d replicas can answer", phase, level)
	case ok*100 < all*r.leastDemanded():
		r.problem("liveness", "%s: %d of %d operations that need %d replicas at most were ok; "+
			"not so %v (%s)", phase, ok, all, level, failed, failed.Error)
	}
}

// leastDemanded is the share in percent of what is demanded that must be ok: all, but where
// a node of the plan may refuse some of it for its tiny queues.
func (r *run) leastDemanded() int {
	if r.plan.Knobs.MaxRequests > 0 || r.plan.Knobs.QueueOps > 0 {
		return 99
	}
	return 100
}

// whole is how many replicas of each key can answer when everything is healed: of a host
// that has lost its data, or has damaged records, none is asked for.
func (r *run) whole() int {
	return r.plan.Cluster.Replicas - (len(r.hosts) - len(r.sound()))
}

// finalReads reads every key through each host, from all replicas that can answer, and each
// read must be answered.
func (r *run) finalReads(round uint8) {
	level := uint8(r.whole())
	all, ok := 0, 0
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
			if load == nil {
				continue
			}
			for _, step := range load.Final(round) {
				step.Levels.R = max(step.Levels.R, level)
				if r.finalRead(s, step) {
					ok++
				}
				all++
			}
		}
		s.client.Close()
	}
	if ok < all {
		r.problem("liveness", "%d of %d final reads of round %d were ok", ok, all, round)
	}
}

// finalRead reports whether a read was answered.
func (r *run) finalRead(s *session, step workload.Step) bool {
	ctx, cancel := limit()
	defer cancel()
	before := len(r.record.History().Ops)
	if err := s.Do(ctx, step); err != nil {
		r.digest.fault(err)
		return false
	}
	ops := r.record.History().Ops
	return len(ops) > before && ops[len(ops)-1].Outcome == history.OK
}

// fair counts the operations of an interval that ask for so many replicas at most, and how
// many of them were ok; failed is the first that was not. Those that suffer from something
// do not count; nil: none does.
func fair(
	ops []history.Op, level int, from, until int64, suffers func(*history.Op) bool,
) (all, ok int, failed *history.Op) {
	for i := range ops {
		op := &ops[i]
		if op.Invoked < from || op.Completed > until || op.Final > 0 || op.Kind.Locks() ||
			int(max(op.R, op.W, op.PR, op.PW)) > level || suffers != nil && suffers(op) {
			continue
		}
		all++
		switch {
		case op.Outcome == history.OK:
			ok++
		case failed == nil:
			failed = op
		}
	}
	return all, ok, failed
}
