// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"fmt"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// refill is how a host that has lost its data comes to it again: an operator says to its
// processes that the store is lost (docs/adr/0022).
type refill struct {
	// rejoins: it is to be filled; of another one that has lost its data nothing comes back.
	rejoins bool
	since   int64 // when it lost its data
	begun   bool  // it has said since then that it is being filled
	losses  int   // that there were
}

// loseAll notes that a host has lost its data: for good, or until it was filled again.
func (r *run) loseAll(h *host, f *fault) {
	if !f.bit {
		return
	}
	h.lost, h.refused = true, false
	h.refill = refill{
		rejoins: f.N == 1, since: r.now(), losses: h.refill.losses + 1,
	}
	h.SetRejoin(h.refill.rejoins)
	r.white.Wiped(uint16(h.number))
}

// tendRefill looks whether a host is full again. Once its directory says that it is being
// filled, nobody has to tell it any more; half of the time nobody does.
func (r *run) tendRefill(h *host) {
	s, up := h.Status()
	if !h.lost || !h.refill.rejoins || !up {
		return
	}
	if s.Filling && !h.refill.begun {
		h.refill.begun = true
		name := fmt.Sprintf("loss %d of %s", h.refill.losses, h.Name)
		h.SetRejoin(r.source(name).IntN(2) == 0)
	}
	if s.Ready && s.Confirmed {
		h.lost, h.refused = false, false
		r.damage["refills"]++
		r.event(refillEvent, h.refill.since, false, []*host{h})
	}
}

// refillEvent names the times, in a history, in which a host lost its data and was filled.
const refillEvent = "refill"

// empty is a host that is to be filled and is not yet; nil where there is none.
func (r *run) empty() *host {
	for _, h := range r.hosts {
		if h.lost && h.refill.rejoins {
			return h
		}
	}
	return nil
}

// countReads counts the reads that met a majority of owners while some host was being
// filled: what they showed is judged as all else is.
func (r *run) countReads(h *history.History) {
	for i := range h.Ops {
		op := &h.Ops[i]
		level := max(op.R, op.PR)
		if h.Header.Sloppy {
			level = op.PR
		}
		if op.Kind == history.Get && op.Outcome == history.OK &&
			int(level) >= r.plan.Cluster.Majority() && duringRefill(op, h.Events) {
			r.damage["strict reads during refills"]++
		}
	}
}

func duringRefill(op *history.Op, events []history.Event) bool {
	for i := range events {
		if e := &events[i]; e.Name == refillEvent && op.Invoked <= e.Until && op.Completed >= e.From {
			return true
		}
	}
	return false
}
