// SPDX-License-Identifier: Apache-2.0

package quorum_test

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// world is one state of a model: one key, one write and one read, by coordinators that
// may know any layout there ever was. An answer that is refused is as one that never
// comes, so only what was accepted is kept.
type world struct {
	history uint16
	fence   [modelNodes]uint8 // version that the node has fenced at; 0: none
	forgot  bool              // L has lost its fence
	losses  [2]uint8          // by move, times that the joiner's store was replaced
	copied  [2]uint8          // by move, life that the copy is complete in; 0: none
	data    nodeSet           // who has the write
	write   uint8             // version it is stamped with; 0: not begun
	checked nodeSet           // who has checked its version (T4)
	applied nodeSet
	read    uint8 // version it is stamped with; 0: not begun
	missed  nodeSet
}

// event is what leads from one world to the next.
type event struct {
	what string
	node kv.NodeID
	n    int
}

func (e event) String() string {
	if e.node == 0 {
		return fmt.Sprintf("%s (%d)", e.what, e.n)
	}
	return fmt.Sprintf("%s: %s (%d)", nodeName(e.node), e.what, e.n)
}

// walk is an exhaustive search through the worlds of some rules.
type walk struct {
	*rules
	tree    []history
	ids     map[string]int // placements by their slots
	ofEpoch [][]int        // id of a placement by history and epoch
	reached [][1 << modelNodes]bool
	misses  [][1 << modelNodes]bool
	allowed map[allowKey]bool

	queue   []world
	parents []int32
	seen    map[world]struct{}
}

// allowKey is all that the permission for a commit depends on.
type allowKey struct {
	history        uint16
	commit         uint8
	from, to       uint8
	copied, losses uint8
}

// verdict is the result of a walk: how many worlds there are, and the events that lead
// to a read which misses an acknowledged write; none where no read can.
type verdict struct {
	worlds   int
	schedule []string
}

func (m *rules) check() verdict {
	w := &walk{rules: m, tree: m.histories(), ids: map[string]int{},
		allowed: map[allowKey]bool{}, seen: map[world]struct{}{}}
	for _, h := range w.tree {
		var epochs []int
		for _, p := range h.placements {
			epochs = append(epochs, w.intern(p))
		}
		w.ofEpoch = append(w.ofEpoch, epochs)
	}
	w.push(world{}, -1)
	for i := 0; i < len(w.queue); i++ {
		s := w.queue[i]
		if s.read > 0 && w.misses[w.epoch(&s, s.read)][s.missed] {
			return verdict{len(w.queue), w.trace(int32(i))}
		}
		w.successors(s, func(next world, _ event) { w.push(next, int32(i)) })
	}
	return verdict{worlds: len(w.queue)}
}

func (w *walk) intern(p ring.Placement) int {
	key := fmt.Sprint(p.Slots)
	id, ok := w.ids[key]
	if ok {
		return id
	}
	id = len(w.ids)
	w.ids[key] = id
	var reached, misses [1 << modelNodes]bool
	for set := range reached {
		reached[set] = w.acked(p, nodeSet(set))
		misses[set] = w.rules.missed(p, nodeSet(set))
	}
	w.reached = append(w.reached, reached)
	w.misses = append(w.misses, misses)
	return id
}

func (w *walk) push(s world, parent int32) {
	if _, ok := w.seen[s]; !ok {
		w.seen[s] = struct{}{}
		w.queue = append(w.queue, s)
		w.parents = append(w.parents, parent)
	}
}

// trace finds the events between the beginning and a world.
func (w *walk) trace(i int32) []string {
	var path []string
	for ; w.parents[i] >= 0; i = w.parents[i] {
		label := ""
		w.successors(w.queue[w.parents[i]], func(next world, e event) {
			if next == w.queue[i] {
				label = e.String()
			}
		})
		path = append([]string{label}, path...)
	}
	return path
}

