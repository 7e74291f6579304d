// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/sim"
)

// host is a host as the conductor sees it.
type host struct {
	*sim.Host
	lives
	number int

	down   int  // faults that keep it from being started
	pauses int  // faults that keep it paused
	stalls int  // faults that keep its disk from doing anything in time
	stuck  int  // the last life whose writes may have taken too long
	lost   bool // its data is gone: what the cluster refuses, until it was filled again
	// refused: and it has heard so, which it remembers.
	refused bool
	refill  refill
	doomed  bool // the process after the one that stops is to be killed
	retry   time.Duration
	away    outage // from those who make up a majority

	// What faults do to it while they last.
	slows  effects[time.Duration]
	fills  effects[int64]
	drifts effects[int64]
	moods  effects[sim.Mood]
	breaks [2][3]*fault // of sim.Part and sim.Op: which fault counts
}

const (
	// again is the pause before a start is tried again.
	again = 500 * time.Millisecond
	// look is how often the conductor looks after the hosts.
	look = 100 * time.Millisecond
)

// serves reports whether a host is there to answer.
func (h *host) serves() bool {
	if !h.Up() || h.pauses > 0 || h.stalls > 0 || h.lost {
		return false
	}
	s, up := h.Status()
	return up && s.Ready && !h.stops
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
		if !h.excused() {
			r.problem("crash", "%s does not start, although nothing was done to it: %v", h.Name, err)
			h.down++
		}
	}
}

// tend sees to processes that ended by themselves, and starts what may run.
func (r *run) tend() {
	for len(r.crashed) > 0 {
		r.bury(<-r.crashed)
	}
	for _, h := range r.hosts {
		stopped := h.stops
		if err, ended := h.Ended(); ended {
			r.mourn(h, err, stopped)
		}
		r.doom(h)
		r.start(h)
		if s, up := h.Status(); up && s.Refused {
			h.refused = true
		}
		r.tendRefill(h)
	}
	r.watchOutages()
}

// mourn asks why a process has ended by itself.
func (r *run) mourn(h *host, err error, stopped bool) {
	r.damage["processes"]++
	h.pauses = 0
	switch {
	case stopped && err == nil:
		return
	case h.excused():
	case errors.Is(err, meta.ErrStalled) && h.stuck == h.count: // it was made to wait so long
	case stopped:
		r.problem("crash", "%s does not stop in order: %v", h.Name, err)
	default:
		r.problem("crash", "%s ended, although nothing was done to it: %v", h.Name, err)
	}
	// What it had not synced is with the operating system: half of the time the machine
	// goes down as well.
	if r.source(fmt.Sprintf("end of %s at %d", h.Name, r.now())).IntN(2) == 0 {
		h.LosePower()
	}
	h.retry = r.at() + again
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
	h.down, h.stalls, h.retry, h.doomed = 0, 0, 0, false
	if h.pauses > 0 {
		h.pauses = 0
		_ = h.Resume() // one that has ended meanwhile is not paused
	}
	h.moods, h.fills, h.slows, h.armed = nil, nil, nil, nil
	h.SetGroup(sim.GroupAnswers)
	h.fill()
	r.slow(h)
	for part := range h.breaks {
		for op := range h.breaks[part] {
			h.breaks[part][op] = nil
			h.Disk.Fail(sim.Part(part), sim.Op(op), 0)
		}
	}
	for h.harms > 0 {
		h.endHarm()
	}
	h.rearm()
}

// awaitRefills waits until all hosts that lost their data, and are to have it again, have
// been proven full.
func (r *run) awaitRefills() bool {
	for end := time.Now().Add(converging); time.Now().Before(end); time.Sleep(again) {
		r.tend()
		if r.empty() == nil {
			return true
		}
	}
	h := r.empty()
	s, _ := h.Status()
	r.problem("refill", "%s is not full %s after everything was healed: %+v", h.Name, converging, s)
	return false
}

// sound are the hosts that have what they must have, undamaged. One with a damaged record
// refuses to coordinate writes of its key, whoever asks.
func (r *run) sound() []*host {
	return slices.DeleteFunc(slices.Clone(r.hosts), func(h *host) bool {
		return h.lost || r.damaged(h)
	})
}

// await waits until the hosts that have not lost their data serve, confirmed ones where the
// group is asked for, and sees to them meanwhile. A host that ended by itself is started
// again.
func (r *run) await(hosts []*host, after string, confirmed bool) bool {
	ready, missing := sim.AwaitServing, sim.Unserving
	if confirmed {
		ready, missing = sim.Await, sim.Unready
	}
	var whole []*sim.Host
	for _, h := range hosts {
		if !h.lost {
			whole = append(whole, h.Host)
		}
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		r.tend()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := ready(ctx, whole)
		cancel()
		if err == nil && !slices.ContainsFunc(hosts, func(h *host) bool { return h.stops }) {
			return true
		}
		time.Sleep(again) // one that stops is connected until it has
	}
	name := "a host that stops"
	if late := missing(whole); late != nil {
		name = late.Name
	}
	r.problem("liveness", "after %s: %s is not ready", after, name)
	return false
}
