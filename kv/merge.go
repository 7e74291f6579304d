// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/dyno-kv/dyno/internal/mutant"
)

// Merge returns the least object that knows what either knows: contexts joined, and
// of the versions those that neither side has seen overwritten. Of different fences
// the higher wins, while its context still remembers the lower (TRAPS, fenced
// writes). It is commutative, associative and idempotent (I4).
func Merge(a, b Object) Object {
	switch {
	case b.IsZero() && b.Fence <= a.Fence:
		return a
	case a.IsZero() && a.Fence <= b.Fence:
		return b
	}
	out := Object{Context: a.Context.Join(b.Context), Fence: max(a.Fence, b.Fence)}
	out.Versions = make([]Version, 0, len(a.Versions)+len(b.Versions))
	x, y := a.Versions, b.Versions
	for len(x) > 0 || len(y) > 0 {
		var v Version
		var stays bool
		switch order := compareHeads(x, y); {
		case order < 0:
			v, stays, x = x[0], !b.Context.Contains(x[0].Dot), x[1:]
		case order > 0:
			v, stays, y = y[0], !a.Context.Contains(y[0].Dot), y[1:]
		default:
			v, stays, x, y = pick(x[0], y[0]), true, x[1:], y[1:]
		}
		if stays && v.Fence >= out.Fence {
			out.Versions = append(out.Versions, v)
		}
	}
	if mutant.On(mutant.LastWriterWins) && len(out.Versions) > 1 {
		out.Versions = []Version{slices.MaxFunc(out.Versions, func(v, w Version) int {
			return cmp.Compare(v.Stamp, w.Stamp)
		})}
	}
	return out
}

// Dominates reports whether merging old into o would change nothing in o but fill in
// values that are missing: an o that has its values can be stored as it is, and old
// need not be read whole.
func (o Object) Dominates(old Object) bool {
	if o.Fence < old.Fence || !o.Context.Covers(old.Context) {
		return false
	}
	for _, v := range o.Versions {
		twin, kept := old.Find(v.Dot)
		if kept && pick(v, twin).Checksum != v.Checksum {
			return false
		}
		if !kept && old.Context.Contains(v.Dot) {
			return false
		}
	}
	return true
}

// Collides reports whether both objects hold a version of equal dot and different
// content. It can happen only where a dot was issued twice or a record was damaged;
// Merge still gives the same answer everywhere, but one value is lost.
func Collides(a, b Object) bool {
	for _, v := range a.Versions {
		if twin, found := b.Find(v.Dot); found && twin.Checksum != v.Checksum {
			return true
		}
	}
	return false
}

// Collapse returns o with versions of one request id reduced to the one of the
// lowest dot; the context keeps all their dots. A retry through another
// coordinator leaves such twins (TRAPS C10). Collapsing is a step upwards in the
// lattice, like a write that covers the twin; it is not part of Merge, which would
// not be associative with it (docs/adr/0009).
func (o Object) Collapse() Object {
	if mutant.On(mutant.NoCollapse) {
		return o
	}
	if len(o.Versions) < 2 {
		return o
	}
	known := make(map[RequestID]struct{}, len(o.Versions))
	twin := func(v Version) bool {
		if v.Request.IsZero() {
			return false
		}
		before := len(known)
		known[v.Request] = struct{}{}
		return len(known) == before
	}
	if first := slices.IndexFunc(o.Versions, twin); first >= 0 {
		kept := slices.Clone(o.Versions[:first])
		for _, v := range o.Versions[first:] {
			if !twin(v) {
				kept = append(kept, v)
			}
		}
		o.Versions = kept
	}
	return o
}

// pick chooses between two copies of one version. They are the same unless a dot
// was issued twice; then the choice must at least not depend on who asks, nor fall on
// one that the fence of the other drops.
func pick(v, w Version) Version {
	switch {
	case v.Fence != w.Fence:
		if v.Fence > w.Fence {
			return v
		}
		return w
	case v.Checksum != w.Checksum:
		if v.Checksum > w.Checksum {
			return v
		}
		return w
	case !v.HasValue():
		return w
	case !w.HasValue() || bytes.Compare(v.Value, w.Value) >= 0:
		return v
	default:
		return w
	}
}

func compareHeads(x, y []Version) int {
	switch {
	case len(y) == 0:
		return -1
	case len(x) == 0:
		return 1
	}
	return x[0].Dot.Compare(y[0].Dot)
}
