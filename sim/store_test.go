// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

// TestStoresAskTheNodeThatARequestNames: that one and no other, also where it is down.
func TestStoresAskTheNodeThatARequestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, DefaultConfig(1))
		var nodes []string
		for _, h := range c.Hosts {
			nodes = append(nodes, h.Member.Client)
		}
		s := NewStoreOf(connect(t, c, "roamer"), nodes)
		put := func(node int) workload.Answer {
			return s.Put(limit(t), &workload.Request{Key: "k", Value: []byte("v"), Node: node})
		}
		for i, h := range c.Hosts {
			if a := put(i + 1); a.Outcome != history.OK || a.Node != h.Name {
				t.Errorf("through %s: %+v", h.Name, a)
			}
		}
		if a := put(len(nodes) + 1); a.Outcome != history.Fail {
			t.Errorf("through a node that there is not: %+v", a)
		}
		must(t, c.Hosts[0].Kill())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if a := s.Get(ctx, &workload.Request{Key: "k", Node: 1}); a.Outcome == history.OK {
			t.Errorf("through a node that is down: %+v", a)
		}
		if a := put(0); a.Outcome != history.OK {
			t.Errorf("through any: %+v", a)
		}
	})
}

func TestStoresGiveValuesTheirTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, DefaultConfig(1))
		s := NewStore(connect(t, c, "mortal"))
		r := &workload.Request{Key: "k", Value: []byte("v"), TTL: 100 * time.Millisecond}
		if a := s.Put(limit(t), r); a.Outcome != history.OK {
			t.Fatalf("%+v", a)
		}
		for _, want := range []int{1, 0} {
			if a := s.Get(limit(t), &workload.Request{Key: "k"}); len(a.Values) != want {
				t.Errorf("%d values, want %d: %+v", len(a.Values), want, a)
			}
			time.Sleep(r.TTL)
		}
	})
}
