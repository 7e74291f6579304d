// SPDX-License-Identifier: Apache-2.0

package quorum_test

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/ring"
)

// refillNodes are the owners of the model's only partition: A, B and L.
const refillNodes = 3

// refillVersions bounds the versions of the placement: two stores are lost, the same one
// twice or one after the other, or both at the same time.
const refillVersions = 3

// refillRules is the protocol of docs/adr/0022, less what an ablation takes away.
type refillRules struct {
	w, r int

	copyUnfenced bool // sources are copied before they are fenced
	oneSource    bool // one copied source is enough
	noSelfFence  bool // a store that is full need not have fenced itself
	forgets      bool // fences are forgotten in a restart (T5)
	checkEarly   bool // the fence is checked some time before the apply (T4)
	readsEarly   bool // a store that is being filled answers reads as an owner (M22)
	acksEarly    bool // ... and writes
	unbound      bool // what was copied into a store that was lost still counts (T12)
	sameInstance bool // the new life has the instance of the old one
	runsOn       bool // the first store that is called lost runs on, as the only one (T8)
}

// refillWorld is one state: one key, one write, one read, by coordinators that may know
// any layout there ever was.
type refillWorld struct {
	version uint8
	lives   [refillVersions][refillNodes]uint8 // by version
	since   [refillNodes]uint8                 // version that the present life began at
	lost    nodeSet                            // has no store, and the group does not know
	filling nodeSet
	fence   [refillNodes]uint8
	fenced  [refillNodes][refillNodes]uint8 // by filled node and source: the source's life
	copied  [refillNodes][refillNodes]uint8
	data    nodeSet // whose store has the write
	gone    nodeSet // whose lost store had it, and is not full again
	write   uint8   // version it is stamped with; 0: not begun
	old     nodeSet // whose store of its first life runs on
	oldData nodeSet // ... and has the write
	checked nodeSet
	acks    [refillNodes]uint8 // 0, or twice the life, and 1 where it was ready
	read    uint8
	missed  nodeSet
}

type refillWalk struct {
	*refillRules
	queue   []refillWorld
	parents []int32
	seen    map[refillWorld]struct{}
	reached map[[2 * refillNodes]uint8]bool
	misses  [1 << refillNodes]bool
}

// check tries all interleavings.
func (m *refillRules) check() verdict {
	w := &refillWalk{refillRules: m, seen: map[refillWorld]struct{}{},
		reached: map[[2 * refillNodes]uint8]bool{}}
	for set := range w.misses {
		w.misses[set] = (&rules{r: m.r}).missed(placementOf(1), nodeSet(set))
	}
	w.push(refillWorld{version: 1, lives: [refillVersions][refillNodes]uint8{{1, 1, 1}}}, -1)
	for i := 0; i < len(w.queue); i++ {
		s := w.queue[i]
		if s.read > 0 && w.misses[s.missed] {
			return verdict{len(w.queue), w.trace(int32(i))}
		}
		w.successors(s, func(next refillWorld, _ string) { w.push(next, int32(i)) })
	}
	return verdict{worlds: len(w.queue)}
}

func placementOf(version uint8) ring.Placement {
	return ring.Placement{Version: kv.PlacementVersion(version),
		Slots: []kv.Slot{kv.Stable(nodeA), kv.Stable(nodeB), kv.Stable(nodeL)}}
}

func (w *refillWalk) push(s refillWorld, parent int32) {
	if _, ok := w.seen[s]; !ok {
		w.seen[s] = struct{}{}
		w.queue = append(w.queue, s)
		w.parents = append(w.parents, parent)
	}
}

func (w *refillWalk) trace(i int32) []string {
	var path []string
	for ; w.parents[i] >= 0; i = w.parents[i] {
		label := ""
		w.successors(w.queue[w.parents[i]], func(next refillWorld, what string) {
			if next == w.queue[i] {
				label = what
			}
		})
		path = append([]string{label}, path...)
	}
	return path
}

func (s *refillWorld) life(n kv.NodeID) uint8 { return s.lives[s.version-1][n-1] }

// instance is what replies of a life state.
func (m *refillRules) instance(life uint8) kv.Instance {
	if m.sameInstance {
		return 1
	}
	return kv.Instance(life)
}

func (w *refillWalk) successors(s refillWorld, yield func(refillWorld, string)) {
	for n := nodeA; n <= nodeL; n++ {
		w.loses(s, n, yield)
		if s.filling.has(n) && !s.lost.has(n) {
			w.refills(s, n, yield)
		}
		if w.forgets && s.fence[n-1] > 0 {
			next := s
			next.fence[n-1] = 0
			yield(next, nodeName(n)+" restarts and forgets its fence")
		}
	}
	w.requests(s, yield)
}

