// SPDX-License-Identifier: Apache-2.0

package memnet

import "time"

// Faults is what one direction between two hosts does to what passes it. The zero
// value delivers at once and loses nothing. Chances are 0 to 1. Cuts and pauses are
// no part of it: they stay while faults change.
type Faults struct {
	// Delay is what everything takes, Jitter the most that is drawn on top.
	Delay, Jitter time.Duration
	// Slow is the chance that a message takes still longer, SlowBy the most that is
	// drawn for it: the long tail of the delays.
	Slow   float64
	SlowBy time.Duration
	// Loss is the chance that a packet vanishes, and that a segment of a stream has
	// to be sent again: it and what is behind it come Stall later, doubled each
	// time it is lost again.
	Loss float64
	// Stall is the first pause of a stream after a loss. 0 means 200 ms.
	Stall time.Duration
	// Twice is the chance that a packet comes twice, each with its own delay.
	Twice float64
	// Reorder is the chance that a packet is held back, so that later ones overtake
	// it, by a time of up to ReorderBy. 0 means 20 ms.
	Reorder   float64
	ReorderBy time.Duration
	// Reset is the chance, for each segment, that it resets its stream.
	Reset float64
	// Rate is how many bytes pass in a second, one message after the other. 0 means
	// as many as come.
	Rate int
}

const (
	defaultStall     = 200 * time.Millisecond
	defaultReorderBy = 20 * time.Millisecond
	// maxLosses bounds how often one segment is lost: 200 ms doubled 6 times is
	// 12.8 s, beyond which a cut is the better model.
	maxLosses = 6
)

// stall is how long a stream stops for a segment that is lost so often.
func (f *Faults) stall(losses int) time.Duration {
	first := f.Stall
	if first == 0 {
		first = defaultStall
	}
	return first * (1<<losses - 1)
}

func (f *Faults) reorderBy() time.Duration {
	if f.ReorderBy == 0 {
		return defaultReorderBy
	}
	return f.ReorderBy
}

// SetDefaults sets the faults of every link, those included that have their own.
func (n *Network) SetDefaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.defaults = f
	for _, l := range n.ordered {
		l.faults = f
	}
}

// SetFaults sets the faults from one host to another, in this direction only. What
// is under way keeps the time that was drawn for it.
func (n *Network) SetFaults(from, to string, f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(host(from), host(to)).faults = f
}

// Faults returns those from one host to another.
func (n *Network) Faults(from, to string) Faults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.link(host(from), host(to)).faults
}
