// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// dotSet is the dumb reference of a context: the dots that are in it, one by one.
type dotSet map[Dot]bool

func setOf(dots ...Dot) dotSet {
	s := dotSet{}
	for _, d := range dots {
		s[d] = true
	}
	return s
}

// upTo is all dots of d's actor up to d.
func upTo(d Dot) dotSet {
	s := dotSet{}
	for n := uint64(1); n <= d.Counter; n++ {
		s[Dot{Actor: d.Actor, Counter: n}] = true
	}
	return s
}

func (s dotSet) union(others ...dotSet) dotSet {
	out := maps.Clone(s)
	for _, o := range others {
		maps.Copy(out, o)
	}
	return out
}

func (s dotSet) holds(other dotSet) bool {
	for d := range other {
		if !s[d] {
			return false
		}
	}
	return true
}

func (s dotSet) max(a Actor) uint64 {
	var highest uint64
	for d := range s {
		if d.Actor == a {
			highest = max(highest, d.Counter)
		}
	}
	return highest
}

// form is the canonical form (I1), found by counting.
func (s dotSet) form() (vector, dots []Dot) {
	prefix := map[Actor]uint64{}
	for d := range s {
		for s[Dot{Actor: d.Actor, Counter: prefix[d.Actor] + 1}] {
			prefix[d.Actor]++
		}
	}
	for a, n := range prefix {
		vector = append(vector, Dot{Actor: a, Counter: n})
	}
	for d := range s {
		if d.Counter > prefix[d.Actor] {
			dots = append(dots, d)
		}
	}
	slices.SortFunc(vector, Dot.Compare)
	slices.SortFunc(dots, Dot.Compare)
	return vector, dots
}

// encode is a second implementation of the encoding, from its description. It takes
// what is no canonical form, too.
func encode(vector, dots []Dot) []byte {
	out := binary.AppendUvarint(nil, uint64(len(vector)))
	out = binary.AppendUvarint(out, uint64(len(dots)))
	for _, d := range slices.Concat(vector, dots) {
		var actor [8]byte
		for i := range actor {
			actor[i] = byte(uint64(d.Actor) >> (56 - 8*i))
		}
		out = append(out, actor[:]...)
		out = binary.AppendUvarint(out, d.Counter)
	}
	return out
}

// The reference's universe: few actors and counters, so that draws meet.
const (
	universeActors   = 3
	universeCounters = 7
)

func universe() []Dot {
	var all []Dot
	for a := range Actor(universeActors) {
		for n := range uint64(universeCounters) {
			all = append(all, Dot{Actor: 1 + a, Counter: n + 1})
		}
	}
	return all
}

func drawDot(t *rapid.T, label string) Dot {
	return rapid.SampledFrom(universe()).Draw(t, label)
}

// drawPair makes a context by a random program of this package's operations, and the
// same set by the reference's.
func drawPair(t *rapid.T) (Context, dotSet) {
	c, s := Context{}, dotSet{}
	for range rapid.IntRange(0, 6).Draw(t, "steps") {
		d := drawDot(t, "dot")
		switch rapid.IntRange(0, 3).Draw(t, "step") {
		case 0:
			c, s = c.Add(d), s.union(setOf(d))
		case 1:
			c, s = c.Fold(d), s.union(upTo(d))
		case 2:
			e := drawDot(t, "other")
			c, s = c.Join(VectorOf(d, e)), s.union(upTo(d), upTo(e))
		case 3:
			e := drawDot(t, "other")
			c, s = ContextOf(d, e).Join(c), s.union(setOf(d, e))
		}
	}
	return c, s
}

// checkSame compares a context with the reference, form and all.
func checkSame(t rapid.TB, what string, c Context, s dotSet) {
	t.Helper()
	vector, dots := s.form()
	gotVector, gotDots := slices.Collect(c.Vector), slices.Collect(c.Dots)
	if diff := cmp.Diff(vector, gotVector); diff != "" {
		t.Fatalf("%s: %s has other entries than the set (-want +got):\n%s", what, c, diff)
	}
	if diff := cmp.Diff(dots, gotDots); diff != "" {
		t.Fatalf("%s: %s has other dots than the set (-want +got):\n%s", what, c, diff)
	}
	for _, d := range universe() {
		if c.Contains(d) != s[d] {
			t.Fatalf("%s: %s contains %s: %t, want %t", what, c, d, c.Contains(d), s[d])
		}
	}
}
