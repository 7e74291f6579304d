// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/dyno-kv/dyno/internal/fail"
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
	h, killed := f.hosts[0], f.End()+time.Duration(f.By)
	return append(score,
		action{killed, func() {
			r.kill(h)
			h.down++
		}},
		action{killed + again, func() { r.back(h) }})
}

func (r *run) stop(h *host) bool {
	if !h.Up() {
		return false
	}
	h.pauses = 0
	if err := h.Stop(); err != nil && !h.hurt {
		r.problem("crash", "%s does not stop in order: %v", h.Name, err)
	}
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
			f.bit, life = true, h.lives
			h.pauses++
		}
	}, func() {
		if f.bit && h.lives == life && h.pauses > 0 {
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
		h.SetGroup(moods[(f.N-1)%len(moods)])
		f.bit = r.kill(h)
		r.start(h)
	}, func() { h.SetGroup(sim.GroupAnswers) })
}

var errPoint = errors.New("trial: a failpoint says so")

// crashAt ends a process the moment it passes a failpoint: its disk and its network are
// gone before it goes on.
func (r *run) crashAt(f *fault) []action {
	h := f.hosts[0]
	return r.armed(f, func(points *fail.Set) {
		h.hurt = true // it may be on its way to an end in order
		points.Arm(f.Point, fail.Plan{Skip: f.N - 1, Times: 1, Hook: func() error {
			if h.present() != points {
				return nil // one that is dead already
			}
			f.bit = true
			h.Disk.Kill()
			r.cluster.Net.Kill(h.Addr)
			r.crashed <- h.number
			return errPoint
		}})
	})
}

func (r *run) failAt(f *fault) []action {
	h := f.hosts[0]
	return r.armed(f, func(points *fail.Set) {
		h.hurt = true
		points.Arm(f.Point, fail.Plan{Skip: f.N - 1, Times: 1, Hook: func() error {
			f.bit = true
			return syscall.EIO
		}})
	})
}

func (r *run) slowAt(f *fault) []action {
	return r.armed(f, func(points *fail.Set) {
		passed := 0
		points.Arm(f.Point, fail.Plan{Hook: func() error {
			if passed++; passed%f.N == 0 {
				f.bit = true
				time.Sleep(time.Duration(f.By))
			}
			return nil
		}})
	})
}

// armed arms a failpoint of the process that runs when the fault begins, or of the next.
func (r *run) armed(f *fault, arm func(*fail.Set)) []action {
	h := f.hosts[0]
	return spanning(f, func() {
		if points := h.present(); points != nil {
			arm(points)
		}
	}, func() {
		if points := h.present(); points != nil && f.Kind == plan.SlowAt {
			points.Disarm(f.Point)
		}
	})
}

// wipe takes all that the spare host has, for good.
func (r *run) wipe(f *fault) []action {
	h := f.hosts[0]
	return spanning(f, func() {
		r.losePower(h)
		h.down++
		f.bit = r.did(h.Disk.Wipe())
		r.lose(h, f.bit)
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
			r.lose(h, f.bit)
			r.start(h)
		}},
	}
}

// lose notes that a host has lost its data for good.
func (r *run) lose(h *host, done bool) {
	if done {
		h.lost = true
		r.white.Wiped(uint16(h.number))
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
