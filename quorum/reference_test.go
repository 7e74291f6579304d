// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// kind is what the reference knows of one participant.
type kind byte

const (
	idle        kind = '-' // not asked
	asked       kind = '?'
	late        kind = 'l'
	counted     kind = 'C'
	unconfirmed kind = 'U'
	empty       kind = '0' // a fallback's not-found
	failed      kind = 'F'
	refused     kind = 'R'
	fenced      kind = 'X'
)

func (k kind) good() bool { return k == counted || k == unconfirmed }
func (k kind) open() bool { return k == idle || k == asked || k == late }

// where names a participant of the reference: slot is -1 for members.
type where struct {
	node kv.NodeID
	slot int
}

// maxPlaces bounds the participants of one spec, so that a state is a small array.
const maxPlaces = 16

// reference is the second, dumb implementation: it holds what is known as a set and
// recounts everything by brute force.
type reference struct {
	spec   Spec
	places []where // all participants that there can be; never changed
	known  [maxPlaces]kind
}

func newReference(spec Spec, write bool) reference {
	r := reference{spec: spec}
	for _, slot := range spec.Slots {
		r.places = append(r.places, where{slot.Owner, -1})
		if slot.Next != 0 {
			r.places = append(r.places, where{slot.Next, -1})
		}
	}
	for _, f := range spec.Fallbacks {
		if !write {
			r.places = append(r.places, where{f, -1})
			continue
		}
		for i := range spec.Slots {
			r.places = append(r.places, where{f, i})
		}
	}
	for i := range r.known {
		r.known[i] = idle
	}
	return r
}

// with returns the reference that knows one thing more.
func (r reference) with(at where, k kind) reference {
	r.known[slices.Index(r.places, at)] = k
	return r
}

func (r *reference) at(node kv.NodeID, slot int) kind {
	return r.known[slices.Index(r.places, where{node, slot})]
}

func (r *reference) member(node kv.NodeID) kind { return r.at(node, -1) }

// writeReached recounts a write.
func (r reference) writeReached() bool {
	missing := []int{}
	confirmed := 0
	for i, slot := range r.spec.Slots {
		all, sure := true, true
		for _, node := range writers(slot) {
			k := r.member(node)
			all = all && k.good()
			sure = sure && k == counted
		}
		if !all {
			missing = append(missing, i)
		}
		if sure {
			confirmed++
		}
	}
	got := len(r.spec.Slots) - len(missing)
	if r.spec.Sloppy {
		got += r.assign(r.spec.Fallbacks, missing, map[int]bool{}, func(f kv.NodeID, slot int) bool {
			return r.at(f, slot).good()
		})
	}
	return got >= r.spec.Need && confirmed >= r.spec.NeedConfirmed
}

// assign tries every way to let each fallback stand for at most one missing slot, and
// returns the most slots that are then stood for.
func (r reference) assign(
	fallbacks []kv.NodeID, missing []int, taken map[int]bool, may func(kv.NodeID, int) bool,
) int {
	if len(fallbacks) == 0 {
		return 0
	}
	most := r.assign(fallbacks[1:], missing, taken, may)
	for _, slot := range missing {
		if !taken[slot] && may(fallbacks[0], slot) {
			taken[slot] = true
			most = max(most, 1+r.assign(fallbacks[1:], missing, taken, may))
			delete(taken, slot)
		}
	}
	return most
}

// writeReachable tries every way in which the participants can still answer.
func (r reference) writeReachable() bool {
	if r.writeReached() {
		return true
	}
	for _, slot := range r.spec.Slots {
		for _, node := range writers(slot) {
			if r.member(node).open() {
				for _, answer := range []kind{counted, failed} {
					if r.with(where{node, -1}, answer).writeReachable() {
						return true
					}
				}
				return false
			}
		}
	}
	return r.spec.Sloppy && r.hintsReach()
}

// hintsReach supposes that all members have answered, and that every hint which is
// open or may still be asked for is stored.
func (r reference) hintsReach() bool {
	c := r
	anyFenced := false
	for _, k := range r.known {
		anyFenced = anyFenced || k == fenced
	}
	for _, f := range r.spec.Fallbacks {
		spent := anyFenced
		for i := range r.spec.Slots {
			k := r.at(f, i)
			spent = spent || !k.good() && !k.open()
		}
		for i := range r.spec.Slots {
			k := r.at(f, i)
			if k == asked || k == late || k == idle && !spent {
				c = c.with(where{f, i}, counted)
			}
		}
	}
	return c.writeReached()
}

// readReached recounts a read.
func (r reference) readReached() bool {
	owners, confirmed, fallbacks := 0, 0, 0
	for _, slot := range r.spec.Slots {
		k := r.member(slot.Reader())
		if k.good() {
			owners++
		}
		if k == counted {
			confirmed++
		}
	}
	for _, f := range r.spec.Fallbacks {
		if r.spec.Sloppy && r.at(f, -1).good() {
			fallbacks++
		}
	}
	return owners+fallbacks >= r.spec.Need && confirmed >= r.spec.NeedConfirmed
}

// readReachable tries every way in which the participants can still answer.
func (r reference) readReachable() bool {
	if r.readReached() {
		return true
	}
	nodes := []kv.NodeID{}
	for _, slot := range r.spec.Slots {
		nodes = append(nodes, slot.Reader())
	}
	if r.spec.Sloppy {
		nodes = append(nodes, r.spec.Fallbacks...)
	}
	for _, node := range nodes {
		if !r.member(node).open() {
			continue
		}
		for _, answer := range []kind{counted, failed} {
			if r.with(where{node, -1}, answer).readReachable() {
				return true
			}
		}
		return false
	}
	return false
}

// noneCertain is the outcome by its definition.
func (r reference) noneCertain() bool {
	for _, k := range r.known {
		if k != idle && k != refused && k != fenced {
			return false
		}
	}
	return true
}

func writers(s kv.Slot) []kv.NodeID {
	first, second := s.Writers()
	if second == 0 {
		return []kv.NodeID{first}
	}
	return []kv.NodeID{first, second}
}
