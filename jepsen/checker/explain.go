// SPDX-License-Identifier: Apache-2.0

package checker

// chain is how write to came to overwrite write from: the shortest way of writes each of
// which was sent with a context of the one before.
func (g *graph) chain(from, to int) []int32 {
	came := map[int]int{to: -1} // the write that had this one in its context
	queue := []int{to}
	for len(queue) > 0 && !has(came, from) {
		w := queue[0]
		queue = queue[1:]
		for _, v := range g.op(w).Context {
			i, why := g.x.phantom(g.key.name, v, g.op(w).Invoked)
			if p := int(max(g.x.localOr(i), 0)); why == "" && !has(came, p) {
				came[p] = w
				queue = append(queue, p)
			}
		}
		if g.op(w).Blind && g.anc[w].has(from) && !has(came, from) {
			came[from] = w // found by the delete itself
		}
	}
	if !has(came, from) {
		return []int32{g.writes[from], g.writes[to]}
	}
	var path []int32
	for w := from; w >= 0; w = came[w] {
		path = append(path, g.writes[w])
	}
	return path
}

func (x *index) localOr(i int32) int32 {
	if i < 0 {
		return -1
	}
	return x.local[i]
}

func has[V any](m map[int]V, k int) bool {
	_, ok := m[k]
	return ok
}

// overwriter is one of those in s that have w among their ancestors, -1 where none has.
func (g *graph) overwriter(w int, s set) int {
	for d := range s.all {
		if g.anc[d].has(w) {
			return d
		}
	}
	return -1
}
