// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"time"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/sim/plan"
)

// tuneGroup is how the plan's knobs come into the metadata group of a process.
func (r *run) tuneGroup(h *host, cfg *node.Config) {
	if !r.plan.Grouped {
		return
	}
	k, e := &r.plan.Knobs, &cfg.Meta.Engine
	set(&e.Tick, time.Duration(k.Tick))
	if k.DeadAfter > 0 { // twice an election at least
		e.DeadAfter = max(time.Duration(k.DeadAfter), 2*e.Tick*time.Duration(e.ElectionTicks))
	}
	if k.SnapshotEntries > 0 {
		e.SnapshotEntries = uint64(k.SnapshotEntries)
	}
	if k.HashEvery > 0 {
		e.HashEvery = uint64(k.HashEvery)
	}
	if h.lost && !h.refused && !h.refill.rejoins {
		// Nobody has told it yet that it lacks data. It serves what it has once the group has
		// not answered for this long, which is a promise that nobody made.
		cfg.ConfirmTimeout = time.Hour
	}
}

// leader is the host that leads the metadata group now; nil where there is none.
func (r *run) leader() *host {
	if h := r.cluster.Leader(); h != nil {
		return r.hosts[h.ID-1]
	}
	return nil
}

// ofLeader is a fault of whoever leads when it begins. begin reports whether it met it.
func (r *run) ofLeader(f *fault, begin func(h *host) bool, end func(h *host)) []action {
	var h *host
	return spanning(f, func() {
		if h = r.leader(); h != nil {
			f.bit = begin(h)
		}
	}, func() {
		if h != nil {
			end(h)
		}
	})
}

// leaderDown ends whoever leads.
func (r *run) leaderDown(stop func(h *host) bool) func(f *fault) []action {
	return func(f *fault) []action {
		return r.ofLeader(f, func(h *host) bool {
			h.down++
			return stop(h)
		}, r.back)
	}
}

func (r *run) leaderPause(f *fault) []action {
	var life int
	return r.ofLeader(f, func(h *host) bool {
		if h.Pause() != nil {
			return false
		}
		h.pauses++
		life, h.stuck = h.count, h.count
		return true
	}, func(h *host) {
		if h.count == life && h.pauses > 0 {
			if h.pauses--; h.pauses == 0 {
				_ = h.Resume() // unless it has ended
			}
		}
	})
}

// leaderCut cuts whoever leads off from all other hosts, and with N 1 has every other one of
// those who lock on its side, and the rest on that of the others.
func (r *run) leaderCut(f *fault) []action {
	var before uint64
	return r.ofLeader(f, func(h *host) bool {
		before = held(r.cluster.Net.Stats())
		one, others := []string{h.Addr}, r.addrs(r.pick(r.plan.Rest([]int{h.number})))
		links := between(one, others)
		if f.N == 1 {
			for i := range r.lockClients {
				far := one
				if i%2 == 0 {
					far = others
				}
				links = append(links, between([]string{lockerName(i)}, far)...)
			}
		}
		r.network.cuts[f.number] = links
		r.network.apply()
		return false // as yet
	}, func(*host) {
		f.bit = held(r.cluster.Net.Stats()) > before
		delete(r.network.cuts, f.number)
		r.network.apply()
	})
}

// leaderDisk lets the disk of whoever leads do nothing for long.
func (r *run) leaderDisk(f *fault) []action {
	var before uint64
	return r.ofLeader(f, func(h *host) bool {
		before = h.Disk.Stats().Commits
		h.stalls++
		h.stuck = h.count
		h.slows.begin(f, time.Duration(f.By))
		r.slow(h)
		return false // as yet
	}, func(h *host) {
		f.bit = h.Disk.Stats().Commits > before
		h.stalls = max(0, h.stalls-1)
		h.slows.end(f)
		r.slow(h)
	})
}

func (r *run) leaders(f *fault) (func(*fault) []action, bool) {
	kinds := map[plan.Kind]func(*fault) []action{
		plan.LeaderKill: r.leaderDown(r.kill), plan.LeaderPower: r.leaderDown(r.losePower),
		plan.LeaderPause: r.leaderPause, plan.LeaderCut: r.leaderCut,
		plan.LeaderDisk: r.leaderDisk, plan.SeatsPower: r.seatsPower,
	}
	score, ok := kinds[f.Kind]
	return score, ok
}
