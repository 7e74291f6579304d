// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
)

// downtime is a fault that ends the process, and lets the host start another at its end.
func (r *run) downtime(f *fault, stop func(h *host) bool) []action {
	h := f.hosts[0]
	return spanning(f, func() {
		f.bit = stop(h)
		h.down++
	}, func() { r.back(h) })
}

// back lets a host start again. What was healed meanwhile stays so.
func (r *run) back(h *host) {
	h.down = max(0, h.down-1)
	r.start(h)
}

// stopping ends the process in order, and with N 1 kills the next one soon.
func (r *run) stopping(f *fault) []action {
	score := r.downtime(f, r.stop)
	if f.N != 1 {
		return score
	}
	h := f.hosts[0]
	return append(score, action{f.End() + time.Duration(f.By), func() {
		h.doomed = true
		r.doom(h)
	}})
}

// doom kills the process that comes after one which stopped: tend asks again while that one
// still does.
func (r *run) doom(h *host) {
	if h.doomed && !h.stops && r.kill(h) {
		h.doomed = false
		h.retry = r.at() + again
	}
}

// stop tells the process to end in order; tend hears of it when it has.
func (r *run) stop(h *host) bool {
	if h.Terminate() != nil {
		return false
	}
	h.pauses, h.stops = 0, true
	return true
}

func (r *run) powerAll(f *fault) []action {
	return spanning(f, func() {
		for _, h := range r.hosts {
			f.bit = r.losePower(h) || f.bit
			h.down++
		}
	}, func() {
		for _, h := range r.hosts {
			r.back(h)
		}
	})
}

// crashLoop kills N times, and starts in between.
func (r *run) crashLoop(f *fault) []action {
	h, step := f.hosts[0], time.Duration(f.For)/time.Duration(f.N)
	var out []action
	for i := range f.N {
		at := time.Duration(f.At) + time.Duration(i)*step
		out = append(out,
			action{at, func() {
				f.bit = r.kill(h) || f.bit
				h.down++
			}},
			action{at + step/2, func() { r.back(h) }})
	}
	return out
}

func (r *run) pause(f *fault) []action {
	h := f.hosts[0]
	var life int
	return spanning(f, func() {
		if h.Pause() == nil {
			f.bit, life = true, h.count
			h.pauses++
			h.stuck = life
		}
	}, func() {
		if f.bit && h.count == life && h.pauses > 0 {
			if h.pauses--; h.pauses == 0 {
				_ = h.Resume() // unless it has ended
			}
		}
	})
}

// groupTrouble restarts a host while the metadata group does not answer as it should.
func (r *run) groupTrouble(f *fault) []action {
	h := f.hosts[0]
	moods := []sim.Mood{sim.GroupFails, sim.GroupHangs, sim.GroupMute}
	return spanning(f, func() {
		if h.lost && !h.refused {
			return // nobody has told it yet that it is: unconfirmed it may serve what it has
		}
		h.moods.begin(f, moods[(f.N-1)%len(moods)])
		h.SetGroup(h.moods.newest(sim.GroupAnswers))
		f.bit = r.kill(h)
		r.start(h)
	}, func() {
		h.moods.end(f)
		h.SetGroup(h.moods.newest(sim.GroupAnswers))
	})
}

var errPoint = errors.New("trial: a failpoint says so")

// crash is a life that a failpoint has ended; the conductor buries it.
type crash struct {
	host *host
	life int64
}

// crashAt ends a process the moment it passes a failpoint: its disk and its network are
// gone before it goes on.
func (r *run) crashAt(f *fault) []action {
	h := f.hosts[0]
	return r.atPoint(f, func(life int64) error {
		if f.passed.Add(1) != int64(f.N) {
			return nil
		}
		f.hit.Store(true)
		h.harm(life)
		h.Disk.Kill()
		r.cluster.Net.Kill(h.Addr)
		r.crashed <- crash{h, life} // there is room for one of each fault
		return errPoint
	})
}

// bury ends what a failpoint has ended, unless it was buried before.
func (r *run) bury(c crash) {
	if c.host.present.Load() == c.life {
		r.kill(c.host)
	}
}

