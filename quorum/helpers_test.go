// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func spec(need, confirmed int, slots ...kv.Slot) Spec {
	return Spec{Slots: slots, Version: testVersion, Instances: testInstance,
		Need: need, NeedConfirmed: confirmed}
}

func stable(nodes ...kv.NodeID) (slots []kv.Slot) {
	for _, node := range nodes {
		slots = append(slots, kv.Stable(node))
	}
	return slots
}

func startWrite(t *testing.T, s Spec) *Write {
	t.Helper()
	w, err := NewWrite(s)
	if err != nil {
		t.Fatal(err)
	}
	askAll(w)
	return w
}

func startRead(t *testing.T, s Spec) *Read {
	t.Helper()
	r, err := NewRead(s)
	if err != nil {
		t.Fatal(err)
	}
	askAll(r)
	return r
}

func askAll(m machine) (targets []Target) {
	for {
		target, ok := m.Next()
		if !ok {
			return targets
		}
		targets = append(targets, target)
	}
}

// owner is the answer of a confirmed owner.
func owner(node kv.NodeID, result Result) Reply {
	return Reply{Node: node, Role: kv.RoleOwner, Result: result, Confirmed: true,
		Version: testVersion, Instance: kv.Instance(testInstance)}
}

func fallback(node kv.NodeID, slot int, result Result) Reply {
	r := owner(node, result)
	r.Role, r.Slot = kv.RoleFallback, slot
	return r
}

func want(t *testing.T, got, wanted Decision, m any) {
	t.Helper()
	if got != wanted {
		t.Fatalf("got %v, want %v: %v", got, wanted, m)
	}
}