func (w *walk) epoch(s *world, version uint8) int { return w.ofEpoch[s.history][version-1] }

func (w *walk) placement(s *world, version uint8) ring.Placement {
	return w.tree[s.history].placements[version-1]
}

// successors yields every world that one event leads to.
func (w *walk) successors(s world, yield func(world, event)) {
	w.commits(s, yield)
	w.fences(s, yield)
	w.copies(s, yield)
	newest := uint8(len(w.ofEpoch[s.history]))
	if s.write == 0 {
		for v := uint8(1); v <= newest; v++ {
			next := s
			next.write = v
			yield(next, event{what: "write begins at version", n: int(v)})
		}
		return
	}
	w.applies(s, yield)
	if s.read == 0 && w.reached[w.epoch(&s, s.write)][s.applied] {
		for v := uint8(1); v <= newest; v++ {
			next := s
			next.read = v
			yield(next, event{what: "acknowledged; read begins at version", n: int(v)})
		}
	}
	if s.read > 0 {
		w.answers(s, yield)
	}
}

// facts is the move's progress with what this world knows of it.
func (w *walk) facts(s *world, k int) ring.Progress {
	g := w.tree[s.history].progress[k]
	g.FromFence = kv.PlacementVersion(s.fence[g.Move.From-1])
	g.ToFence = kv.PlacementVersion(s.fence[g.Move.To-1])
	g.Synced = storeOf(s.copied[k])
	return g
}

func (w *walk) commits(s world, yield func(world, event)) {
	for i, c := range w.tree[s.history].next {
		g := w.facts(&s, c.move)
		key := allowKey{s.history, uint8(i), uint8(g.FromFence), uint8(g.ToFence),
			s.copied[c.move], s.losses[c.move]}
		ok, known := w.allowed[key]
		if !known {
			if w.finishUnfenced {
				g.FromFence = 99
			}
			if w.restoreUnfenced {
				g.ToFence = 99
			}
			p := w.placement(&s, uint8(len(w.ofEpoch[s.history])))
			now := storeOf(1 + s.losses[c.move])
			if w.unbound {
				now = g.Synced
			}
			_, _, err := c.step(g, p, p.Version+1, now)
			ok = err == nil
			w.allowed[key] = ok
		}
		if ok {
			next := s
			next.history = uint16(c.to)
			yield(next, event{what: w.tree[c.to].label, n: len(w.ofEpoch[c.to])})
		}
	}
}

func (w *walk) fences(s world, yield func(world, event)) {
	set := func(node kv.NodeID, v uint8) {
		next := s
		next.fence[node-1] = v
		next.forgot = next.forgot && node != nodeL
		yield(next, event{"acknowledges the fence of version", node, int(v)})
	}
	for k := range w.moves {
		g := w.facts(&s, k)
		if node, v := g.FenceWanted(); node != 0 {
			set(node, uint8(v))
		}
	}
	if w.everyoneFences {
		for v := uint8(2); v <= uint8(len(w.ofEpoch[s.history])); v++ {
			for node := nodeA; node <= nodeY; node++ {
				if s.fence[node-1] < v {
					set(node, v)
				}
			}
		}
	}
	if w.forgets && s.fence[nodeL-1] > 0 && !s.forgot {
		next := s
		next.forgot = true
		yield(next, event{"restarts and forgets its fence", nodeL, 0})
	}
}

func (w *walk) copies(s world, yield func(world, event)) {
	for k, move := range w.moves {
		g := w.facts(&s, k)
		if w.replaced && g.Step == ring.StepFilling && s.losses[k] == 0 {
			next := s
			next.losses[k]++
			next.data &^= only(move.To)
			yield(next, event{"loses its store", move.To, 0})
		}
		if s.copied[k] == 1+s.losses[k] {
			continue
		}
		if w.unnoticed {
			g.ToInstance = kv.Instance(1 + s.losses[k])
		}
		for _, from := range w.sources(&s, g) {
			if _, err := g.Copied(1, storeOf(1+s.losses[k])); err != nil && !w.bendsCopy() {
				continue
			}
			next := s
			next.copied[k] = 1 + s.losses[k]
			if s.data&from != 0 {
				next.data |= only(move.To)
			}
			yield(next, event{"copies from set", move.To, int(from)})
		}
	}
}

