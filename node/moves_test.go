// SPDX-License-Identifier: Apache-2.0

package node

import (
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// TestTheRingGoesFirstWhereItHasNewsOfAMove: a node that was killed and started elsewhere
// could not be asked by its peers for as long as gossip took its old address for alive, in a
// run of dyno-jepsen locks for seven seconds.
func TestTheRingGoesFirstWhereItHasNewsOfAMove(t *testing.T) {
	const moved, old, next, third = kv.NodeID(1), "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"
	at := func(peer string) *ring.Ring {
		t.Helper()
		members := []ring.Member{
			{ID: moved, Name: "n1", Weight: 1, Instance: 1, Client: "127.0.0.1:9", Peer: peer},
		}
		state, err := ring.Form(ring.ClusterID{1}, 1, 16, members, 1)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ring.New(state)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	said := ""
	heard := func(kv.NodeID) string { return said }
	var s moves
	for _, step := range []struct {
		name, ring, gossip string
		overtaken          bool
	}{
		{"both know the same", old, old, false},
		{"gossip knows first", old, next, false},
		{"the ring follows", next, next, false},
		{"the ring knows first", third, next, true},
		{"nothing new", third, next, true},
		{"gossip follows", third, third, false},
		{"gossip knows first of a way back", third, old, false},
		{"and the ring follows", old, old, false},
		{"the ring has news of one that gossip has lost", next, "", false},
		{"which comes back as it was", next, old, false},
	} {
		said = step.gossip
		s.follow(at(step.ring), heard)
		if got := said != "" && s.overtaken(moved, said); got != step.overtaken {
			t.Errorf("%s: overtaken is %t", step.name, got)
		}
	}
}
