// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/antientropy"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/node"
)

const (
	// converging is how long what was missed may take to come to those who missed it once
	// everything is whole: a few exchanges of each pair at the product's own period.
	converging = 6 * time.Minute
	// lookAgain is the pause between two looks at it.
	lookAgain = time.Second
)

// converge asks that what hosts missed comes to them though nobody reads: no hint is left
// for anybody, all owners of a partition have the same tree, each tree is what its store
// holds, and who owns nothing of a partition holds nothing of it. Hosts that have lost
// their data, or whose records were damaged, are left aside.
func (r *run) converge() {
	hosts := r.sound()
	apart := "nothing was looked at"
	for end := time.Now().Add(converging); time.Now().Before(end); time.Sleep(lookAgain) {
		r.tend()
		if apart = r.whatIsApart(hosts); apart == "" {
			return
		}
	}
	r.problem("convergence", "after %s: %s", converging, apart)
}

// whatIsApart says what still differs between the hosts; empty: nothing.
func (r *run) whatIsApart(hosts []*host) string {
	trees := make(map[uint16]owned)
	for _, h := range hosts {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		a, err := h.Audit(ctx)
		cancel()
		if err != nil {
			return fmt.Sprintf("%s can not be looked at: %v", h.Name, err)
		}
		if why := r.wrongAt(h, &a, hosts); why != "" {
			return why
		}
		for _, p := range slices.Sorted(maps.Keys(a.Trees)) {
			first, known := trees[p]
			switch {
			case !known:
				trees[p] = owned{h.Name, a.Trees[p]}
			case !first.tree.Equal(a.Trees[p]):
				return fmt.Sprintf("partition %d has %d keys at %s, %d at %s, and not the same",
					p, first.tree.Root().Count, first.host, a.Trees[p].Root().Count, h.Name)
			}
		}
	}
	return ""
}

// owned is a partition's tree at one of its owners.
type owned struct {
	host string
	tree *antientropy.Tree
}

// wrongAt says what is wrong at one host, whatever the others hold.
func (r *run) wrongAt(h *host, a *node.Audit, hosts []*host) string {
	switch {
	case len(a.Damaged) > 0:
		return fmt.Sprintf("%s can not read %q", h.Name, a.Damaged[0])
	case len(a.Strange) > 0:
		return fmt.Sprintf("%s holds %q, which it does not own", h.Name, a.Strange[0])
	case len(a.Wrong) > 0:
		return fmt.Sprintf("the tree of partition %d at %s is not what it holds", a.Wrong[0], h.Name)
	}
	for _, other := range hosts {
		if n := a.Hints[kv.NodeID(other.number)]; n > 0 {
			return fmt.Sprintf("%s has %d hints for %s", h.Name, n, other.Name)
		}
	}
	return ""
}
