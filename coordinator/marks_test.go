// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// What no owner of a slot stored and no fallback keeps a hint for, the owner that
// coordinates notes itself, whatever the bucket and the answer; and of nothing else.
func TestSlotsThatNobodyHasAHintForGetAMarker(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*stage, *PutRequest)
		want   []kv.NodeID // whose slots are marked
	}{
		{"all have it", func(*stage, *PutRequest) {}, nil},
		{"one failed, and a fallback took it", func(s *stage, _ *PutRequest) {
			s.loses(errLost, nodeC)
		}, nil},
		{"one failed, and so did the fallbacks", func(s *stage, _ *PutRequest) {
			s.loses(errLost, nodeC, nodeD, nodeE)
		}, []kv.NodeID{nodeC}},
		{"one failed, of a strict bucket", func(s *stage, r *PutRequest) {
			s.loses(errLost, nodeC)
			r.Bucket.Sloppy = false
		}, []kv.NodeID{nodeC}},
		{"one refused, of a strict bucket", func(s *stage, r *PutRequest) {
			s.auto[nodeB] = func(c *call) { c.stored(wire.ReplicaOverloaded) }
			r.Bucket.Sloppy = false
		}, []kv.NodeID{nodeB}},
		{"a write that was not acknowledged", func(s *stage, r *PutRequest) {
			s.loses(errLost, nodeB, nodeC)
			r.Bucket.Sloppy = false
		}, []kv.NodeID{nodeB, nodeC}},
		{"a write that this owner did not store", func(s *stage, r *PutRequest) {
			s.loses(errLost, nodeC)
			r.Bucket.Sloppy = false
			s.mint = func(req *replica.MintRequest) {
				m := s.issue(req)
				req.Minted(m)
				m.Code = wire.ReplicaFailed
				req.Done(m)
			}
		}, nil},
		{"a write without a dot", func(s *stage, _ *PutRequest) {
			s.mint = func(req *replica.MintRequest) {
				req.Done(replica.MintReply{Code: wire.ReplicaOverloaded})
			}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.takes(nodeB, nodeC, nodeD, nodeE)
				req := standingIn("v")
				c.change(s, req)
				_, _ = s.c.Put(within(t), req)
				if err := s.c.Drain(context.Background()); err != nil {
					t.Fatal(err)
				}
				slots := make(map[uint8]bool)
				for _, m := range s.marks {
					slots[m.slot] = true
					if m.key != "k" || m.lacks != version(nodeA, s.minted, "v").Context.String() {
						t.Errorf("%+v", m)
					}
				}
				want := make(map[uint8]bool)
				for _, node := range c.want {
					want[s.slotOf(node)] = true
				}
				if diff := cmp.Diff(want, slots); diff != "" || len(s.marks) != len(want) {
					t.Errorf("marked slots, %d times:\n%s", len(s.marks), diff)
				}
			})
		})
	}
}

// A marker is kept beside the answer, never before it.
func TestTheAnswerNeverWaitsForAMarker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.loses(errLost, nodeC)
		s.onMark = func() { time.Sleep(time.Minute) }
		s.auto[nodeB] = func(c *call) { // C has failed when the write is acknowledged
			time.AfterFunc(time.Millisecond, func() { c.stored(wire.ReplicaOK) })
		}
		began := time.Now()
		if _, err := s.c.Put(within(t), putting("v")); err != nil || len(s.marks) != 0 {
			t.Errorf("%d markers, %v", len(s.marks), err)
		}
		if took := time.Since(began); took != time.Millisecond {
			t.Errorf("answered after %v", took)
		}
		if err := s.c.Drain(context.Background()); err != nil || len(s.marks) != 1 {
			t.Errorf("%d markers, %v", len(s.marks), err)
		}
	})
}

// A fallback that coordinates owns nothing that a marker could stand for.
func TestFallbacksKeepNoMarkers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := atFallback(t)
		s.storeCode = wire.ReplicaOverloaded // so two slots have no hint
		s.mint = func(req *replica.MintRequest) {
			m := s.issue(req)
			m.Standing = standsIn(nodeD)
			req.Minted(m)
			req.Done(m)
		}
		s.loses(errLost, nodeA, nodeB, nodeC, nodeE)
		req := standingIn("v")
		req.StandIn, req.W = true, kv.LevelOne
		if _, err := s.c.Put(within(t), req); err != nil {
			t.Error(err)
		}
		if err := s.c.Drain(context.Background()); err != nil || len(s.marks) != 0 {
			t.Errorf("%d markers, %v", len(s.marks), err)
		}
	})
}