func (r *run) failAt(f *fault) []action {
	h := f.hosts[0]
	return r.atPoint(f, func(life int64) error {
		if f.passed.Add(1) != int64(f.N) {
			return nil
		}
		f.hit.Store(true)
		h.harm(life)
		return syscall.EIO
	})
}

func (r *run) slowAt(f *fault) []action {
	return r.atPoint(f, func(int64) error {
		if f.passed.Add(1)%int64(f.N) == 0 {
			f.hit.Store(true)
			time.Sleep(time.Duration(f.By))
		}
		return nil
	})
}

// atPoint arms a failpoint of the processes that there are from At on. What happens once
// may happen until the chaos is over, what takes time does so for For.
func (r *run) atPoint(f *fault, hook func(life int64) error) []action {
	h := f.hosts[0]
	return spanning(f, func() { h.arm(arming{f.number, f.Point, hook}) }, func() {
		if f.Kind == plan.SlowAt {
			h.disarm(f)
		}
	})
}

// wipe takes all that the spare host has, for good, or until it was filled again.
func (r *run) wipe(f *fault) []action {
	h := f.hosts[0]
	return spanning(f, func() {
		r.losePower(h)
		h.down++
		f.bit = r.did(h.Disk.Wipe())
		r.loseAll(h, f)
	}, func() { r.back(h) })
}

// restore brings the spare host back with what it had two openings ago: openings that the
// group has confirmed, since of others nobody knows.
func (r *run) restore(f *fault) []action {
	h := f.hosts[0]
	copied := h.Disk.Copy()
	ready := false
	reopen := func() {
		r.kill(h)
		r.start(h)
	}
	third := time.Duration(f.For) / 3
	confirmed := func() bool { s, up := h.Status(); return up && s.Confirmed }
	return []action{
		{time.Duration(f.At), func() { copied = h.Disk.Copy(); reopen() }},
		{time.Duration(f.At) + third, func() { ready = confirmed(); reopen() }},
		{f.End(), func() {
			if !ready || !confirmed() || h.lost {
				return
			}
			r.losePower(h)
			f.bit = r.did(h.Disk.Restore(copied))
			r.loseAll(h, f)
			r.start(h)
		}},
	}
}

// clone starts the spare host on what another one has, which it must refuse.
func (r *run) clone(f *fault) []action {
	h := f.hosts[0]
	other := r.hosts[h.number%len(r.hosts)]
	return spanning(f, func() {
		if h.lost {
			h.down++
			return
		}
		r.losePower(h)
		own := h.Disk.Copy()
		if !r.did(h.Disk.Restore(other.Disk.Copy())) {
			h.down++
			return
		}
		ctx, cancel := limit()
		defer cancel()
		if err := h.Start(ctx); err == nil {
			r.problem("identity", "%s runs on the data of %s", h.Name, other.Name)
			r.kill(h)
		}
		f.bit = r.did(h.Disk.Restore(own))
		h.down++
	}, func() { r.back(h) })
}

// flip damages records while the host is down.
func (r *run) flip(f *fault) []action {
	h := f.hosts[0]
	return spanning(f, func() {
		r.losePower(h)
		h.down++
		rng := r.source(fmt.Sprintf("flip %d", f.number))
		for range f.N {
			if _, done := h.Disk.FlipBit(sim.Data, rng); done {
				f.bit = true
				r.damage["flipped bits"]++
			}
		}
	}, func() { r.back(h) })
}

// did reports whether something could be done to a disk.
func (r *run) did(err error) bool {
	if err != nil {
		r.problem("run", "%v", err)
	}
	return err == nil
}

func (r *run) lifetimes(f *fault) (func(*fault) []action, bool) {
	kinds := map[plan.Kind]func(*fault) []action{
		plan.Kill:     func(f *fault) []action { return r.downtime(f, r.kill) },
		plan.Stop:     r.stopping,
		plan.Power:    func(f *fault) []action { return r.downtime(f, r.losePower) },
		plan.PowerAll: r.powerAll, plan.CrashLoop: r.crashLoop, plan.Pause: r.pause,
		plan.CrashAt: r.crashAt, plan.SlowAt: r.slowAt, plan.FailAt: r.failAt,
		plan.Group: r.groupTrouble,
	}
	score, ok := kinds[f.Kind]
	return score, ok
}
