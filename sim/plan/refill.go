// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// refillable reports whether a host of the plan may lose its data and be filled again: by the
// nodes' own group, from owners of which the others are a majority.
func (p *Plan) refillable() bool {
	return p.Grouped && p.Engine != EngineMemory && p.Cluster.Replicas >= 3
}

// drawRefills draws whether the host that loses its data is filled again, and in half of the
// plans that have none such a host, with what it loses its data by. It is one host, once or
// more: of those who have acknowledged a write fewer than w may lose their disks, and a hint
// that the first one kept is gone when the next one loses its own.
func (p *Plan) drawRefills(rng *rand.Rand, o *Options) {
	if !p.refillable() || len(p.Faults) == 0 {
		return
	}
	more := 0
	if p.Spare == 0 && rng.IntN(2) == 0 {
		rest := p.Rest(p.Core)
		p.Spare, more = rest[rng.IntN(len(rest))], 1+rng.IntN(2)
	}
	var kinds []Info
	for _, in := range Kinds() {
		if loses(in.Kind) && p.allows(&in, o) {
			kinds = append(kinds, in)
		}
	}
	for i := range p.Faults {
		if loses(p.Faults[i].Kind) && rng.IntN(4) > 0 {
			p.Faults[i].N = 1
		}
	}
	for range more {
		if len(kinds) == 0 {
			return
		}
		in := kinds[rng.IntN(len(kinds))]
		f := Fault{Kind: in.Kind, At: between(rng, before, chaos-after)}
		in.draw(rng, p, &f)
		f.N = 1
		p.Faults = append(p.Faults, f)
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
}

// loses reports whether a fault takes data from a host.
func loses(k Kind) bool { return k == Wipe || k == Restore }
