// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// A replica that fails or refuses is replaced at once, one that is slow after its time;
// the late answer still counts if it comes first.
func TestReplicasThatDoNotAnswerAreReplaced(t *testing.T) {
	o := version(nodeA, 1, "v")
	cases := []struct {
		name  string
		end   func(*call)
		after time.Duration
	}{
		{"failed", func(c *call) { c.fail(errLost) }, 0},
		{"not sent", func(c *call) { c.fail(errNotSent) }, 0},
		{"refused", func(c *call) {
			c.onRead(wire.ReadReply{Standing: standing(c.node), Code: wire.ReplicaOverloaded}, nil)
		}, 0},
		{"damaged", func(c *call) {
			c.onRead(wire.ReadReply{Standing: standing(c.node), Code: wire.ReplicaUnreadable}, nil)
		}, 0},
		{"of another instance", func(c *call) {
			other := standing(c.node)
			other.Instance++
			c.onRead(wire.ReadReply{Standing: other, Code: wire.ReplicaOK}, nil)
		}, 0},
		{"slow", nil, tryCeiling / 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.local(o)
				near, far := s.others()[0], s.others()[1]
				s.holding(far, o)
				began := time.Now()
				get := s.get(getting())
				open := s.to(near, 0)
				if c.end != nil {
					c.end(open)
				}
				got, err := get.wait()
				if err != nil || !cmp.Equal(values(got), []string{"v"}) {
					t.Errorf("%q, %v", values(got), err)
				}
				if took := time.Since(began); took != c.after {
					t.Errorf("replaced after %v, want %v", took, c.after)
				}
				if c.end == nil {
					open.show(o)
				}
			})
		})
	}
}

// A read whose copies differ starts over; it must not wait once more for a replica that
// was silent the first time (found by the simulator: three times the per-try time).
func TestAReadThatStartsOverWaitsOnceForASilentReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.local(version(nodeA, 1, "v"))
		s.holding(s.others()[1], version(nodeC, 1, "w"))
		began := time.Now()
		got, err := s.get(getting()).wait()
		if err != nil || !cmp.Equal(values(got), []string{"v", "w"}) {
			t.Errorf("%q, %v", values(got), err)
		}
		if took := time.Since(began); took != tryCeiling/4 {
			t.Errorf("read after %v, want %v", took, tryCeiling/4)
		}
		s.to(s.others()[0], 0).fail(errLost)
	})
}

// Where the replica that was asked for the body falls away, its replacement is asked for
// it; no round is wasted on digests alone.
func TestTheReplacementOfTheBodyIsAskedForTheBody(t *testing.T) {
	o := version(nodeB, 1, "v")
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.localRead = func(*wire.ReadRequest) wire.ReadReply {
			return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaUnreadable}
		}
		near, far := s.others()[0], s.others()[1]
		s.holding(near, o)
		s.holding(far, o)
		got, err := s.get(getting()).wait()
		if err != nil || !cmp.Equal(values(got), []string{"v"}) {
			t.Errorf("%q, %v", values(got), err)
		}
		if s.to(far, 0).read.Mode != wire.ReadFull || s.count(near) != 1 || s.count(far) != 1 {
			t.Errorf("%d and %d calls", s.count(near), s.count(far))
		}
	})
}

func TestLateAnswersTeachHowLongAPeerTakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		near, far := s.others()[0], s.others()[1]
		s.auto[near] = func(c *call) {
			time.AfterFunc(400*time.Millisecond, func() { c.show(kv.Object{}) })
		}
		s.holding(far, kv.Object{})
		for range latencyWarm {
			if _, err := s.get(getting()).wait(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := s.c.latenciesOf(near).reads.try(tryFloor); got != tryCeiling {
			t.Errorf("the try time of a slow peer that was always replaced is %v", got)
		}
		s.auto[near] = func(c *call) { c.fail(errNotSent) }
		for range 2 * latencyWindow {
			if _, err := s.get(getting()).wait(); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.c.latenciesOf(near).reads.try(tryFloor); got != tryCeiling {
			t.Errorf("calls that were never sent taught a try time of %v", got)
		}
	})
}
