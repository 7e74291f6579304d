// SPDX-License-Identifier: Apache-2.0

package ring

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

var testCluster = ClusterID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// fataler is what fataler and *rapid.T have in common, as far as helpers need it.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// makeMembers returns n members with ids from 1, dealt out to the zones in turn.
func makeMembers(n, zones int, weight func(i int) uint32) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{
			ID:     kv.NodeID(i + 1),
			Name:   fmt.Sprintf("n%d", i+1),
			Zone:   fmt.Sprintf("z%d", i%zones),
			Weight: weight(i),
		}
	}
	return members
}

func equalWeights(int) uint32     { return 1 }
func unequalWeights(i int) uint32 { return uint32(1 + i*7%5) }

// formed returns the state of a first ring.
func formed(t fataler, partitions, replicas int, members []Member) State {
	t.Helper()
	s, err := Form(testCluster, replicas, partitions, members, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustNew returns the ring of a state that must be valid.
func mustNew(t fataler, s State) *Ring {
	t.Helper()
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drawMembers draws 1 to 14 members in up to five zones; some leave.
func drawMembers(t *rapid.T) []Member {
	n := rapid.IntRange(1, 14).Draw(t, "members")
	zones := rapid.IntRange(1, 5).Draw(t, "zones")
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{
			ID:     kv.NodeID(3*i + 1),
			Name:   fmt.Sprintf("n%d", i),
			Zone:   fmt.Sprintf("z%d", rapid.IntRange(0, zones-1).Draw(t, "zone")),
			Weight: rapid.SampledFrom([]uint32{0, 1, 1, 1, 2, 3, 10}).Draw(t, "weight"),
		}
	}
	return members
}

// drawState draws a valid state in which some slots move and some members hold nothing.
func drawState(t *rapid.T) State {
	members := drawMembers(t)
	replicas := rapid.IntRange(1, min(len(members), 4)).Draw(t, "replicas")
	partitions := 1 << rapid.IntRange(0, 6).Draw(t, "log2(partitions)")
	s := State{Cluster: testCluster, Version: 1, Replicas: replicas, Members: members}
	// Few holders make members that hold nothing.
	holders := rapid.IntRange(replicas, len(members)).Draw(t, "holders")
	s.Placements = make([]Placement, partitions)
	for p := range s.Placements {
		order := rapid.Permutation(members[:holders]).Draw(t, "order")
		slots := make([]kv.Slot, replicas)
		for j := range slots {
			slots[j] = kv.Stable(order[j].ID)
		}
		spare := order[replicas:]
		for j := range slots {
			if len(spare) == 0 || !rapid.Bool().Draw(t, "moves") {
				continue
			}
			slots[j].Next, spare = spare[0].ID, spare[1:]
			slots[j].Phase = rapid.SampledFrom([]kv.Phase{
				kv.PhaseWriteBothReadOld, kv.PhaseWriteBothReadNew,
			}).Draw(t, "phase")
		}
		s.Placements[p] = Placement{Version: kv.PlacementVersion(p + 1), Slots: slots}
	}
	return s
}
