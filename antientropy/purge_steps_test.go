// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"github.com/dyno-kv/dyno/kv"
)

// steps takes every step that can be taken from a state.
func (p *purgeWalk) steps(w world) {
	p.lead(w)
	p.copies(w)
	p.hints(w)
	p.faults(w)
	p.moves(w)
	for n := nodeA; n <= nodeX; n++ {
		if at := w.node(n); at.mem != at.disk {
			next := w
			next.node(n).disk = at.mem
			p.visit(next)
		}
		p.heed(w, n)
		p.latePurge(w, n)
		if p.breach.byTime && w.owner(n) && w.node(n).disk == heldTombstone {
			next := w
			next.node(n).mem, next.node(n).disk = heldNothing, heldNothing
			p.visit(next)
		}
	}
}

// lead takes the steps of rounds: A leads them all.
func (p *purgeWalk) lead(w world) {
	if w.issued < w.left.rounds { // a new round, whatever became of the one before
		round := Round{Placement: w.placement, After: w.committed, Epoch: w.issued + 1}
		if round.Fits(w.placement, w.slots()) || p.breach.moving {
			next := w
			next.issued = round.Epoch
			next.keep(Lead(round, w.owners(), []Item{{Bucket: bucket, Key: []byte("k")}}))
			p.visit(next)
		}
	}
	if w.lead == (lead{}) {
		return
	}
	switch l := w.leading(); l.Phase() {
	case PhaseConfirm:
		for _, n := range l.Ask(nil) {
			p.confirm(w, n)
		}
	case PhaseCommit:
		fits := w.lead.round.Fits(w.placement, w.slots()) || p.breach.moving
		if w.issued == w.lead.round.Epoch && fits {
			next := w
			next.committed = w.issued
			l.Committed()
			next.keep(l)
			p.visit(next)
		}
	case PhaseDrain:
		for _, n := range l.Ask(w.members(p.breach)) {
			p.drain(w, n)
		}
		if l.Barrier(w.members(p.breach)); l.Phase() == PhasePurge {
			next := w
			next.keep(l)
			p.visit(next)
		}
	case PhasePurge:
		for _, n := range l.Ask(nil) {
			next := w
			next.node(n).late = w.lead.round.Epoch
			if p.purge(&next, n, w.lead.round.Epoch) {
				l := next.leading()
				l.Purged(n)
				next.keep(l)
			}
			p.visit(next)
		}
	}
}

// confirm has an owner confirm.
func (p *purgeWalk) confirm(w world, n kv.NodeID) {
	at := w.node(n)
	next, verdict := at.purges.Record(w.lead.round)
	fits := w.lead.round.Fits(w.placement, w.slots()) || p.breach.moving
	if !verdict.Taken() || at.missed || !fits {
		return
	}
	p.settle(at, next)
	holds := at.disk == heldTombstone || p.breach.unsynced && at.mem == heldTombstone
	if p.breach.notAll && n != nodeA {
		holds = true
	}
	l := w.leading()
	l.Confirmed(n, []bool{holds})
	w.keep(l)
	p.visit(w)
}

// drain has a node adopt the committed epoch, and answer once it has drained.
func (p *purgeWalk) drain(w world, n kv.NodeID) {
	at, epoch := w.node(n), w.lead.round.Epoch
	if !p.adopt(&w, n, epoch) {
		return
	}
	if p.visit(w); !w.owner(n) && at.mem != heldNothing && !p.breach.noDrain {
		return // its hints are older, for all that it knows
	}
	next, verdict := at.purges.Drain(epoch)
	if !verdict.Taken() {
		return
	}
	p.settle(at, next)
	l := w.leading()
	l.Drained(n)
	w.keep(l)
	p.visit(w)
}

// adopt has a node hear of an epoch that was committed.
func (p *purgeWalk) adopt(w *world, n kv.NodeID, epoch kv.PurgeEpoch) bool {
	at := w.node(n)
	next, verdict := at.purges.Adopt(epoch, w.owner(n) && !p.breach.noRecord)
	if verdict == VerdictMissed {
		at.missed = true
		return false
	}
	if verdict.Taken() {
		p.settle(at, next)
	}
	return verdict.Taken()
}

// heed has a node ask the group which epoch is committed, as it does when it starts.
func (p *purgeWalk) heed(w world, n kv.NodeID) {
	if w.node(n).purges.Adopted < w.committed && !w.node(n).missed {
		p.adopt(&w, n, w.committed)
		p.visit(w)
	}
}

