// SPDX-License-Identifier: Apache-2.0

package quorum_test

import (
	"fmt"
	"math/bits"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/ring"
)

// The nodes of the models. Slots 0, 1 and 2 stand on A, B and L; L moves to X, and in
// the models of two moves B moves to Y.
const (
	nodeA kv.NodeID = 1 + iota
	nodeB
	nodeL
	nodeX
	nodeY

	modelNodes = 5
)

func nodeName(n kv.NodeID) string { return "?ABLXY"[n : n+1] }

// nodeSet is a set of nodes, A in bit 0.
type nodeSet uint8

func only(n kv.NodeID) nodeSet         { return 1 << (n - 1) }
func (s nodeSet) has(n kv.NodeID) bool { return s&only(n) != 0 }
func (s nodeSet) count(of ...kv.NodeID) int {
	var in nodeSet
	for _, n := range of {
		in |= s & only(n)
	}
	return bits.OnesCount8(uint8(in))
}

// rules is one protocol: the real one, less what an ablation takes away.
type rules struct {
	w, r  int
	moves []ring.Move

	aborts bool // moves may be aborted
	serial bool // one move at a time

	// Ablations; all false is TRAPS 5.4.
	copyUnfenced    bool        // copy before the leaver is fenced
	finishUnfenced  bool        // commit P3 before the leaver is fenced at P2
	restoreUnfenced bool        // commit P0 of an abort before the joiner is fenced
	copyFrom        []kv.NodeID // copy these instead of the leaver
	checkEarly      bool        // check the fence some time before the apply (T4)
	forgets         bool        // L forgets its fence in a restart (T5)
	replaced        bool        // joiners may lose their store, once, while they are filled
	unnoticed       bool        // ... and are taken for what they were, with a new copy
	unbound         bool        // ... and with the old copy (T12)
	everyoneFences  bool        // the owners that stay fence too
	singleFlip      bool        // the protocol of TRAPS 5.2: no phase P2
	ack             ackRule     // nil: complete slots, counted by package quorum
}

// ackRule says whether the acknowledgements reach w by another rule than the slots'.
type ackRule func(p ring.Placement, acks nodeSet, w int) bool

func oldAndNew(p ring.Placement) (old, next, all []kv.NodeID, moving int) {
	for _, s := range p.Slots {
		old = append(old, s.Owner)
		all = append(all, s.Owner)
		if s.Next == 0 {
			next = append(next, s.Owner)
			continue
		}
		next = append(next, s.Next)
		all = append(all, s.Next)
		moving++
	}
	return old, next, all, moving
}

func ackOld(p ring.Placement, acks nodeSet, w int) bool {
	old, _, _, _ := oldAndNew(p)
	return acks.count(old...) >= w
}

func ackAny(p ring.Placement, acks nodeSet, w int) bool {
	_, _, all, _ := oldAndNew(p)
	return acks.count(all...) >= w
}

func ackPlusPending(p ring.Placement, acks nodeSet, w int) bool {
	_, _, all, moving := oldAndNew(p)
	return acks.count(all...) >= w+moving
}

func ackJoint(p ring.Placement, acks nodeSet, w int) bool {
	old, next, _, _ := oldAndNew(p)
	return acks.count(old...) >= w && acks.count(next...) >= w
}

// The ring is what tells instances to the rounds of a node.
var _ quorum.Instances = (*ring.Ring)(nil)

// everyInstance makes all stores of the models live their first life.
type everyInstance struct{}

func (everyInstance) Instance(kv.NodeID) kv.Instance { return 1 }

// acked asks the real write round.
func (m *rules) acked(p ring.Placement, acks nodeSet) bool {
	if m.ack != nil {
		return m.ack(p, acks, m.w)
	}
	w, err := quorum.NewWrite(quorum.Spec{Slots: p.Slots, Version: p.Version,
		Instances: everyInstance{}, Need: m.w, NeedConfirmed: m.w})
	if err != nil {
		panic(err)
	}
	for target, more := w.Next(); more; target, more = w.Next() {
		slot := p.Slots[target.Slot]
		role := kv.RoleOwner
		if slot.Phase == kv.PhaseWriteBothReadOld && slot.Next == target.Node {
			role = kv.RoleNotReady // it is being filled, and says so
		}
		if acks.has(target.Node) {
			w.Add(reply(target.Node, role, p.Version, quorum.ResultStored))
		}
	}
	return w.Decision() == quorum.Reached
}

// missed asks the real read round whether these not-found answers are a whole answer.
func (m *rules) missed(p ring.Placement, misses nodeSet) bool {
	r, err := quorum.NewRead(quorum.Spec{Slots: p.Slots, Version: p.Version,
		Instances: everyInstance{}, Need: m.r, NeedConfirmed: m.r})
	if err != nil {
		panic(err)
	}
	for more := true; more; {
		var target quorum.Target
		target, more = r.Next()
		r.Late(target)
		if more && misses.has(target.Node) {
			r.Add(reply(target.Node, kv.RoleOwner, p.Version, quorum.ResultNotFound))
		}
	}
	return r.Decision() == quorum.Reached
}

