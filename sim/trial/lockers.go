// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/clients"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
	"github.com/dyno-kv/dyno/sim/plan"
)

// lockers are those who lock in one load: clients with a session each, which several
// holders use.
type lockers struct {
	load  *plan.Load
	draw  workload.Locks
	names *workload.LockNames
}

// holders is how many holders use the session of one client.
const holders = 2

// looker is the client that looks at locks.
const looker = "looker"

func lockerName(i int) string { return fmt.Sprintf("locker %d", i) }

func (r *run) drawLockers(l *plan.Load) *lockers {
	w := workload.DrawLocks(r.source("load "+l.Kind), time.Duration(l.Pause))
	set(&w.TTL, time.Duration(r.plan.Knobs.SessionTTL))
	return &lockers{load: l, draw: w, names: workload.NewLockNames(l.Kind+" ", w)}
}

// lock lets the clients of a load do steps in new sessions, as draw says, and returns what
// waits for them to end.
func (r *run) lock(
	l *lockers, draw workload.Locks, names *workload.LockNames, until time.Duration, steps int,
) (wait func()) {
	ctx, cancel := context.WithTimeout(context.Background(), until)
	var all sync.WaitGroup
	for range l.load.Sessions {
		name := lockerName(r.lockClients)
		r.lockClients++
		service := clients.NewLocks(r.lockDial(name), r.now)
		lc := workload.NewLockClient(service, r.lockClients-1, draw, names, r.record, r.now)
		owner := lc.Owner(r.process())
		each := []*workload.LockHolder{owner}
		for range holders - 1 {
			each = append(each, lc.Holder(r.process()))
		}
		all.Go(func() {
			defer service.Stop()
			var steppers sync.WaitGroup
			for i, h := range each {
				rng := r.source(fmt.Sprintf("steps of %s holder %d", name, i))
				steppers.Go(func() {
					if err := workload.RunLocks(ctx, h, draw, rng, steps); err != nil {
						r.digest.fault(err)
					}
				})
			}
			steppers.Wait()
			if err := owner.Close(ctx); err != nil {
				r.digest.fault(err)
			}
		})
	}
	return func() { all.Wait(); cancel() }
}

// lockAll lets all who lock do the steps of the plan.
//
// One more looks at the locks until they are done.
func (r *run) lockAll() (wait func()) {
	if len(r.lockers) == 0 {
		return func() {}
	}
	var waits []func()
	for _, l := range r.lockers {
		waits = append(waits, r.lock(l, l.draw, l.names, time.Duration(r.plan.Chaos), l.load.Steps))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var looks sync.WaitGroup
	if cl, err := r.cluster.Client(looker, nil); err != nil {
		r.problem("run", "%v", err)
	} else {
		rng := r.source("steps of " + looker)
		looks.Go(func() {
			defer cl.Close()
			r.lookAtLocks(ctx, cl, rng)
		})
	}
	return func() {
		for _, wait := range waits {
			wait()
		}
		cancel()
		looks.Wait()
	}
}

// process is the number of a process of the history that there was not before.
func (r *run) process() int {
	r.processes++
	return r.processes - 1
}

// lockDial makes the clients of one who locks, one after the other: all on one host, each
// with a name, and so with numbers, of its own.
func (r *run) lockDial(name string) func() (*client.Client, error) {
	var mu sync.Mutex
	made := 0
	return func() (*client.Client, error) {
		mu.Lock()
		made++
		own := fmt.Sprintf("%s.%d", name, made)
		mu.Unlock()
		return r.cluster.Client(own, func(cfg *client.Config) {
			cfg.Dial = r.cluster.Net.Dialer(name)
		})
	}
}

// demandLocks lets those who lock do a few steps, each of which must be answered, and
// returns what waits for them and judges it.
func (r *run) demandLocks(phase string) (judge func()) {
	from := r.now()
	var waits []func()
	for _, l := range r.lockers {
		draw := l.draw
		draw.Try, draw.Close, draw.Leave, draw.Cancel, draw.Force = 1, 0, 0, 0, 0
		names := workload.NewLockNames(l.load.Kind+" "+phase+" ", draw)
		waits = append(waits, r.lock(l, draw, names, patience, answers))
	}
	return func() {
		for _, wait := range waits {
			wait()
		}
		all, granted := 0, 0
		ops := r.record.History().Ops
		for i := range ops {
			op := &ops[i]
			if op.Invoked < from || !op.Kind.Locks() {
				continue
			}
			all++
			if op.Granted() {
				granted++
			}
			if op.Outcome != history.OK {
				r.problem("locks", "%s: %s: %s", phase, op, op.Error)
				return
			}
		}
		if len(r.lockers) > 0 && granted == 0 {
			r.problem("locks", "%s: of %d operations none was granted a lock", phase, all)
		}
	}
}
