// SPDX-License-Identifier: Apache-2.0

package kv

import "testing"

func TestASlotTellsWhoWritesReadsAndCoordinatesInEachPhase(t *testing.T) {
	for _, tc := range []struct {
		name          string
		slot          Slot
		first, second NodeID
		reader        NodeID
	}{
		{"at rest", Stable(4), 4, 0, 4},
		{"filling", Slot{Owner: 4, Next: 7, Phase: PhaseWriteBothReadOld}, 4, 7, 4},
		{"leaving", Slot{Owner: 4, Next: 7, Phase: PhaseWriteBothReadNew}, 4, 7, 7},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if first, second := tc.slot.Writers(); first != tc.first || second != tc.second {
				t.Errorf("writers are %d and %d", first, second)
			}
			if tc.slot.Reader() != tc.reader {
				t.Errorf("reader is %d", tc.slot.Reader())
			}
			for node := range NodeID(9) {
				member := node != 0 && (node == tc.first || node == tc.second)
				if tc.slot.Has(node) != member {
					t.Errorf("has %d: %t", node, tc.slot.Has(node))
				}
				if may := tc.slot.MayCoordinate(node); may != (node == tc.reader) {
					t.Errorf("%d may coordinate: %t", node, may)
				}
			}
		})
	}
	if (Slot{}).MayCoordinate(0) || (Slot{}).Has(0) {
		t.Error("no node is a member of no slot")
	}
}

func TestWordsOfTheVocabularyHaveNames(t *testing.T) {
	for _, tc := range []struct {
		got  interface{ String() string }
		want string
	}{
		{PhaseStable, "stable"}, {PhaseWriteBothReadOld, "write-both/read-old"},
		{PhaseWriteBothReadNew, "write-both/read-new"}, {Phase(9), "phase(9)"},
		{RoleOwner, "owner"}, {RoleFallback, "fallback"}, {RoleNotReady, "not_ready"},
		{RoleNotOwner, "not_owner"}, {Role(0), "role(0)"},
		{ClassClientWrite, "client-write"}, {ClassReplicated, "replicated"}, {Class(0), "class(0)"},
		{KindValue, "value"}, {KindTombstone, "tombstone"}, {Kind(0), "kind(0)"},
	} {
		if tc.got.String() != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}
