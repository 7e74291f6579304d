// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/wire"
)

func TestRouteNamesWhoMayCoordinate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		route, err := s.c.Route(putting("v"))
		if err != nil || !route.Here {
			t.Errorf("at an owner: %+v, %v", route, err)
		}
		s.ready = false // a store that is not ready never coordinates
		s.down[s.others()[0]] = true
		route, err = s.c.Route(putting("v"))
		want := []kv.NodeID{s.others()[1], s.others()[0]}
		if err != nil || route.Here || !cmp.Equal(route.Owners, want) {
			t.Errorf("at an owner that is not ready: %+v, want %v, %v", route, want, err)
		}
		s.ring = nil
		if _, err := s.c.Route(putting("v")); codeIn(err) != wire.CodeNotReady {
			t.Error(err)
		}
	})
}

// A copy without history does not coordinate, nor one that reads have left (TRAPS T15).
func TestTrapT15RouteInMotion(t *testing.T) {
	for phase, coordinates := range map[kv.Phase]kv.NodeID{
		kv.PhaseWriteBothReadOld: nodeB, kv.PhaseWriteBothReadNew: nodeD,
	} {
		bubble(t, func(t *testing.T) {
			s := newStage(t)
			state := s.ring.State()
			for p := range state.Placements {
				state.Placements[p].Slots = []kv.Slot{
					{Owner: nodeB, Next: nodeD, Phase: phase}, kv.Stable(nodeC), kv.Stable(nodeA),
				}
			}
			var err error
			if s.ring, err = ring.New(state); err != nil {
				t.Fatal(err)
			}
			s.ready = false
			route, err := s.c.Route(putting("v"))
			if want := []kv.NodeID{coordinates, nodeC}; err != nil || !cmp.Equal(route.Owners, want) {
				t.Errorf("%v: %v, want %v; %v", phase, route.Owners, want, err)
			}
		})
	}
}

func (s *stage) forward(ctx context.Context, params []byte) *begun[wire.ForwardReply] {
	return begin(func() (wire.ForwardReply, error) {
		return s.c.Forward(ctx, Route{Owners: []kv.NodeID{nodeB, nodeC}},
			&wire.ForwardRequest{Method: wire.MethodPut, Params: params})
	})
}

// A write goes to one owner; another is tried only where the first certainly did nothing
// with it, for two coordinators would leave two versions (TRAPS C10).
func TestTrapC10ForwardsGoToOneOwnerOnly(t *testing.T) {
	answer := wire.ForwardReply{Result: []byte("ok")}
	refused := wire.ForwardReply{Error: "TOO_MANY_SIBLINGS: 101"}
	busy := wire.ForwardReply{Error: "OVERLOADED: try again in 50 ms"}
	notReady := wire.ForwardReply{Error: "NOT_READY: its record of this key is damaged"}
	draining := wire.ForwardReply{Error: "SHUTTING_DOWN: this node is draining"}
	cases := []struct {
		name   string
		first  func(*call)
		second bool
		want   wire.Code
		reply  wire.ForwardReply
	}{
		{"answered", func(c *call) { c.onForward(answer, nil) }, false, "", answer},
		{"refused by its coordinator", func(c *call) { c.onForward(refused, nil) }, false, "", refused},
		{"busy", func(c *call) { c.onForward(busy, nil) }, false, "", busy},
		{"not ready", func(c *call) { c.onForward(notReady, nil) }, true, "", answer},
		{"draining", func(c *call) { c.onForward(draining, nil) }, true, "", answer},
		{"not sent", func(c *call) { c.fail(errNotSent) }, true, "", answer},
		{"lost", func(c *call) { c.fail(errLost) }, false, wire.CodeQuorum, wire.ForwardReply{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t, func(c *Config) { c.Node = nodeD })
				s.auto[nodeB] = c.first
				s.auto[nodeC] = func(call *call) { call.onForward(answer, nil) }
				reply, err := s.forward(within(t), []byte("params")).wait()
				if codeIn(err) != c.want || !cmp.Equal(reply, c.reply) {
					t.Errorf("%+v, %v", reply, err)
				}
				if got := s.count(nodeC) > 0; got != c.second {
					t.Errorf("the second owner was asked: %v", got)
				}
			})
		})
	}
}

func TestForwardsThatReachNobodyLeaveNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Node = nodeD })
		for _, node := range []kv.NodeID{nodeB, nodeC} {
			s.auto[node] = func(c *call) { c.fail(errNotSent) }
		}
		_, err := s.forward(within(t), nil).wait()
		if codeIn(err) != wire.CodeUnavailable {
			t.Error(err)
		}
	})
}

// What the last of them said is what the client hears.
func TestForwardsThatAllOwnersDecline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Node = nodeD })
		last := wire.ForwardReply{Error: "NOT_READY: starting"}
		s.auto[nodeB] = func(c *call) {
			c.onForward(wire.ForwardReply{Error: "SHUTTING_DOWN: this node is draining"}, nil)
		}
		s.auto[nodeC] = func(c *call) { c.onForward(last, nil) }
		reply, err := s.forward(within(t), nil).wait()
		if err != nil || !cmp.Equal(reply, last) {
			t.Errorf("%+v, %v", reply, err)
		}
	})
}

// A forward may still be under way when its caller has been answered, and the caller's
// buffer is used again then; Drain waits for it.
func TestForwardsKeepNothingOfTheirCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Node = nodeD })
		params := []byte("params")
		_, err := s.forward(within(t), params).wait()
		if codeIn(err) != wire.CodeTimeout {
			t.Error(err)
		}
		copy(params, "xxxxxx")
		open := s.to(nodeB, 0)
		if !bytes.Equal(open.forward.Params, []byte("params")) || open.forward.RemainingMS != 5000 {
			t.Errorf("%+v", open.forward)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.c.Drain(ctx); err == nil {
			t.Error("Drain did not wait for the forward")
		}
		open.fail(errLost)
		if err := s.c.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestGetManyAnswersInOrderAndStopsWhenTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.MaxFanOut = 3 })
		var keys [][]byte
		for i := range 10 {
			keys = append(keys, []byte{byte('a' + i)})
		}
		for _, node := range s.others() {
			s.auto[node] = func(c *call) { // the earlier a key, the later its answer
				delay := time.Duration('z'-c.read.Key[0]) * time.Millisecond
				time.AfterFunc(delay, func() {
					if c.read.Key[0] == 'e' {
						c.fail(errLost)
						return
					}
					c.show(version(nodeB, uint64(c.read.Key[0]), string(c.read.Key)))
				})
			}
		}
		s.localRead = func(req *wire.ReadRequest) wire.ReadReply {
			return wire.ReadReply{
				Standing: standing(nodeA), Code: wire.ReplicaOK,
				Object: version(nodeB, uint64(req.Key[0]), string(req.Key)),
			}
		}
		var got []int
		many := &GetManyRequest{GetRequest: *getting(), Keys: keys}
		s.c.GetMany(within(t), many, func(i int, g Got) bool {
			got = append(got, i)
			if string(keys[i]) == "e" {
				if codeIn(g.Err) != wire.CodeQuorum {
					t.Errorf("key e: %v", g.Err)
				}
			} else if g.Err != nil || !slices.Equal(values(g.Object), []string{string(keys[i])}) {
				t.Errorf("key %d: %q, %v", i, values(g.Object), g.Err)
			}
			return i < 6
		})
		if want := []int{0, 1, 2, 3, 4, 5, 6}; !cmp.Equal(got, want) {
			t.Errorf("answers for %v, want %v", got, want)
		}
		for _, c := range s.calls {
			if c.read.Key[0] > 'i' {
				t.Errorf("key %c was read although nobody wanted it", c.read.Key[0])
			}
		}
	})
}