// purge is the last step at an owner.
func (p *purgeWalk) purge(w *world, n kv.NodeID, epoch kv.PurgeEpoch) bool {
	at := w.node(n)
	if at.missed || !w.owner(n) {
		return false
	}
	next, verdict := at.purges.Raise(epoch)
	if !verdict.Taken() {
		return false
	}
	at.purges = next
	if !p.breach.lateFloor {
		at.synced = next
	}
	if at.mem == heldTombstone || p.breach.anyContent && at.mem > heldValue {
		at.mem = heldNothing
	}
	return true
}

// latePurge delivers a purge message again.
func (p *purgeWalk) latePurge(w world, n kv.NodeID) {
	if late := w.node(n).late; late != 0 && p.purge(&w, n, late) {
		p.visit(w)
	}
}

// copies are exchanges, repairs and sends: data that is read at one time and stored at
// another.
func (p *purgeWalk) copies(w world) {
	for _, c := range w.sent {
		next := w
		if c != (copyOf{}) && p.arrive(&next, c) {
			p.visit(next)
		}
	}
	if w.left.sends > 0 {
		for _, to := range w.owners() {
			for _, from := range w.owners() {
				if at := w.node(from); from != to && !at.missed {
					p.send(w, copyOf{at.disk, at.purges.Adopted, to})
				}
			}
			what, epoch := w.read(p.breach)
			p.send(w, copyOf{what, epoch, to})
		}
	}
	if w.put {
		next := w
		if p.arrive(&next, copyOf{heldValue, 0, nodeF}) {
			next.node(nodeF).disk = next.node(nodeF).mem
			p.visit(next)
		}
	}
	if w.left.write {
		next := w
		for _, n := range w.owners() {
			at := next.node(n)
			if at.missed {
				return
			}
			at.mem, at.disk = heldNewer, heldNewer
		}
		next.left.write, next.written = false, true
		p.visit(next)
	}
	if w.left.fallback {
		next := w
		next.node(nodeF).mem, next.node(nodeF).disk = heldNewer, heldNewer
		next.left.fallback, next.kept = false, true
		p.visit(next)
	}
}

func (p *purgeWalk) send(w world, c copyOf) {
	if c.what == heldNothing {
		return
	}
	w.left.sends--
	w.sent[w.left.sends%2] = c
	p.visit(w)
}

// hints delivers F's hint, if it is taken; the message may come again, which is what a
// send of the same copy is for.
func (p *purgeWalk) hints(w world) {
	at := w.node(nodeF)
	if at.disk == heldNothing {
		return
	}
	stamp := at.purges.Stamp()
	if p.breach.newStamp {
		stamp = at.purges.Adopted
	}
	c := copyOf{at.disk, stamp, w.owners()[1]}
	if w.left.sends > 0 {
		p.send(w, c) // and it is still there: the answer is lost
	}
	if p.arrive(&w, c) {
		w.node(c.to).disk = w.node(c.to).mem // durable before F hears of it
		at.mem, at.disk = heldNothing, heldNothing
		p.visit(w)
	}
}

func (p *purgeWalk) faults(w world) {
	if w.left.restarts > 0 {
		for n := nodeA; n <= nodeF; n++ {
			next := w
			next.left.restarts--
			at := next.node(n)
			at.missed = false
			if n == nodeA {
				next.lead = lead{}
			}
			p.visit(next)
		}
	}
	if w.left.losses > 0 {
		next := w
		next.left.losses--
		at := next.node(nodeB)
		at.mem, at.purges, at.missed = at.disk, at.synced, false
		p.visit(next)
	}
	if w.left.restores {
		for _, n := range [...]kv.NodeID{nodeB, nodeF} {
			if n == nodeF && !w.left.hint {
				continue
			}
			next := w
			next.left.restores = false
			*next.node(n) = standing{mem: heldValue, disk: heldValue, late: w.node(n).late}
			p.visit(next)
		}
	}
}

// moves gives B's slot to X, which copies what B holds at some time.
func (p *purgeWalk) moves(w world) {
	at := w.node(nodeX)
	switch {
	case w.left.move:
		w.left.move, w.moving, w.placement = false, true, w.placement+1
		*at = standing{mem: w.node(nodeB).disk, disk: w.node(nodeB).disk}
		p.visit(w)
	case w.moving:
		w.moving, w.moved, w.placement = false, true, w.placement+1
		given := at.purges.Given(w.node(nodeB).purges.Adopted)
		at.purges, at.synced, at.missed = given, given, false
		p.visit(w)
	}
}
