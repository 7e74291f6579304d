// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"time"

	"github.com/dyno-kv/dyno/sim"
	"github.com/dyno-kv/dyno/sim/plan"
)

// failing lets the N-th operation of a kind on the host's data fail.
func (r *run) failing(op sim.Op, count func(sim.DiskStats) uint64) func(f *fault) []action {
	return func(f *fault) []action {
		h, part := f.hosts[0], sim.Data
		if f.N%4 == 0 {
			part = sim.Control
		}
		var before uint64
		return spanning(f, func() {
			h.beginHarm()
			before = count(h.Disk.Stats())
			h.breaks[part][op] = f
			h.Disk.Fail(part, op, f.N)
		}, func() {
			h.endHarm()
			f.bit = count(h.Disk.Stats()) > before
			if h.breaks[part][op] == f { // a later one counts anew
				h.Disk.Fail(part, op, 0)
			}
		})
	}
}

// full leaves less room than the low-water mark.
func (r *run) full(f *fault) []action {
	h := f.hosts[0]
	var before uint64
	met := func() uint64 { s := h.Disk.Stats(); return s.Scarce + s.Full }
	return spanning(f, func() {
		h.beginHarm() // it does not start on a full disk
		before = met()
		h.fills.begin(f, int64(f.N))
		h.fill()
	}, func() {
		h.endHarm()
		f.bit = met() > before
		h.fills.end(f)
		h.fill()
	})
}

// fill leaves the room that the fullest of the faults that are set leaves.
func (h *host) fill() {
	free := int64(-1)
	for _, n := range h.fills.values() {
		if free < 0 || n < free {
			free = n
		}
	}
	h.Disk.SetFree(free)
}

func (r *run) slowDisk(f *fault) []action {
	h := f.hosts[0]
	var before uint64
	return spanning(f, func() {
		before = h.Disk.Stats().Commits
		h.slows.begin(f, time.Duration(f.By))
		r.slow(h)
	}, func() {
		f.bit = h.Disk.Stats().Commits > before
		h.slows.end(f)
		r.slow(h)
	})
}

// standing is what a sync takes of a disk that does nothing: longer than that goes on.
const standing = time.Minute

// slow lets syncs take what the slowest of the faults that are set says.
func (r *run) slow(h *host) {
	most := time.Duration(r.plan.Sync)
	for _, by := range h.slows.values() {
		most = max(most, by)
	}
	h.Disk.SetSyncTime(most)
	h.Disk.SetStanding(most >= standing)
}

func (r *run) disks(f *fault) (func(*fault) []action, bool) {
	kinds := map[plan.Kind]func(*fault) []action{
		plan.DiskRead:  r.failing(sim.OpRead, func(s sim.DiskStats) uint64 { return s.Reads }),
		plan.DiskWrite: r.failing(sim.OpWrite, func(s sim.DiskStats) uint64 { return s.Writes }),
		plan.DiskSync:  r.failing(sim.OpSync, func(s sim.DiskStats) uint64 { return s.Syncs }),
		plan.DiskFull:  r.full,
		plan.DiskSlow:  r.slowDisk,
		plan.Flip:      r.flip,
		plan.Wipe:      r.wipe,
		plan.Restore:   r.restore,
		plan.Clone:     r.clone,
	}
	score, ok := kinds[f.Kind]
	return score, ok
}

// clockFault is one that changes a clock; it meets a host that is up.
func (r *run) clockFault(f *fault, begin, end func(c *sim.Clock)) []action {
	h := f.hosts[0]
	return spanning(f, func() {
		f.bit = h.Up()
		begin(h.Clock)
	}, func() { end(h.Clock) })
}

// drift lets the clock drift by what all faults that are set come to.
func (h *host) drift() {
	sum := int64(0)
	for _, n := range h.drifts.values() {
		sum += n
	}
	h.Clock.SetDrift(sum)
}

func (r *run) strobe(f *fault) []action {
	h, step := f.hosts[0], time.Duration(f.For)/time.Duration(f.N)
	var out []action
	by := time.Duration(f.By)
	for i := range f.N &^ 1 { // an even number: the clock ends as it began
		out = append(out, action{time.Duration(f.At) + time.Duration(i)*step, func() {
			f.bit = f.bit || h.Up()
			h.Clock.Step(by)
			by = -by
		}})
	}
	return out
}

func (r *run) clocks(f *fault) (func(*fault) []action, bool) {
	nothing := func(*sim.Clock) {}
	kinds := map[plan.Kind]func(*fault) []action{
		plan.ClockStep: func(f *fault) []action {
			return r.clockFault(f, func(c *sim.Clock) { c.Step(time.Duration(f.By)) }, nothing)
		},
		plan.ClockDrift: func(f *fault) []action {
			h := f.hosts[0]
			return r.clockFault(f, func(*sim.Clock) { h.drifts.begin(f, int64(f.N)); h.drift() },
				func(*sim.Clock) { h.drifts.end(f); h.drift() })
		},
		plan.ClockStrobe: r.strobe,
	}
	score, ok := kinds[f.Kind]
	return score, ok
}
