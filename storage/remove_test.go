// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"slices"
	"testing"
)

func (r *rig) remove(key string) {
	r.t.Helper()
	mustDo(r.t, r.do(key, func(Current) Next { return Remove() }))
}

func TestARemovedObjectIsAbsentWithAllItsRecords(t *testing.T) {
	for _, cache := range []int{0, 1 << 20} {
		onEngines(t, func(t *testing.T, c engineCase, e Engine) {
			cfg := testConfig()
			cfg.CacheBytes = cache
			r := start(t, cfg, e)
			mustDo(t, r.overwrite("small", "x"))
			mustDo(t, r.overwrite("large", big("a", 200<<10)))
			mustDo(t, r.overwrite("largest", "stays")) // a longer key that begins the same
			if _, versions := records(t, e); versions != 1 {
				t.Fatalf("%d version records before", versions)
			}
			for _, key := range []string{"small", "large", "never written"} {
				r.remove(key)
				if got, state := r.values(key); state != StateAbsent || len(got) != 0 {
					t.Errorf("%s is %s: %d values", key, state, len(got))
				}
			}
			if objects, versions := records(t, e); objects != 1 || versions != 0 {
				t.Errorf("%d objects and %d versions are left, want 1 and 0", objects, versions)
			}
			r = r.restart(cfg, c, e)
			if _, state := r.values("large"); state != StateAbsent {
				t.Errorf("after a restart: %s", state)
			}
			mustDo(t, r.overwrite("large", "again"))
			if got, _ := r.values("large"); !slices.Equal(got, []string{"again"}) {
				t.Errorf("written again: %v", got)
			}
		})
	}
}

func TestWhatFollowsARemovalFindsNothing(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	mustDo(t, r.overwrite("k", "x"))
	var states []State
	look := func(next Next) func(Current) Next {
		return func(c Current) Next { states = append(states, c.State); return next }
	}
	first := r.later(t, "k", look(Remove()))
	second := r.later(t, "k", look(Keep()))
	mustDo(t, <-first)
	mustDo(t, <-second)
	if !slices.Equal(states, []State{StatePresent, StateAbsent}) {
		t.Errorf("the operations found %v", states)
	}
}

func TestAnUnreadableObjectIsRemovedWithTheRecordsItMayHaveLeft(t *testing.T) {
	m := NewMemory()
	cfg := testConfig()
	r := start(t, cfg, m)
	mustDo(t, r.overwrite("k", big("a", 200<<10)))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	next := m.Crash(nil)
	at := placeOf(0, partitionOf("k"), 1, []byte("k"))
	spoilt := next.Damage(at.record, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	if !spoilt {
		t.Fatalf("no record under %x", at.record)
	}
	r = start(t, cfg, next)
	if _, state := r.values("k"); state != StateUnreadable {
		t.Fatalf("it is %s", state)
	}
	r.remove("k")
	if objects, versions := records(t, next); objects != 0 || versions != 0 {
		t.Errorf("%d objects and %d versions are left", objects, versions)
	}
}
