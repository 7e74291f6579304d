// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// pair is a partition that this node owns, and another of its owners.
type pair struct {
	partition uint16
	node      kv.NodeID
}

// appointment is when a pair is compared next, and how it went the last times.
type appointment struct {
	pair
	due     time.Time
	place   int // in the heap; -1: it is being compared
	begun   uint64
	failed  int    // times in a row
	settled uint64 // the last round that it was settled in. Invariant: <= begun

	outcome Outcome // of the last exchange; 0: none yet
	why     string
	last    time.Time // when it was settled last; zero: never
	// coming is since when it has been left to hints that are on their way; zero: it is not.
	coming time.Time
}

// schedule says which pair is compared next. It has no lock and reads no clock.
type schedule struct {
	period, retry time.Duration
	rand          *rand.Rand

	version uint64 // of the ring that the pairs are of
	pairs   map[pair]*appointment
	queue   queue // those that are not being compared, by when they are due
	// round counts the times that somebody asked for all pairs to be compared. A pair is
	// settled in a round if it was found so by an exchange that began after the round did.
	round uint64
}

func newSchedule(period, retry time.Duration, r *rand.Rand) *schedule {
	return &schedule{period: period, retry: retry, rand: r, pairs: make(map[pair]*appointment)}
}

// follow makes the pairs those of a ring, as far as it is news. New ones are spread over
// a period: a whole cluster that starts does not compare everything at once.
func (s *schedule) follow(current *ring.Ring, self kv.NodeID, now time.Time) {
	if current == nil || current.Version() == s.version && len(s.pairs) > 0 {
		return
	}
	s.version = current.Version()
	present := make(map[pair]bool)
	for p := range current.Partitions() {
		for _, node := range others(current, uint16(p), self) {
			at := pair{uint16(p), node}
			present[at] = true
			if s.pairs[at] == nil {
				a := &appointment{pair: at, due: now.Add(s.draw(s.period))}
				s.pairs[at] = a
				heap.Push(&s.queue, a)
			}
		}
	}
	for at, a := range s.pairs {
		if present[at] {
			continue
		}
		delete(s.pairs, at)
		if a.place >= 0 {
			heap.Remove(&s.queue, a.place)
		}
	}
}

// others are the other members of a partition's slots, in their order, if self is one.
func others(current *ring.Ring, partition uint16, self kv.NodeID) []kv.NodeID {
	if _, owns := current.SlotOf(partition, self); !owns {
		return nil
	}
	var nodes []kv.NodeID
	for _, slot := range current.Placement(partition).Slots {
		first, second := slot.Writers()
		for _, node := range [2]kv.NodeID{first, second} {
			if node != 0 && node != self {
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}

// draw returns a time below d.
func (s *schedule) draw(d time.Duration) time.Duration {
	return time.Duration(s.rand.Int64N(int64(d)))
}

// next takes out the pair that is due first; nil where none is, with how long none will be.
func (s *schedule) next(now time.Time) (*appointment, time.Duration) {
	if len(s.queue) == 0 {
		return nil, s.period
	}
	if wait := s.queue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	a := heap.Pop(&s.queue).(*appointment)
	a.begun = s.round
	return a, 0
}

// ended says how the exchange of a pair went, and when it is compared again: after about a
// period where it was settled, sooner where something is left, and ever later where it
// can not be compared.
func (s *schedule) ended(a *appointment, o Outcome, why string, now time.Time) {
	a.outcome, a.why = o, why
	wait := s.period - s.period/8 + s.draw(s.period/4)
	switch o {
	case InSync, Repaired:
		a.failed, a.settled, a.last = 0, a.begun, now
		if a.begun < s.round {
			wait = s.draw(s.retry) // a round has begun meanwhile, and wants it compared anew
		}
	case Unfinished, Stopped:
		a.failed = 0
		wait = s.retry/2 + s.draw(s.retry)
	default:
		a.failed++
		backoff := min(s.retry<<min(a.failed-1, 20), s.period)
		wait = min(wait, backoff/2+s.draw(backoff))
	}
	a.due = now.Add(wait)
	if s.pairs[a.pair] == a { // else the ring has it no more
		heap.Push(&s.queue, a)
	}
}

// begin begins a round: all pairs are due, each a little later than the one before, so that
// the other side is not asked for all at once.
func (s *schedule) begin(now time.Time) uint64 {
	s.round++
	for _, a := range s.queue {
		a.failed = 0
		a.due = now.Add(s.draw(s.retry))
	}
	heap.Init(&s.queue)
	return s.round
}

// progress is how many of the pairs are settled in a round.
func (s *schedule) progress(round uint64) (settled, all int) {
	for _, a := range s.pairs {
		if a.settled >= round && !a.last.IsZero() {
			settled++
		}
	}
	return settled, len(s.pairs)
}

// behind are the pairs that are not settled in a round, in order, at most so many.
func (s *schedule) behind(round uint64, most int) []*appointment {
	var list []*appointment
	for _, a := range s.pairs {
		if a.outcome != 0 && !a.outcome.settled() && (a.settled < round || a.last.IsZero()) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b *appointment) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.node, b.node))
	})
	return list[:min(most, len(list))]
}

// oldest is when the pair was settled that has waited longest for it; zero where one never
// was, or there is none.
func (s *schedule) oldest() (at time.Time) {
	first := true
	for _, a := range s.pairs {
		if a.last.IsZero() {
			return time.Time{}
		}
		if first || a.last.Before(at) {
			at, first = a.last, false
		}
	}
	return at
}

// peers tells of the pairs with each other owner, in order of their numbers.
func (s *schedule) peers() []PeerStatus {
	byNode := make(map[kv.NodeID]*PeerStatus)
	for _, a := range s.pairs {
		p := byNode[a.node]
		if p == nil {
			p = &PeerStatus{Node: a.node, Oldest: a.last}
			byNode[a.node] = p
		}
		p.Pairs++
		if a.last.After(p.Newest) {
			p.Newest = a.last
		}
		if a.last.Before(p.Oldest) { // one that never was is before all others
			p.Oldest = a.last
		}
	}
	list := make([]PeerStatus, 0, len(byNode))
	for _, p := range byNode {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b PeerStatus) int { return cmp.Compare(a.Node, b.Node) })
	return list
}

// queue is a heap of appointments by when they are due; of two at once, by what they are
// of, so that a seed repeats itself.
type queue []*appointment

var _ heap.Interface = (*queue)(nil)

// Len implements heap.Interface.
func (q queue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.partition, b.partition),
		cmp.Compare(a.node, b.node)) < 0
}

// Swap implements heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	a := x.(*appointment)
	a.place = len(*q)
	*q = append(*q, a)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q, a.place = (*q)[:last], -1
	return a
}
