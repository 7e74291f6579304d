// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/sim"
)

// host is a host as the conductor sees it.
type host struct {
	*sim.Host
	number int

	down   int  // faults that keep it from being started
	pauses int  // faults that keep it paused
	lost   bool // its data is gone: what the cluster refuses for ever
	// refused: and it has heard so, which it remembers.
	refused bool
	hurt    bool // a fault may have ended its process, or kept it from opening
	retry   time.Duration

	lives int // processes that there were

	points *fail.Set   // of the present process
	spent  []*fail.Set // of those before
}

// present are the failpoints of the process that runs.
func (h *host) present() *fail.Set { return h.points }

const (
	// again is the pause before a start is tried again.
	again = 500 * time.Millisecond
	// look is how often the conductor looks after the hosts.
	look = 100 * time.Millisecond
)

// serves reports whether a host is there to answer.
func (h *host) serves() bool {
	if !h.Up() || h.pauses > 0 || h.lost {
		return false
	}
	s, up := h.Status()
	return up && s.Ready
}

// start starts a process where nothing keeps the host down.
func (r *run) start(h *host) {
	if h.Up() || h.down > 0 || r.at() < h.retry {
		return
	}
	ctx, cancel := limit()
	defer cancel()
	if err := h.Start(ctx); err != nil {
		h.retry = r.at() + again
		r.damage["failed starts"]++
		if !h.hurt {
			r.problem("crash", "%s does not start, although nothing was done to it: %v", h.Name, err)
			h.down++
		}
	}
}

// tend sees to processes that ended by themselves, and starts what may run.
func (r *run) tend() {
	for _, h := range r.hosts {
		if err, ended := h.Ended(); ended {
			r.damage["processes"]++
			h.pauses = 0
			if !h.hurt {
				r.problem("crash", "%s ended, although nothing was done to it: %v", h.Name, err)
			}
			// What it had not synced is with the operating system: half of the time the
			// machine goes down as well.
			if r.source(fmt.Sprintf("end of %s at %d", h.Name, r.now())).IntN(2) == 0 {
				h.LosePower()
			}
			h.retry = r.at() + again
		}
		r.start(h)
		if s, up := h.Status(); up && s.Refused {
			h.refused = true
		}
	}
	r.watchOutage()
}

// kill ends the process, if there is one, and reports whether there was.
func (r *run) kill(h *host) bool {
	if h.Kill() != nil {
		return false
	}
	r.damage["processes"]++
	h.pauses = 0
	return true
}

func (r *run) losePower(h *host) bool {
	up := h.Up()
	h.LosePower()
	h.pauses = 0
	if up {
		r.damage["processes"]++
	}
	return up
}

// mend takes back what was done to a host.
func (r *run) mend(h *host) {
	h.down, h.retry = 0, 0
	if h.pauses > 0 {
		h.pauses = 0
		_ = h.Resume() // one that has ended meanwhile is not paused
	}
	h.SetGroup(sim.GroupAnswers)
	h.Disk.SetFree(-1)
	h.Disk.SetSyncTime(time.Duration(r.plan.Sync))
	for _, part := range []sim.Part{sim.Data, sim.Control} {
		for _, op := range []sim.Op{sim.OpRead, sim.OpWrite, sim.OpSync} {
			h.Disk.Fail(part, op, 0)
		}
	}
	if h.points != nil {
		for _, p := range Points() {
			h.points.Disarm(p.Name)
		}
	}
}

// sound are the hosts that have what they must have, undamaged. One with a damaged record
// refuses to coordinate writes of its key, whoever asks.
func (r *run) sound() []*host {
	return slices.DeleteFunc(slices.Clone(r.hosts), func(h *host) bool {
		return h.lost || r.damaged(h)
	})
}

// await waits until the hosts that have not lost their data are ready, and sees to them
// meanwhile. A host that ended by itself is started again.
func (r *run) await(hosts []*host, after string) bool {
	var whole []*sim.Host
	for _, h := range hosts {
		if !h.lost {
			whole = append(whole, h.Host)
		}
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		r.tend()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := sim.Await(ctx, whole)
		cancel()
		if err == nil {
			return true
		}
	}
	r.problem("liveness", "after %s: %s is not ready", after, sim.Unready(whole).Name)
	return false
}

// watchOutage notes since when no set of hosts that hear each other, and the clients, is
// large enough to have a majority of every key.
func (r *run) watchOutage() {
	out := r.reachable() < r.plan.Cluster.Needed()
	switch {
	case out && r.outage < 0:
		r.outage = r.now()
	case !out && r.outage >= 0:
		r.endOutage()
	}
}

// recovery is how long after an outage operations may still suffer from it: connections are
// made again, and members believed again.
const recovery = 3 * time.Second

func (r *run) endOutage() {
	if r.outage < 0 {
		return
	}
	r.outages = append(r.outages, history.Event{
		Name: "total outage", From: r.outage, Until: r.now() + int64(recovery),
	})
	r.outage = -1
}

// reachable is the size of the largest set of hosts that serve and hear each other.
func (r *run) reachable() int {
	var serving []*host
	for _, h := range r.hosts {
		if h.serves() && !r.network.cutFromClients(h.Addr) {
			serving = append(serving, h)
		}
	}
	best := 0
	for set := range 1 << len(serving) {
		best = max(best, r.clique(serving, set))
	}
	return best
}

// clique is how many hosts are in the set, 0 where two of them do not hear each other.
func (r *run) clique(serving []*host, set int) int {
	n := 0
	for i, a := range serving {
		if set>>i&1 == 0 {
			continue
		}
		n++
		for j, b := range serving {
			if i != j && set>>j&1 == 1 && r.cluster.Net.IsCut(a.Addr, b.Addr) {
				return 0
			}
		}
	}
	return n
}
