// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"time"

	"github.com/dyno-kv/dyno/meta"
	"github.com/dyno-kv/dyno/meta/state"
)

// decides reports whether the metadata group must answer while these hosts are there and
// nobody else is: all of its seats vote, and most of them are theirs. While seats change
// hands nothing is asked of it.
func (r *run) decides(hosts []*host) bool {
	if !r.plan.Grouped {
		return false
	}
	seats, votes := r.cluster.Seats()
	here := 0
	for i, s := range seats {
		if !votes[i] {
			return false
		}
		for _, h := range hosts {
			if h.Host == s {
				here++
			}
		}
	}
	return here > len(seats)/2
}

// copyOfState is what one member has of the group's state.
type copyOfState struct {
	host  *host
	index uint64
	hash  [32]byte
}

// agreeOnState asks that all members, clients of the group included, come to the same state.
func (r *run) agreeOnState() {
	if !r.plan.Grouped {
		return
	}
	var copies []copyOfState
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(again) {
		r.tend()
		copies = nil
		for _, h := range r.hosts {
			if g := h.Group(); g != nil {
				copies = append(copies, copied(h, g))
			}
		}
		if len(copies) == len(r.hosts) && sameIndex(copies) {
			break
		}
	}
	if len(copies) < len(r.hosts) || !sameIndex(copies) {
		r.problem("state", "the members do not come to the same entry: %d of %d take part",
			len(copies), len(r.hosts))
		return
	}
	for _, c := range copies[1:] {
		if c.hash != copies[0].hash {
			r.problem("state", "after entry %d the state of %s is %x, that of %s %x", c.index,
				copies[0].host.Name, copies[0].hash[:8], c.host.Name, c.hash[:8])
		}
	}
	r.damage["entries of the group"] += int64(copies[0].index)
}

func copied(h *host, g *meta.Group) copyOfState {
	c := copyOfState{host: h}
	g.Read(func(s *state.State) {
		if s != nil {
			c.index, c.hash = s.Index(), s.Hash()
		}
	})
	return c
}

func sameIndex(copies []copyOfState) bool {
	for _, c := range copies {
		if c.index == 0 || c.index != copies[0].index {
			return false
		}
	}
	return true
}
