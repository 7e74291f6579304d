// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/internal/trace"
)

// TestATracerHearsOfEntriesThatAreStoredAndCommitted: of each entry when a majority has it,
// and before any seat takes it for committed; and of those in the log of a seat that starts.
func TestATracerHearsOfEntriesThatAreStoredAndCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard trace.Recorder
		r := newGroupRig(t, 3, func(c *Config) { c.Trace = trace.New(uint16(c.Node), &heard) })
		for i := range byte(20) {
			r.members[0].open(i+1, time.Hour)
		}
		time.Sleep(time.Second)
		type entry struct{ index, term uint64 }
		stored, committed := make(map[entry]map[uint16]bool), make(map[uint16]uint64)
		need := uint16(0)
		for _, e := range heard.Events() {
			at := entry{e.Value, e.Counter}
			switch e.Kind {
			case trace.EntryStored:
				if stored[at] == nil {
					stored[at] = make(map[uint16]bool)
				}
				stored[at][e.Emitter] = true
			case trace.EntryCommitted:
				if len(stored[at]) < int(e.Need) || e.Need == 0 {
					t.Errorf("%+v, and these have it: %v", e, stored[at])
				}
				if last := committed[e.Emitter]; last > 0 && e.Value != last+1 {
					t.Errorf("member %d tells of entry %d after entry %d", e.Emitter, e.Value, last)
				}
				committed[e.Emitter], need = e.Value, e.Need
			}
		}
		last := r.members[0].Status().Applied
		for _, m := range r.members {
			if got := committed[uint16(m.id)]; got != last {
				t.Errorf("member %d told of entry %d as the last, not of %d", m.id, got, last)
			}
		}
		if need != 2 {
			t.Errorf("%d of three must have an entry", need)
		}
		before := len(heard.Events())
		must(t, r.members[2].stop())
		r.members[2].restart()
		for _, e := range heard.Events()[before:] {
			if e.Kind == trace.EntryStored && e.Emitter == 3 && e.Value == last {
				return
			}
		}
		t.Errorf("member 3 has entry %d in its log, and did not tell of it when it started", last)
	})
}
