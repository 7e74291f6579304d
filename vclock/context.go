// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"cmp"
	"slices"
	"strings"
)

// Context is an exact set of dots. The zero value is the empty set. Contexts are
// immutable: methods return new ones, which may share memory with their operands.
type Context struct {
	vector []Dot // an entry stands for all dots of its actor up to its counter
	dots   []Dot // detached: not covered by vector
}

// ContextOf returns the context that holds exactly the given dots.
func ContextOf(dots ...Dot) Context {
	sorted := slices.Clone(dots)
	slices.SortFunc(sorted, Dot.Compare)
	return canonical(nil, slices.Compact(sorted))
}

// VectorOf returns the context that holds, for each entry, all dots of its actor
// up to its counter. Where an actor occurs twice the higher entry counts.
func VectorOf(entries ...Dot) Context {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, Dot.Compare)
	return canonical(keepLast(sorted), nil)
}

// IsEmpty reports whether the set is empty.
func (c Context) IsEmpty() bool { return len(c.vector) == 0 && len(c.dots) == 0 }

// Entries is how many entries and detached dots the context has: its size.
func (c Context) Entries() int { return len(c.vector) + len(c.dots) }

// Contains reports whether d is in the set. A dot with counter 0 names no write and is
// in no set.
func (c Context) Contains(d Dot) bool {
	if d.Counter <= c.upTo(d.Actor) {
		return d.Counter > 0
	}
	_, found := slices.BinarySearchFunc(c.dots, d, Dot.Compare)
	return found
}

// Max is the highest counter of actor in the set, 0 where it has none.
func (c Context) Max(actor Actor) uint64 {
	highest := c.upTo(actor)
	for _, d := range c.dots {
		if d.Actor == actor {
			highest = max(highest, d.Counter)
		}
	}
	return highest
}

// Covers reports whether every dot of other is in c.
func (c Context) Covers(other Context) bool {
	for _, e := range other.vector {
		// Detached dots can not help out: by I1 the dot right behind our entry is
		// not among them, so a higher entry has at least that one more.
		if e.Counter > c.upTo(e.Actor) {
			return false
		}
	}
	for _, d := range other.dots {
		if !c.Contains(d) {
			return false
		}
	}
	return true
}

// Equal reports whether both are the same set.
func (c Context) Equal(other Context) bool {
	return slices.Equal(c.vector, other.vector) && slices.Equal(c.dots, other.dots)
}

// Join returns the union of both sets.
func (c Context) Join(other Context) Context {
	switch {
	case other.IsEmpty() || c.Covers(other):
		return c
	case c.IsEmpty() || other.Covers(c):
		return other
	}
	return canonical(mergeVectors(c.vector, other.vector), mergeDots(c.dots, other.dots))
}

// Add returns the set with d in it, and nothing else that was not there: what a
// client is handed for a write (ARCHITECTURE 5, exact contexts).
func (c Context) Add(d Dot) Context {
	if d.Counter == 0 || c.Contains(d) {
		return c
	}
	return canonical(c.vector, mergeDots(c.dots, []Dot{d}))
}

// Fold returns the set with all dots of d's actor up to d in it. Only the actor's
// own store may do this, in its own object, where it holds all its earlier dots of
// that key (I3); the dots in between belong to other keys.
func (c Context) Fold(d Dot) Context {
	if d.Counter <= c.upTo(d.Actor) {
		return c
	}
	return canonical(mergeVectors(c.vector, []Dot{d}), c.dots)
}

// Vector calls yield for each entry of the vector, in order of the actors.
func (c Context) Vector(yield func(Dot) bool) {
	for _, e := range c.vector {
		if !yield(e) {
			return
		}
	}
}

// Dots calls yield for each detached dot, in order.
func (c Context) Dots(yield func(Dot) bool) {
	for _, d := range c.dots {
		if !yield(d) {
			return
		}
	}
}

// String shows the set for people and tests, e.g. {1.00000000000a:1..7 +1.00000000000a:9}.
func (c Context) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range c.vector {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strings.Replace(e.String(), ":", ":1..", 1))
	}
	for i, d := range c.dots {
		if i > 0 || len(c.vector) > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("+" + d.String())
	}
	b.WriteByte('}')
	return b.String()
}

// upTo is the vector's counter for actor, 0 where it has no entry.
func (c Context) upTo(actor Actor) uint64 {
	// Most contexts have at most N entries, where a plain loop beats a search.
	if len(c.vector) > 8 {
		i, found := slices.BinarySearchFunc(c.vector, actor, func(e Dot, a Actor) int {
			return cmp.Compare(e.Actor, a)
		})
		if !found {
			return 0
		}
		return c.vector[i].Counter
	}
	for _, e := range c.vector {
		if e.Actor == actor {
			return e.Counter
		}
	}
	return 0
}
