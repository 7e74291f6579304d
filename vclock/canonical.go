// SPDX-License-Identifier: Apache-2.0

package vclock

import "slices"

// canonical builds the one form of the set that vector and dots describe (I1).
// Both are sorted and without repeats; neither is modified.
func canonical(vector, dots []Dot) Context {
	if len(dots) == 0 {
		return Context{vector: vector}
	}
	merged := make([]Dot, 0, len(vector)+1)
	var loose []Dot
	v := 0
	for i := 0; i < len(dots); {
		actor := dots[i].Actor
		for v < len(vector) && vector[v].Actor < actor {
			merged = append(merged, vector[v])
			v++
		}
		entry := Dot{Actor: actor}
		if v < len(vector) && vector[v].Actor == actor {
			entry = vector[v]
			v++
		}
		for i < len(dots) && dots[i].Actor == actor && belongs(dots[i].Counter, entry.Counter) {
			entry.Counter = max(entry.Counter, dots[i].Counter)
			i++
		}
		loose = slices.Grow(loose, len(dots)-i)
		for i < len(dots) && dots[i].Actor == actor {
			loose = append(loose, dots[i])
			i++
		}
		if entry.Counter > 0 {
			merged = append(merged, entry)
		}
	}
	merged = append(merged, vector[v:]...)
	if len(merged) == 0 {
		merged = nil
	}
	return Context{vector: merged, dots: loose}
}

// belongs reports whether a dot is part of its actor's entry: covered dots vanish in
// it, and one that follows without a gap extends it. It must not wrap around.
func belongs(counter, entry uint64) bool { return counter <= entry || counter-1 == entry }

// mergeVectors is the pairwise maximum of two vectors.
func mergeVectors(a, b []Dot) []Dot {
	return keepLast(mergeSorted(a, b))
}

// mergeDots is the union of two sorted lists of dots.
func mergeDots(a, b []Dot) []Dot {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return slices.Compact(mergeSorted(a, b))
}

// mergeSorted merges two sorted lists into a new one, repeats kept.
func mergeSorted(a, b []Dot) []Dot {
	out := make([]Dot, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Compare(b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// keepLast keeps, of each run of one actor, the last and hence highest entry, and
// drops entries that cover nothing. It reuses the list's memory.
func keepLast(sorted []Dot) []Dot {
	out := sorted[:0]
	for i, e := range sorted {
		last := i+1 == len(sorted) || sorted[i+1].Actor != e.Actor
		if last && e.Counter > 0 {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
