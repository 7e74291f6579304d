// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/internal/fail"
	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

func TestEveryPartSpeaksToTheTracerOfItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		var heard trace.Recorder
		number := uint16(0)
		r.tune = func(cfg *Config) {
			number++ // members start in the order of their numbers
			cfg.Trace = trace.New(number, &heard)
		}
		r.startAll()
		s := r.members[0].client()
		must(t, s.put(strict("k", "v")))
		_, err := s.get(wire.GetRequest{Key: []byte("k")})
		must(t, err)
		by := make(map[trace.Kind]map[uint16]bool)
		for _, e := range heard.Events() {
			if by[e.Kind] == nil {
				by[e.Kind] = make(map[uint16]bool)
			}
			by[e.Kind][e.Emitter] = true
		}
		for kind, nodes := range map[trace.Kind]int{
			trace.DotMinted: 1, trace.Applied: 2, trace.Synced: 3, trace.Acknowledged: 1,
			trace.ReadAnswered: 1,
		} {
			if len(by[kind]) != nodes {
				t.Errorf("%s came from %d nodes, want %d", kind, len(by[kind]), nodes)
			}
		}
	})
}

func TestFailpointsAndTracersThatWouldBeIgnoredAreRefused(t *testing.T) {
	tracer := trace.New(7, new(trace.Recorder))
	for name, spoil := range map[string]func(*Config){
		"of the store":         func(c *Config) { c.Storage.Points = fail.NewSet() },
		"tracer of the store":  func(c *Config) { c.Storage.Trace = tracer },
		"tracer of a part":     func(c *Config) { c.Coordinator.Trace = tracer },
		"of a refill":          func(c *Config) { c.Transfer.Points = fail.NewSet() },
		"tracer of a refill":   func(c *Config) { c.Transfer.Trace = tracer },
		"tracer of a stranger": func(c *Config) { c.Trace = tracer },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3, 3)
			cfg := r.members[0].config(&life{})
			spoil(&cfg)
			if node, err := Open(t.Context(), cfg, zap.NewNop()); err == nil {
				t.Errorf("%s: opened", name)
				must(t, node.Close())
			}
		})
	}
}

func TestFailpointOfANodeReachesItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 3)
		points := fail.NewSet()
		r.tune = func(cfg *Config) {
			if cfg.Name == "n1" {
				cfg.Points = points
			}
		}
		r.startAll()
		broken := errors.New("the test breaks the disk")
		points.Arm(storage.PointCommit, fail.Plan{Err: broken})
		m := r.members[0]
		if err := m.client().put(strict("k", "v")); err == nil {
			t.Error("a write that one disk did not take was acknowledged by all")
		}
		if err := <-m.life.ended; !errors.Is(err, storage.ErrFailed) || !errors.Is(err, broken) {
			t.Errorf("Run returned %v, want ErrFailed and why", err)
		}
		m.life = nil
	})
}