// bendsCopy reports that the rules allow a copy which the real ones refuse.
func (w *walk) bendsCopy() bool { return w.singleFlip || w.copyUnfenced }

// sources are the sets of nodes that the joiner may be filled from.
func (w *walk) sources(s *world, g ring.Progress) []nodeSet {
	switch {
	case w.singleFlip:
		return w.fencedOwners(s, g)
	case g.Step == ring.StepFilling && w.copyUnfenced, g.MayCopy():
	default:
		return nil
	}
	if w.copyFrom == nil {
		return []nodeSet{only(g.Move.From)}
	}
	var from nodeSet
	for _, n := range w.copyFrom {
		from |= only(n)
	}
	return []nodeSet{from}
}

// fencedOwners are, for the single flip, all choices of n-w+1 of the old replicas that
// have acknowledged the version of the pending joiner.
func (w *walk) fencedOwners(s *world, g ring.Progress) (sets []nodeSet) {
	if g.Step == ring.StepPlanned {
		return nil
	}
	for set := nodeSet(1); set < only(nodeX); set++ {
		fenced := set.count(nodeA, nodeB, nodeL) == 3-w.w+1
		for n := nodeA; n <= nodeL; n++ {
			fenced = fenced && (!set.has(n) || s.fence[n-1] >= 2)
		}
		if fenced {
			sets = append(sets, set)
		}
	}
	return sets
}

// accepts asks the real rule. A node knows the newer of what it has fenced at and what
// it is asked at, which it fetches first; to know more would only refuse more.
func (w *walk) accepts(s *world, node kv.NodeID, version uint8) bool {
	fence := s.fence[node-1]
	if s.forgot && node == nodeL {
		fence = 0
	}
	if !w.lives(s, node, version) {
		return false
	}
	p := w.placement(s, max(fence, version))
	return ring.Accept(p, node, kv.PlacementVersion(fence), kv.PlacementVersion(version)) ==
		ring.VerdictAccept
}

// lives reports whether a joiner is in the life that a request of that version is meant
// for. (Requests and replies carry instances.)
func (w *walk) lives(s *world, node kv.NodeID, version uint8) bool {
	for k, move := range w.moves {
		if node == move.To && !w.unnoticed && !w.unbound {
			life := w.tree[s.history].lives[version-1][k]
			return life == kv.Instance(1+s.losses[k])
		}
	}
	return true
}

func (w *walk) applies(s world, yield func(world, event)) {
	for _, slot := range w.placement(&s, s.write).Slots {
		first, second := slot.Writers()
		for _, node := range [...]kv.NodeID{first, second} {
			if node == 0 || s.applied.has(node) {
				continue
			}
			next := s
			if w.checkEarly && !s.checked.has(node) {
				if w.accepts(&s, node, s.write) {
					next.checked |= only(node)
					yield(next, event{"finds the write acceptable", node, int(s.write)})
				}
				continue
			}
			if w.checkEarly || w.accepts(&s, node, s.write) {
				next.applied |= only(node)
				next.data |= only(node)
				yield(next, event{"applies the write", node, int(s.write)})
			}
		}
	}
}

func (w *walk) answers(s world, yield func(world, event)) {
	for _, slot := range w.placement(&s, s.read).Slots {
		node := slot.Reader()
		if s.data.has(node) || s.missed.has(node) || !w.accepts(&s, node, s.read) {
			continue
		}
		next := s
		next.missed |= only(node)
		yield(next, event{"answers the read without the write", node, int(s.read)})
	}
}
