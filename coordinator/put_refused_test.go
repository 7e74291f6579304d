// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// A refusal of the mint leaves nothing anywhere: no send goes out before the dot.
func TestRefusedMintsAreOutcomeNone(t *testing.T) {
	cases := []struct {
		name  string
		reply replica.MintReply
		want  wire.Code
	}{
		{"siblings", replica.MintReply{Code: wire.ReplicaRefused, Err: kv.ErrTooManySiblings}, wire.CodeTooManySiblings},
		{"size", replica.MintReply{Code: wire.ReplicaRefused, Err: kv.ErrTooLarge}, wire.CodeTooLarge},
		{"fence", replica.MintReply{Code: wire.ReplicaRefused, Err: kv.ErrFenced}, wire.CodeFenced},
		{"context", replica.MintReply{Code: wire.ReplicaRefused, Err: replica.ErrContext}, wire.CodeInvalid},
		{"no owner", replica.MintReply{Code: wire.ReplicaRefused, Err: replica.ErrMayNotMint}, wire.CodeNotReady},
		{"expired", replica.MintReply{Code: wire.ReplicaExpired}, wire.CodeOverloaded},
		{"overloaded", replica.MintReply{Code: wire.ReplicaOverloaded}, wire.CodeOverloaded},
		{"draining", replica.MintReply{Code: wire.ReplicaShuttingDown}, wire.CodeShuttingDown},
		{"damaged record", replica.MintReply{Code: wire.ReplicaUnreadable}, wire.CodeNotReady},
		{"failed store", replica.MintReply{Code: wire.ReplicaFailed}, wire.CodeInternal},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.mint = func(req *replica.MintRequest) { req.Done(c.reply) }
				result, err := s.c.Put(within(t), putting("v"))
				if codeIn(err) != c.want || !result.Context.IsEmpty() {
					t.Errorf("%v, want %s; %+v", err, c.want, result)
				}
				if outcome := c.want.Outcome(wire.OpWrite); c.name != "failed store" && outcome != wire.OutcomeNone {
					t.Errorf("%s says that the outcome is %v", c.want, outcome)
				}
				if n := s.count(nodeB) + s.count(nodeC); n != 0 {
					t.Errorf("%d sends of a write that has no dot", n)
				}
			})
		})
	}
}

// A node that does not know the ring, or the key, takes no write.
func TestPutsThatThisNodeCanNotCarry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Node = nodeD })
		if _, err := s.c.Put(within(t), putting("v")); codeIn(err) != wire.CodeNotReady {
			t.Errorf("at no owner: %v", err)
		}
		req := putting("v")
		req.W = kv.Level(4)
		if _, err := s.c.Put(within(t), req); codeIn(err) != wire.CodeInvalid {
			t.Errorf("w = 4 of 3: %v", err)
		}
		s.ring = nil
		if _, err := s.c.Put(within(t), putting("v")); codeIn(err) != wire.CodeNotReady {
			t.Errorf("without a ring: %v", err)
		}
	})
}

// With too many members down nothing is sent, and the error says who.
func TestTwoDownIsUnavailableBeforeAnythingIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.down[nodeB], s.down[nodeC] = true, true
		s.mint = func(*replica.MintRequest) { t.Error("a hopeless write got a dot") }
		for what, do := range map[string]func() error{
			"put": func() error { _, err := s.c.Put(within(t), putting("v")); return err },
			"get": func() error {
				_, err := s.c.Get(within(t), &GetRequest{Bucket: bucket(), Key: []byte("k")})
				return err
			},
			"delete": func() error { _, err := s.c.Delete(within(t), putting("")); return err },
		} {
			err := do()
			if codeIn(err) != wire.CodeUnavailable {
				t.Fatalf("%s: %v", what, err)
			}
			for _, part := range []string{"need 2", "1 alive", "not reachable: C, B"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q does not say %q", what, err, part)
				}
			}
		}
		if n := s.count(nodeB) + s.count(nodeC); n != 0 {
			t.Errorf("%d calls were sent", n)
		}
	})
}

func TestOneOfThreeDownIsCarriedByTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.down[nodeC] = true
		s.auto[nodeC] = func(c *call) { c.fail(errNotSent) }
		s.holding(nodeB, kv.Object{})
		if _, err := s.c.Put(within(t), putting("v")); err != nil {
			t.Errorf("put: %v", err)
		}
		if s.count(nodeC) != 1 {
			t.Error("the owner that seems down was not even tried")
		}
		if _, err := s.c.Get(within(t), &GetRequest{Bucket: bucket(), Key: []byte("k")}); err != nil {
			t.Errorf("get: %v", err)
		}
		if s.count(nodeC) != 1 {
			t.Error("a read asked the owner that seems down although two others answered")
		}
	})
}

func TestTimeoutNamesWhoAnsweredAndWhoDidNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.auto[nodeB] = func(c *call) { c.stored(wire.ReplicaOverloaded) }
		_, err := s.c.Put(within(t), putting("v"))
		if codeIn(err) != wire.CodeTimeout {
			t.Fatalf("%v", err)
		}
		for _, part := range []string{"need 2, got 1", "A: counted", "B: refused, scripted", "C: no answer"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
		s.to(nodeC, 0).fail(errLost)
	})
}
