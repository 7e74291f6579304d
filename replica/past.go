// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// Past is what an opened store tells of its lives before: read once, before the store
// is used, and immutable afterwards.
type Past struct {
	// Stop is how the last life ended.
	Stop Stop
	// Opens are all openings since the last confirmed one, that one included, and the
	// present one at the end.
	Opens []kv.Open
	// Marks are the incarnations that a clean stop left, Stamp the highest stamp issued.
	Marks []wire.ActorMark
	Stamp kv.Stamp
	// Filling: the store began its life with nothing, and has not been full yet.
	Filling bool
	// Fences are all that the node has promised in all its lives that it remembers.
	Fences []wire.PlacementFence
	// Trees are those that the clean stop left; New takes them over.
	Trees []*antientropy.Tree
	// Purges is where the last life stood in purge rounds: also after a crash.
	Purges []wire.Purges
}

// Fresh reports that the directory was empty: nothing was ever stored in it.
func (p Past) Fresh() bool { return p.Stop == StopNone }

// Present is this opening.
func (p *Past) Present() kv.Open {
	if len(p.Opens) == 0 {
		return kv.Open{}
	}
	return p.Opens[len(p.Opens)-1]
}
