// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/node"
)

// ownersOf are the hosts that made a value of the key their own, and the others.
func (s *scene) ownersOf(key []byte) (owners, others []*Host) {
	for _, h := range s.Hosts {
		if slices.ContainsFunc(s.events.Events(), func(e trace.Event) bool {
			return e.Kind == trace.Covered && e.Emitter == uint16(h.ID) && slices.Equal(e.Key, key)
		}) {
			owners = append(owners, h)
		} else {
			others = append(others, h)
		}
	}
	return owners, others
}

// minters are the actors under which a host gave dots, each once.
func (s *scene) minters(h *Host) (actors []uint64) {
	for _, e := range s.events.Events() {
		if e.Kind == trace.DotMinted && e.Emitter == uint16(h.ID) && !slices.Contains(actors, e.Actor) {
			actors = append(actors, e.Actor)
		}
	}
	return actors
}

// TestTrapC14AFallbackMintsAgainAfterItsHintsWereDelivered kills all owners of a key, lets a
// fallback take two blind writes of it, and brings the owners back, again and again. Nobody
// overwrites anything, so every value must be at every owner in the end, by hints alone: a
// fallback that went on under the actor of hints that it has no more would delete with each
// write what it had taken before.
func TestTrapC14AFallbackMintsAgainAfterItsHintsWereDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t}
		cfg := DefaultConfig(1)
		cfg.Nodes = 5
		cfg.Tune = func(h *Host, n *node.Config) {
			n.Trace = trace.New(uint16(h.ID), &s.events)
		}
		s.Cluster = startCluster(t, cfg)
		x := s.person("x")
		x.put(s.Hosts[0], "first")
		owners, others := s.ownersOf(x.key)
		if len(owners) != 3 {
			t.Fatalf("%d owners", len(owners))
		}
		want := []string{"first"}
		for _, value := range []string{"second", "third", "fourth"} {
			for _, h := range owners {
				must(t, h.Kill())
			}
			time.Sleep(time.Second)
			for _, v := range []string{value, value + " again"} {
				x.put(others[0], v, client.WithW(client.Quorum))
				want = append(want, v)
			}
			must(t, s.Start(limit(t)))
			time.Sleep(30 * time.Second)
		}
		for _, h := range owners {
			x.demandAt(h, client.One, want...)
		}
		if n := len(s.minters(others[0])); n != 3 {
			t.Errorf("the fallback minted under %d actors, want one for each time", n)
		}
		s.demandDots()
		for _, text := range s.wrong {
			t.Error(text)
		}
	})
}