func reply(
	node kv.NodeID, role kv.Role, v kv.PlacementVersion, result quorum.Result,
) quorum.Reply {
	return quorum.Reply{Node: node, Role: role, Version: v, Instance: 1, Confirmed: true,
		Result: result}
}

// history is one sequence of commits of the group, and what may follow it.
type history struct {
	placements []ring.Placement // by epoch: version 1 is epoch 0
	progress   []ring.Progress  // of each move; facts are the walk's
	lives      [][2]kv.Instance // by epoch and move: the joiner's, 0 before the move
	label      string
	next       []commit
}

// commit leads to a longer history, if the real step is allowed at the facts.
type commit struct {
	move int
	step step
	to   int

	begin, restart bool
}

// storeOf is a joiner's store in its n-th life; the 0th is none.
func storeOf(n uint8) ring.Store {
	if n == 0 {
		return ring.Store{}
	}
	return ring.Store{Instance: kv.Instance(n), OpenSeq: 1}
}

// step is a real transition; now is the joiner's store as it is open.
type step func(g ring.Progress, p ring.Placement, v kv.PlacementVersion, now ring.Store) (
	ring.Placement, ring.Progress, error)

func begin(g ring.Progress, p ring.Placement, v kv.PlacementVersion, now ring.Store) (
	ring.Placement, ring.Progress, error,
) {
	return g.Begin(p, v, 1, now.Instance)
}

func restart(g ring.Progress, p ring.Placement, v kv.PlacementVersion, now ring.Store) (
	ring.Placement, ring.Progress, error,
) {
	return g.Restart(p, v, now.Instance)
}

// plain is a transition that does not look at the store.
func plain(
	f func(ring.Progress, ring.Placement, kv.PlacementVersion) (
		ring.Placement, ring.Progress, error),
) step {
	return func(g ring.Progress, p ring.Placement, v kv.PlacementVersion, _ ring.Store) (
		ring.Placement, ring.Progress, error,
	) {
		return f(g, p, v)
	}
}

// steps are the real transitions.
func (m *rules) steps() []commit {
	steps := []commit{{step: begin, begin: true},
		{step: ring.Progress.ReadNew}, {step: plain(ring.Progress.Finish)}}
	if m.singleFlip {
		steps = []commit{steps[0], {step: plain(flip)}}
	}
	if m.replaced && !m.unnoticed && !m.unbound {
		steps = append(steps, commit{step: restart, restart: true})
	}
	if m.aborts {
		steps = append(steps, commit{step: plain(ring.Progress.Abort)},
			commit{step: plain(ring.Progress.Restore)})
	}
	return steps
}

// flip is the step of the single-flip protocol: it replaces L by X at once.
func flip(g ring.Progress, p ring.Placement, v kv.PlacementVersion) (
	ring.Placement, ring.Progress, error,
) {
	if g.Step != ring.StepFilling || g.Synced == (ring.Store{}) {
		return p, g, ring.ErrStep
	}
	slots := append([]kv.Slot(nil), p.Slots...)
	slots[g.Move.Slot] = kv.Stable(g.Move.To)
	g.Step = ring.StepDone
	return ring.Placement{Version: v, Slots: slots}, g, nil
}

// histories builds the tree of all that the group may commit, as if all facts were
// there. The first is the empty one.
func (m *rules) histories() []history {
	first := history{placements: []ring.Placement{{Version: 1,
		Slots: []kv.Slot{kv.Stable(nodeA), kv.Stable(nodeB), kv.Stable(nodeL)}}}}
	for _, move := range m.moves {
		first.progress = append(first.progress, ring.Planned(move))
	}
	first.lives = append(first.lives, livesOf(first.progress))
	tree := []history{first}
	for i := 0; i < len(tree); i++ {
		for k := range m.moves {
			for _, c := range m.steps() {
				h := tree[i]
				p := h.placements[len(h.placements)-1]
				g := h.progress[k]
				g.FromFence, g.ToFence, g.Synced = 99, 99, storeOf(uint8(g.ToInstance))
				life := max(uint8(g.ToInstance), 1)
				if c.restart {
					life++
				}
				if life > 2 {
					continue // one loss is enough
				}
				p, g, err := c.step(g, p, p.Version+1, storeOf(life))
				if err != nil || m.serial && c.begin && m.running(h) {
					continue
				}
				g.FromFence, g.ToFence, g.Synced = 0, 0, ring.Store{}
				c.move, c.to = k, len(tree)
				tree[i].next = append(tree[i].next, c)
				child := history{label: fmt.Sprintf("commit %v of %s to %s", g.Step,
					nodeName(g.Move.From), nodeName(g.Move.To))}
				child.placements = append(append(child.placements, h.placements...), p)
				child.progress = append(child.progress, h.progress...)
				child.progress[k] = g
				child.lives = append(append(child.lives, h.lives...), livesOf(child.progress))
				tree = append(tree, child)
			}
		}
	}
	return tree
}

func livesOf(progress []ring.Progress) (lives [2]kv.Instance) {
	for k, g := range progress {
		lives[k] = g.ToInstance
	}
	return lives
}

func (m *rules) running(h history) bool {
	for _, g := range h.progress {
		if g.Step == ring.StepFilling || g.Step == ring.StepSwitched {
			return true
		}
	}
	return false
}
