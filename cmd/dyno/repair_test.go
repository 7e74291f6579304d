// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/dyno-kv/dyno/client"
)

// What is copied for a refill counts beside the pairs, and does not go back when it is over.
func TestTheBarOfAWaitCountsWhatIsFilled(t *testing.T) {
	r := &roundOf{}
	for i, step := range []struct {
		status    client.RepairStatus
		all, done uint64
	}{
		{client.RepairStatus{Pairs: 8, Settled: 2}, 8, 2},
		{client.RepairStatus{Pairs: 8, Refill: &client.RefillStatus{}}, 8, 0},
		{client.RepairStatus{Pairs: 8, Refill: &client.RefillStatus{Pairs: 4, Copied: 1}}, 12, 1},
		{client.RepairStatus{Pairs: 8, Refill: &client.RefillStatus{Pairs: 2, Copied: 2}}, 12, 2},
		{client.RepairStatus{Pairs: 8, Settled: 3}, 12, 7},
		{client.RepairStatus{Pairs: 8, Settled: 8}, 12, 12},
	} {
		r.status = step.status
		if all, done := r.progress(); all != step.all || done != step.done {
			t.Errorf("step %d: %d of %d, want %d of %d", i, done, all, step.done, step.all)
		}
	}
}

func TestPartitionsAreListedAsRanges(t *testing.T) {
	for want, list := range map[string][]uint16{
		"": nil, "7": {7}, "0-3, 7": {0, 1, 2, 3, 7}, "1, 3-4, 65535": {1, 3, 4, 65535},
	} {
		if got := ranges(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
}

// Whose loss is accepted where nobody, one and several are being filled.
func TestTheNodeWhoseLossIsAcceptedIsFound(t *testing.T) {
	filled := &refillOutput{Life: 4}
	out := &repairOutput{Nodes: []repairNodeOutput{
		{Node: "n1"}, {Node: "n2", Refill: filled}, {Node: "n3", Error: "down"},
		{Node: "n4", Refill: filled},
	}}
	for name, want := range map[string]int{
		"n1": exitError, "n2": exitOK, "n3": exitUnavailable, "n9": exitError, "": exitUsage,
	} {
		n, err := findRefill(out, name)
		if got := exitCode(err); got != want || (err == nil) != (n != nil && n.Node == name) {
			t.Errorf("%q: %+v, %v, code %d, want %d", name, n, err, got, want)
		}
	}
	out.Nodes = out.Nodes[:3]
	if n, err := findRefill(out, ""); err != nil || n.Node != "n2" {
		t.Errorf("the only one: %+v, %v", n, err)
	}
	out.Nodes[1].Refill = nil
	if _, err := findRefill(out, ""); exitCode(err) != exitUnavailable {
		t.Errorf("where one can not be asked: %v", err)
	}
	if _, err := findRefill(&repairOutput{Nodes: out.Nodes[:2]}, ""); exitCode(err) != exitError {
		t.Errorf("where none is: %v", err)
	}
}
