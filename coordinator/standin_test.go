// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// atFallback is a stage whose coordinator is node 4, which owns nothing.
func atFallback(t *testing.T) *stage {
	return newStage(t, func(c *Config) { c.Node = nodeD })
}

// standsIn is what a confirmed fallback states.
func standsIn(node kv.NodeID) wire.Standing {
	s := standing(node)
	s.Role = kv.RoleFallback
	return s
}

// A fallback may stand in where the bucket is sloppy, no owner is asked for, no fence is
// borne, and its store is ready; an owner whose own store is not never does (TRAPS S12).
func TestTrapC14RouteLetsFallbacksStandIn(t *testing.T) {
	for _, c := range []struct {
		name   string
		node   kv.NodeID
		change func(*stage, *PutRequest)
		want   bool
	}{
		{"sloppy", nodeD, func(*stage, *PutRequest) {}, true},
		{"strict", nodeD, func(_ *stage, r *PutRequest) { r.Bucket.Sloppy = false }, false},
		{"pw", nodeD, func(_ *stage, r *PutRequest) { r.PW = kv.LevelOne }, false},
		{"pw of the bucket", nodeD, func(_ *stage, r *PutRequest) { r.Bucket.PW = kv.LevelOne }, false},
		{"pw beyond n", nodeD, func(_ *stage, r *PutRequest) { r.PW = levelOf(t, 7) }, false},
		{"a fence", nodeD, func(_ *stage, r *PutRequest) { r.Fence = 1 }, false},
		{"fenced", nodeD, func(_ *stage, r *PutRequest) { r.Bucket.Fenced = true }, false},
		{"not ready", nodeD, func(s *stage, _ *PutRequest) { s.ready = false }, false},
		{"an owner that is not ready", nodeA, func(s *stage, _ *PutRequest) { s.ready = false }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t, func(cfg *Config) { cfg.Node = c.node })
				req := standingIn("v")
				c.change(s, req)
				route, err := s.c.Route(req)
				if err != nil || route.Here || route.StandIn != c.want {
					t.Errorf("%+v, %v, want %v", route, err, c.want)
				}
			})
		})
	}
}

// That no owner can be reached is established by a try of each that seems alive, and of one
// where none does; and by nothing less than that each certainly did nothing (TRAPS C10).
func TestTrapC14NoOwnerIsReached(t *testing.T) {
	draining := wire.ForwardReply{Error: "SHUTTING_DOWN: this node is draining"}
	busy := wire.ForwardReply{Error: "OVERLOADED: try again in 50 ms"}
	for _, c := range []struct {
		name  string
		down  int // how many of the owners seem down
		end   func(*call)
		tries int
		want  wire.Code // of the error; NONE where this node may stand in
	}{
		{"all seem alive, none is", 0, func(c *call) { c.fail(errNotSent) }, 3, "NONE"},
		{"one seems alive", 2, func(c *call) { c.fail(errNotSent) }, 1, "NONE"},
		{"none seems alive", 3, func(c *call) { c.fail(errNotSent) }, 1, "NONE"},
		{"they drain", 0, func(c *call) { c.onForward(draining, nil) }, 3, "NONE"},
		{"the first has no room", 0, func(c *call) { c.onForward(busy, nil) }, 1, ""},
		{"the first may have it", 0, func(c *call) { c.fail(errLost) }, 1, wire.CodeQuorum},
		{"the first is silent", 0, nil, 1, wire.CodeTimeout},
		{"none seems alive, and the one may have it", 3, func(c *call) { c.fail(errLost) }, 1,
			wire.CodeQuorum},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := atFallback(t)
				for node := nodeA; node <= nodeC; node++ {
					s.down[node] = int(node) > 3-c.down
					if c.end != nil {
						s.auto[node] = c.end
					}
				}
				route, err := s.c.Route(standingIn("v"))
				if err != nil || !route.StandIn {
					t.Fatalf("%+v, %v", route, err)
				}
				_, err = s.c.Forward(within(t), route, &wire.ForwardRequest{Method: wire.MethodPut})
				if errors.Is(err, ErrNoOwner) != (c.want == "NONE") {
					t.Errorf("%v, want %v", err, c.want)
				}
				if c.want != "NONE" && codeIn(err) != c.want {
					t.Errorf("%v, want %v", err, c.want)
				}
				if n := s.count(nodeA) + s.count(nodeB) + s.count(nodeC); n != c.tries {
					t.Errorf("%d owners were tried, want %d", n, c.tries)
				}
			})
		})
	}
}