// loses lets a store be lost, and a lost one begin a new life by the operator's word. A
// write whose holders are lost as many as w at a time was never promised.
func (w *refillWalk) loses(s refillWorld, n kv.NodeID, yield func(refillWorld, string)) {
	if s.lost.has(n) {
		next := s
		next.version++
		next.lives[next.version-1] = s.lives[s.version-1]
		next.lives[next.version-1][n-1]++
		_, g, err := ring.BeginRefill([]ring.Placement{placementOf(s.version)}, n,
			kv.PlacementVersion(next.version))
		if err != nil {
			panic(err)
		}
		next.since[n-1] = uint8(g.Since)
		next.lost &^= only(n)
		next.filling |= only(n)
		yield(next, fmt.Sprintf("%s begins a new life at version %d", nodeName(n), next.version))
		return
	}
	if int(s.version)+s.lost.count(nodeA, nodeB, nodeL) >= refillVersions || s.old != 0 {
		return
	}
	next := s
	next.lost |= only(n)
	next.fence[n-1] = 0
	next.checked &^= only(n)
	if !w.unbound {
		next.copied[n-1] = [refillNodes]uint8{}
	}
	next.fenced[n-1] = [refillNodes]uint8{}
	if w.runsOn && s.version == 1 {
		next.old |= only(n)
		next.oldData |= s.data & only(n)
	}
	if s.data.has(n) {
		next.data &^= only(n)
		next.gone |= only(n)
	}
	if next.gone.count(nodeA, nodeB, nodeL) < w.w {
		yield(next, nodeName(n)+" loses its store")
	}
}

// whole is what the group knows: of a loss that nobody has told it knows nothing.
func (w *refillWalk) whole(s *refillWorld) ring.Whole {
	return func(n kv.NodeID) (kv.Instance, bool) {
		return kv.Instance(s.life(n)), !s.filling.has(n)
	}
}

// sources are the stores that a set of lives names.
func sources(lives [refillNodes]uint8) (list []ring.Source) {
	for i, life := range lives {
		if life > 0 {
			list = append(list, ring.Source{Node: kv.NodeID(i + 1), Instance: kv.Instance(life)})
		}
	}
	return list
}

// refills goes on with the refill of n.
func (w *refillWalk) refills(s refillWorld, n kv.NodeID, yield func(refillWorld, string)) {
	g := ring.Refill{Since: kv.PlacementVersion(s.since[n-1])}
	placements := []ring.Placement{placementOf(s.version)}
	for _, from := range g.Missing(placements, n, w.whole(&s), sources(s.copied[n-1])) {
		w.copies(s, n, from, g, yield)
	}
	if s.fence[n-1] < s.version {
		next := s
		next.fence[n-1] = s.version
		yield(next, fmt.Sprintf("%s fences itself at version %d", nodeName(n), s.version))
	}
	w.finishes(s, n, g, yield)
}

// copies fences a source or copies it.
func (w *refillWalk) copies(
	s refillWorld, n, from kv.NodeID, g ring.Refill, yield func(refillWorld, string),
) {
	if s.lost.has(from) {
		return
	}
	life := s.life(from)
	if s.fenced[n-1][from-1] != life {
		next := s
		next.fence[from-1] = max(s.fence[from-1], uint8(g.Since))
		next.fenced[n-1][from-1] = life
		yield(next, fmt.Sprintf("%s acknowledges the fence of %s's version %d", nodeName(from),
			nodeName(n), g.Since))
	}
	acknowledged := kv.PlacementVersion(0)
	if s.fenced[n-1][from-1] == life || w.copyUnfenced {
		acknowledged = g.Since
	}
	if g.MayCopy(acknowledged) && s.copied[n-1][from-1] != life {
		next := s
		next.copied[n-1][from-1] = life
		if s.data.has(from) {
			next.data |= only(n)
		}
		yield(next, nodeName(n)+" copies "+nodeName(from))
	}
}

// finishes commits the end of a refill, if the real rule allows it.
func (w *refillWalk) finishes(
	s refillWorld, n kv.NodeID, g ring.Refill, yield func(refillWorld, string),
) {
	store := ring.Store{Instance: kv.Instance(s.life(n)), OpenSeq: 1}
	f := ring.Filled{Store: store, Fence: kv.PlacementVersion(s.fence[n-1]),
		Sources: sources(s.copied[n-1])}
	if w.noSelfFence {
		f.Fence = kv.PlacementVersion(s.version)
	}
	if w.oneSource && len(f.Sources) > 0 {
		g = g.Accept([]kv.NodeID{nodeA, nodeB, nodeL})
	}
	placements := []ring.Placement{placementOf(s.version)}
	if g.Finish(placements, n, store, w.whole(&s), f) != nil {
		return
	}
	next := s
	next.filling &^= only(n)
	next.gone &^= only(n)
	yield(next, nodeName(n)+" is full")
}

