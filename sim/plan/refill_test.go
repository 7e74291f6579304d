// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"testing"
)

// TestHostsThatAreFilledAgainAreDrawn in a good part of the plans whose nodes run their group,
// and in no other one; some hosts lose their data for good, and some twice.
func TestHostsThatAreFilledAgainAreDrawn(t *testing.T) {
	grouped, filled, lost, twice := 0, 0, 0, 0
	for seed := range uint64(2000) {
		p := Draw(seed, options())
		if p.Grouped {
			grouped++
		}
		again := 0
		for i := range p.Faults {
			switch f := &p.Faults[i]; {
			case !loses(f.Kind):
			case f.N == 1:
				again++
			default:
				lost++
			}
		}
		if again > 0 {
			filled++
		}
		if again > 1 {
			twice++
		}
		if again > 0 && !p.Grouped {
			t.Fatalf("seed %d: a host is filled, and there is no group to say so", seed)
		}
	}
	if filled < grouped/6 || twice < 30 || lost < 100 {
		t.Errorf("of %d plans with a group %d fill hosts, %d twice; %d losses are for good", grouped,
			filled, twice, lost)
	}
}

func TestAHostThatNobodyCanFillIsRefused(t *testing.T) {
	p := Draw(1, options())
	p.Grouped, p.Engine, p.Knobs, p.Loads = false, EngineDisk, Knobs{}, nil
	p.Cluster, p.Core, p.Spare = Cluster{Nodes: 3, Replicas: 3, Partitions: 4}, []int{1, 2}, 3
	p.Faults = []Fault{{Kind: Wipe, At: 1, Hosts: []int{3}}}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	p.Faults[0].N = 1
	if err := p.Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("without a group: %v", err)
	}
	p.Grouped = true
	if err := p.Validate(); err != nil {
		t.Errorf("with a group: %v", err)
	}
	if p.Faults[0].N = 2; p.Validate() == nil {
		t.Error("n 2 says nothing")
	}
}