// The fallback that coordinates keeps a hint for an owner, others keep them for the others,
// and the owners are sent the write nevertheless.
func TestTrapC14AFallbackCoordinates(t *testing.T) {
	for _, c := range []struct {
		name   string
		w      kv.Level
		others kv.NodeID // up to which the other fallbacks are up
		want   wire.Code
	}{
		{"two of them", kv.LevelUnset, nodeE, ""},
		{"w = 1", kv.LevelOne, nodeD, ""},
		{"w = 2 on one machine", kv.LevelUnset, nodeD, wire.CodeUnavailable},
		{"w = 3 on two machines", kv.LevelAll, nodeE, wire.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := atFallback(t)
				s.mint = func(req *replica.MintRequest) {
					if req.Role != kv.RoleFallback || req.Slot != replica.StandInSlot ||
						req.Instance != instanceOf(nodeD) {
						t.Errorf("minted as %+v", req.Target)
					}
					m := s.issue(req)
					m.Standing = standsIn(nodeD)
					req.Minted(m)
					req.Done(m)
				}
				for node := nodeA; node <= nodeE; node++ {
					s.down[node] = node < nodeD || node > c.others
					if s.down[node] {
						s.loses(errNotSent, node)
					}
				}
				s.takes(nodeE)
				req := standingIn("v")
				req.StandIn, req.W = true, c.w
				if _, err := s.c.Put(within(t), req); codeIn(err) != c.want {
					t.Errorf("%v, want %q", err, c.want)
				}
				if c.want != "" {
					return
				}
				for node := nodeA; node <= nodeC; node++ {
					if list := s.copies(node); len(list) != 1 || list[0].Role != kv.RoleOwner {
						t.Errorf("owner %d was sent %+v", node, list)
					}
				}
				var kept []hint
				for _, r := range s.stores { // this node's own, beside the one that it minted into
					kept = append(kept, hint{nodeD, r.Slot})
				}
				for _, r := range s.copies(nodeE) {
					if s.down[nodeE] {
						break
					}
					kept = append(kept, hint{nodeE, r.Slot})
				}
				want := []hint{{nodeE, 1}, {nodeD, 2}}
				if c.others == nodeD {
					want = []hint{{nodeD, 1}, {nodeD, 2}}
				}
				slices.SortFunc(kept, func(a, b hint) int { return int(a.slot) - int(b.slot) })
				if diff := cmp.Diff(want, kept, cmp.AllowUnexported(hint{})); diff != "" {
					t.Errorf("hints:\n%s", diff)
				}
			})
		})
	}
}

// Who was not told to stand in, or may not, mints nothing.
func TestTrapC14NobodyStandsInUnasked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := atFallback(t)
		s.mint = func(*replica.MintRequest) { t.Error("it got a dot") }
		req := standingIn("v")
		if _, err := s.c.Put(within(t), req); codeIn(err) != wire.CodeNotReady {
			t.Errorf("unasked: %v", err)
		}
		req.StandIn, req.Bucket.Sloppy = true, false
		if _, err := s.c.Put(within(t), req); codeIn(err) != wire.CodeNotReady {
			t.Errorf("in a strict bucket: %v", err)
		}
	})
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.mint = func(*replica.MintRequest) { t.Error("it got a dot") }
		req := standingIn("v")
		req.StandIn = true // its ring has changed since
		if _, err := s.c.Put(within(t), req); codeIn(err) != wire.CodeNotReady {
			t.Errorf("at an owner: %v", err)
		}
	})
}
