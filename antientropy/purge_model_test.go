// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
)

// The model of purge rounds: two owners A and B, which may lead, a node F that is no owner
// and may hold a hint, and a node X to which B's slot may move. There is one key with a
// value, and the tombstone that covers it; A holds the tombstone when it begins. Every
// order of everything that may happen is walked, with the real rules of this package, less
// what a breach takes away. Messages with data may come late and more than once.
const (
	nodeA kv.NodeID = 1 + iota
	nodeB
	nodeF
	nodeX

	purgeNodes = 4
)

// held is what a node has of the key; whatever is greater has seen what is less.
type held uint8

const (
	heldNothing   held = iota
	heldValue          // what was deleted
	heldTombstone      // covers the value
	heldNewer          // a value that was written over the tombstone
)

// breach is a rule that is taken away.
type breach struct {
	byTime     bool // G1: an owner deletes when it thinks that it is time
	notAll     bool // G2: the leader takes the word of one for that of all
	noDrain    bool // G3: who adopts has drained
	oneDrains  bool // G3: only owners have to drain
	noFloor    bool // S11, G4: owners accept data of any epoch
	lateFloor  bool // S11: the floor is not durable before the delete
	noRefusal  bool // who is no owner accepts data of any epoch
	newStamp   bool // hints are sent with the adopted epoch
	allMerged  bool // G4: reads merge copies of all epochs
	noRecord   bool // G5: an owner adopts what it has not recorded
	unsynced   bool // G6: an owner confirms what is not durable yet
	moving     bool // G7: rounds while a slot moves
	anyContent bool // G8: an owner deletes whatever it holds
}

// faults are what may happen beside a round.
type faults struct {
	hint     bool // F holds a hint with the value
	put      bool // a send of the value to F is under way
	sends    int  // copies that are read somewhere and sent to somebody
	restarts int
	losses   int // power losses of B
	restores bool
	move     bool
	write    bool // a newer value is written to the owners
	fallback bool // a newer value is written to F, which alone holds it
	rounds   kv.PurgeEpoch
}

// copyOf is a message with data.
type copyOf struct {
	what  held
	stamp kv.PurgeEpoch
	to    kv.NodeID
}

// standing is a node of the model.
type standing struct {
	mem, disk held // of an owner; of F its hint
	purges    Purges
	synced    Purges
	missed    bool
	// late is the newest purge message that is on its way, and may come again and again.
	late kv.PurgeEpoch
}

// world is a state of the model. It is compared by ==.
type world struct {
	nodes             [purgeNodes]standing
	issued, committed kv.PurgeEpoch
	placement         kv.PlacementVersion
	moving, moved     bool
	sent              [2]copyOf // under way, and may come again and again; zero: none
	put               bool
	written, kept     bool // the newer value is acknowledged by the owners, by F
	left              faults
	lead              lead
}

// lead is a round under way, compared by ==.
type lead struct {
	round Round
	phase Phase
	done  uint8
	gone  bool
}

func (w *world) node(n kv.NodeID) *standing { return &w.nodes[n-1] }

func (w *world) owners() []kv.NodeID {
	if w.moved {
		return []kv.NodeID{nodeA, nodeX}
	}
	return []kv.NodeID{nodeA, nodeB}
}

func (w *world) owner(n kv.NodeID) bool {
	return slices.Contains(w.owners(), n) || n == nodeX && w.moving
}

func (w *world) slots() []kv.Slot {
	slots := []kv.Slot{kv.Stable(nodeA), kv.Stable(w.owners()[1])}
	if w.moving {
		slots[1] = kv.Slot{Owner: nodeB, Next: nodeX, Phase: kv.PhaseWriteBothReadOld}
	}
	return slots
}

// members are the registered nodes.
func (w *world) members(b breach) []kv.NodeID {
	if b.oneDrains {
		return nil
	}
	return []kv.NodeID{nodeA, nodeB, nodeF, nodeX}
}

// leading is the round under way as the package has it.
func (w *world) leading() *Leading {
	l := Lead(w.lead.round, w.owners(), []Item{{Bucket: bucket, Key: []byte("k")}})
	l.phase, l.gone[0] = w.lead.phase, w.lead.gone
	for n := nodeA; n <= nodeX; n++ {
		if w.lead.done&(1<<n) != 0 {
			l.take(n)
		}
	}
	return l
}

func (w *world) keep(l *Leading) {
	w.lead = lead{round: l.round, phase: l.phase, gone: l.gone[0]}
	for _, n := range l.done {
		w.lead.done |= 1 << n
	}
	if l.phase == PhaseEnded {
		w.lead = lead{}
	}
}

// purgeWalk is a walk through all states.
type purgeWalk struct {
	breach breach
	seen   map[world]bool
	todo   []world
	// zombie, lost and purged say what was met.
	zombie, lost, purged bool
}

// walk goes through every state that can be reached, or until something is wrong.
func walk(f faults, b breach) *purgeWalk {
	p := &purgeWalk{breach: b, seen: make(map[world]bool)}
	start := world{placement: 1, left: f}
	start.put, start.left.put = f.put, false
	*start.node(nodeA) = standing{mem: heldTombstone, disk: heldTombstone}
	*start.node(nodeB) = standing{mem: heldValue, disk: heldValue}
	if f.hint {
		*start.node(nodeF) = standing{mem: heldValue, disk: heldValue}
	}
	p.visit(start)
	for len(p.todo) > 0 && !p.zombie && !p.lost {
		next := p.todo[len(p.todo)-1]
		p.todo = p.todo[:len(p.todo)-1]
		p.steps(next)
	}
	return p
}

// visit checks a state that was not met before, and remembers to go on from it.
func (p *purgeWalk) visit(w world) {
	if p.seen[w] {
		return
	}
	p.seen[w] = true
	p.todo = append(p.todo, w)
	what, _ := w.read(breach{}) // by the rule: the breach is what the system does
	p.zombie = p.zombie || what == heldValue
	p.lost = p.lost || w.written && what != heldNewer || w.kept && w.stuck()
	a, other := w.node(w.owners()[0]), w.node(w.owners()[1])
	p.purged = p.purged || a.disk == heldNothing && other.disk == heldNothing
}

// stuck reports that nobody but F has the newer value, and no owner takes it from there.
func (w *world) stuck() bool {
	for _, n := range w.owners() {
		at := w.node(n)
		if at.mem == heldNewer || at.purges.Accepts(w.node(nodeF).purges.Stamp(), true) {
			return false
		}
	}
	return true
}

// read is what a read of all owners finds, and of which epoch.
func (w *world) read(b breach) (what held, epoch kv.PurgeEpoch) {
	for _, n := range w.owners() {
		if at := w.node(n); !at.missed {
			epoch = max(epoch, at.purges.Adopted)
		}
	}
	for _, n := range w.owners() {
		if at := w.node(n); !at.missed && (b.allMerged || at.purges.Adopted == epoch) {
			what = max(what, at.disk)
		}
	}
	return what, epoch
}

// arrive merges a copy at a node, if it accepts it.
func (p *purgeWalk) arrive(w *world, c copyOf) (stored bool) {
	at, owner := w.node(c.to), w.owner(c.to)
	accepts := at.purges.Accepts(c.stamp, owner)
	if owner && p.breach.noFloor || !owner && p.breach.noRefusal {
		accepts = true
	}
	if at.missed || !accepts {
		return false
	}
	at.mem = max(at.mem, c.what)
	return true
}

// settle makes changed purges of a node durable.
func (p *purgeWalk) settle(at *standing, next Purges) {
	at.purges = next
	at.synced = next
}
