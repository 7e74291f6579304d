// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/dyno-kv/dyno/internal/fail"
)

// A life is one process of a host, from when its configuration is made; a host's lives are
// numbered from 1 on. Failpoints are passed by goroutines of the process, so what they ask
// and tell is atomic.
type lives struct {
	count   int          // that there were
	present atomic.Int64 // the life that runs; 0: none
	// harmed is the last life that a fault may have brought to an end, or kept from opening:
	// nobody asks why it ended.
	harmed atomic.Int64
	harms  int  // faults under way that may do so
	stops  bool // it was told to stop

	points *fail.Set   // of the present life, or the last
	spent  []*fail.Set // of those before
	armed  []arming    // what each life begins with
}

// begin begins the next life.
func (l *lives) begin() *fail.Set {
	if l.points != nil {
		l.spent = append(l.spent, l.points)
	}
	l.points = fail.NewSet()
	l.count++
	l.stops = false
	l.present.Store(int64(l.count))
	l.rearm()
	return l.points
}

// end notes that no process runs.
func (l *lives) end() {
	l.present.Store(0)
	l.stops = false
}

// harm excuses the end of a life.
func (l *lives) harm(life int64) {
	for {
		before := l.harmed.Load()
		if life <= before || l.harmed.CompareAndSwap(before, life) {
			return
		}
	}
}

// beginHarm begins a fault that may end processes, or keep them from opening, while it
// lasts; a process that has lived under it may end by it later.
func (l *lives) beginHarm() { l.harms++ }

func (l *lives) endHarm() {
	l.harms = max(0, l.harms-1)
	l.harm(int64(l.count))
}

// excused reports whether a fault may have ended the newest process, or kept it from opening.
func (l *lives) excused() bool { return l.harms > 0 || int64(l.count) <= l.harmed.Load() }

// arming is what a fault does at a failpoint, in each life until it is over.
type arming struct {
	fault int
	point string
	hook  func(life int64) error
}

// arm arms a failpoint of the process that runs, and of those after it.
func (l *lives) arm(a arming) {
	l.armed = append(l.armed, a)
	l.rearm()
}

// disarm takes back what a fault has armed.
func (l *lives) disarm(f *fault) {
	l.armed = slices.DeleteFunc(l.armed, func(a arming) bool { return a.fault == f.number })
	l.rearm()
}

// rearm lets the present process do what is armed now.
func (l *lives) rearm() {
	if l.points == nil {
		return
	}
	for _, p := range Points() {
		l.points.Disarm(p.Name)
	}
	for _, a := range l.armed {
		l.points.Arm(a.point, fail.Plan{Hook: l.allAt(a.point)})
	}
}

// allAt does what all faults do that have armed a point, up to the first that fails.
func (l *lives) allAt(point string) func() error {
	life, all := int64(l.count), slices.Clone(l.armed)
	return func() error {
		if l.present.Load() != life {
			return nil // what is left of a process that is dead
		}
		for _, a := range all {
			if a.point != point {
				continue
			}
			if err := a.hook(life); err != nil {
				return err
			}
		}
		return nil
	}
}

// What follows are the host's own methods, with what its lives need to know.

// Start starts a process.
func (h *host) Start(ctx context.Context) error {
	err := h.Host.Start(ctx)
	if err != nil {
		h.end()
	}
	return err
}

// Kill kills the process.
func (h *host) Kill() error {
	err := h.Host.Kill()
	if err == nil {
		h.end()
	}
	return err
}

// LosePower ends the machine.
func (h *host) LosePower() {
	h.Host.LosePower()
	h.end()
}

// Stop stops the process in order, and waits for it.
func (h *host) Stop() error {
	err := h.Host.Stop()
	h.end()
	return err
}

// Ended tells of a process that has ended by itself.
func (h *host) Ended() (error, bool) {
	err, ended := h.Host.Ended()
	if ended {
		h.end()
	}
	return err, ended
}
