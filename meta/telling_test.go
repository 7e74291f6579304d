// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/meta/state"
)

func TestATracerHearsOfGrantsAndLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard trace.Recorder
		r := newRig(t, 3, 1, func(c *Config) {
			if c.Node == 4 {
				c.Trace = trace.New(4, &heard)
			}
		})
		n := r.nodes[0]
		a, b, c := n.open(1, 5*time.Second), n.open(2, time.Hour), n.open(3, time.Hour)
		r.nodes[3].barrier() // what it learns by a snapshot is not told
		first := n.acquire(wants(a, 1, "jobs", 0), 0)
		n.acquire(wants(a, 1, "jobs", 0), 0) // a retry is no grant
		n.acquire(wants(c, 1, "other", 0), 0)
		second := n.acquire(wants(b, 1, "jobs", time.Minute), 10*time.Second) // a's session ends
		n.do(state.ForceRelease{Name: "jobs", Fence: second.Fence, By: "test", Reason: "test"})
		r.nodes[3].barrier()
		var got []string
		for _, e := range heard.Events() {
			got = append(got, fmt.Sprintf("%v %s %d of %d at %d", e.Kind, e.Key, e.Value, e.Request[0],
				e.Emitter))
		}
		want := []string{
			fmt.Sprintf("lock-granted jobs %d of 1 at 4", first.Fence),
			fmt.Sprintf("lock-granted other %d of 3 at 4", first.Fence+2),
			fmt.Sprintf("lock-expired jobs %d of 1 at 4", first.Fence),
			fmt.Sprintf("lock-granted jobs %d of 2 at 4", second.Fence),
			fmt.Sprintf("lock-expired jobs %d of 2 at 4", second.Fence),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