// requests begins the write and the read, and lets replicas answer.
func (w *refillWalk) requests(s refillWorld, yield func(refillWorld, string)) {
	if s.write == 0 {
		for v := uint8(1); v <= s.version; v++ {
			next := s
			next.write = v
			yield(next, fmt.Sprintf("write begins at version %d", v))
		}
		return
	}
	if s.read == 0 && w.acked(&s) {
		for v := uint8(1); v <= s.version; v++ {
			next := s
			next.read = v
			yield(next, fmt.Sprintf("acknowledged; read begins at version %d", v))
		}
	}
	for n := nodeA; n <= nodeL; n++ {
		if s.old.has(n) {
			w.answersOld(s, n, yield)
		}
		if s.lost.has(n) {
			continue
		}
		w.applies(s, n, yield)
		if s.read > 0 && w.takes(&s, n, s.read) && !s.data.has(n) && !s.missed.has(n) &&
			(w.readsEarly || !s.filling.has(n)) {
			next := s
			next.missed |= only(n)
			yield(next, nodeName(n)+" answers the read: not found")
		}
	}
}

// applies lets n check and apply the write, and acknowledge it.
func (w *refillWalk) applies(s refillWorld, n kv.NodeID, yield func(refillWorld, string)) {
	if s.acks[n-1] > 0 {
		return
	}
	allowed := w.takes(&s, n, s.write)
	if w.checkEarly {
		if allowed && !s.checked.has(n) {
			next := s
			next.checked |= only(n)
			yield(next, nodeName(n)+" checks the write")
		}
		allowed = s.checked.has(n)
	}
	if !allowed {
		return
	}
	next := s
	next.data |= only(n)
	next.acks[n-1] = 2 * s.life(n)
	if !s.filling.has(n) || w.acksEarly {
		next.acks[n-1]++
	}
	yield(next, nodeName(n)+" applies the write and acknowledges")
}

// answersOld lets the store of n's first life answer, which knows of no other.
func (w *refillWalk) answersOld(s refillWorld, n kv.NodeID, yield func(refillWorld, string)) {
	if w.instance(s.lives[s.write-1][n-1]) == 1 && s.acks[n-1] == 0 {
		next := s
		next.oldData |= only(n)
		next.acks[n-1] = 2 + 1
		yield(next, nodeName(n)+"'s lost store applies the write and acknowledges")
	}
	if s.read > 0 && w.instance(s.lives[s.read-1][n-1]) == 1 && !s.oldData.has(n) &&
		!s.missed.has(n) {
		next := s
		next.missed |= only(n)
		yield(next, nodeName(n)+"'s lost store answers the read: not found")
	}
}

// takes is the check of a replica: placement by the real rule, and the instance.
func (w *refillWalk) takes(s *refillWorld, n kv.NodeID, version uint8) bool {
	verdict := ring.Accept(placementOf(s.version), n, kv.PlacementVersion(s.fence[n-1]),
		kv.PlacementVersion(version))
	return verdict == ring.VerdictAccept &&
		w.instance(s.lives[version-1][n-1]) == w.instance(s.life(n))
}

// livesAt are the instances that a coordinator expects who knows a version.
type livesAt struct {
	m     *refillRules
	lives [refillNodes]uint8
}

func (l livesAt) Instance(n kv.NodeID) kv.Instance { return l.m.instance(l.lives[n-1]) }

// acked asks the real write round.
func (w *refillWalk) acked(s *refillWorld) bool {
	lives := s.lives[s.write-1]
	var key [2 * refillNodes]uint8
	copy(key[copy(key[:], lives[:]):], s.acks[:])
	if reached, known := w.reached[key]; known {
		return reached
	}
	round, err := quorum.NewWrite(quorum.Spec{Slots: placementOf(1).Slots, Version: 1,
		Instances: livesAt{w.refillRules, lives}, Need: w.w, NeedConfirmed: w.w})
	if err != nil {
		panic(err)
	}
	for target, more := round.Next(); more; target, more = round.Next() {
		ack := s.acks[target.Node-1]
		if ack == 0 {
			continue
		}
		role := kv.RoleNotReady
		if ack%2 == 1 {
			role = kv.RoleOwner
		}
		answer := reply(target.Node, role, 1, quorum.ResultStored)
		answer.Instance = w.instance(ack / 2)
		round.Add(answer)
	}
	w.reached[key] = round.Decision() == quorum.Reached
	return w.reached[key]
}
