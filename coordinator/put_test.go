// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func putting(value string) *PutRequest {
	return &PutRequest{Bucket: bucket(), Key: []byte("k"), Kind: kv.KindValue, Value: []byte(value)}
}

func (s *stage) put(ctx context.Context, req *PutRequest) *begun[PutResult] {
	return begin(func() (PutResult, error) { return s.c.Put(ctx, req) })
}

// how one of a write's copies ends after its dot was issued.
type how uint8

const (
	howOK how = iota
	howRefused
	howFailed
	howFenced
	howNotSent
)

// TestEveryOrderOfCommitAndRepliesGivesTheRightAnswer plays all orders of the local commit
// and two replies, with every way in which each can end, for every w and pw, and compares
// when and how the client is answered with a count of its own.
func TestEveryOrderOfCommitAndRepliesGivesTheRightAnswer(t *testing.T) {
	orders := [][3]kv.NodeID{
		{nodeA, nodeB, nodeC}, {nodeA, nodeC, nodeB}, {nodeB, nodeA, nodeC},
		{nodeB, nodeC, nodeA}, {nodeC, nodeA, nodeB}, {nodeC, nodeB, nodeA},
	}
	for w := 1; w <= 3; w++ {
		for pw := 0; pw <= w; pw++ {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				for _, order := range orders {
					for local := howOK; local <= howFailed; local++ {
						for b := howOK; b <= howNotSent; b++ {
							for c := howOK; c <= howNotSent; c++ {
								how := map[kv.NodeID]how{nodeA: local, nodeB: b, nodeC: c}
								playWrite(t, s, w, pw, order, how)
								if t.Failed() {
									return
								}
							}
						}
					}
				}
			})
		}
	}
}

func playWrite(t *testing.T, s *stage, w, pw int, order [3]kv.NodeID, ends map[kv.NodeID]how) {
	t.Helper()
	s.calls = nil
	var local *replica.MintRequest
	var m replica.MintReply
	s.mint = func(req *replica.MintRequest) {
		local, m = req, s.issue(req)
		req.Minted(m)
	}
	req := putting("v")
	req.W, req.PW = levelOf(t, w), levelOf(t, pw)
	put := s.put(within(t), req)
	if put.over() {
		t.Fatal("answered before anybody was")
	}
	stored, mayHold, fenced := 0, 3, false
	decided := false
	for i, node := range order {
		happen(s, node, ends[node], local, m)
		switch ends[node] {
		case howOK:
			stored++
		case howFenced:
			fenced = true
			mayHold--
		case howRefused, howNotSent:
			mayHold--
		}
		left := 2 - i
		decided = decided || stored >= w || stored+left < w
		if put.over() != decided {
			t.Fatalf("w %d, pw %d, %v: after %v answered %v", w, pw, ends, order[:i+1], !decided)
		}
		if !decided || put.got != nil {
			continue
		}
		result, err := put.wait()
		want := wire.Code("")
		switch {
		case stored >= w:
			if !result.Context.Contains(m.Dot) || result.Object.IsZero() {
				t.Errorf("answer %+v", result)
			}
		case fenced && mayHold == 0:
			want = wire.CodeFenced
		default:
			want = wire.CodeQuorum
		}
		if codeIn(err) != want {
			t.Fatalf("w %d, pw %d, %v in order %v: %v, want %q", w, pw, ends, order, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "need") {
			t.Errorf("the error does not count: %v", err)
		}
	}
}

func happen(s *stage, node kv.NodeID, how how, local *replica.MintRequest, m replica.MintReply) {
	code := [...]wire.ReplicaCode{
		howOK: wire.ReplicaOK, howRefused: wire.ReplicaOverloaded,
		howFailed: wire.ReplicaFailed, howFenced: wire.ReplicaFenced, howNotSent: 0,
	}[how]
	switch {
	case node == nodeA:
		m.Code = code
		local.Done(m)
	case how == howNotSent:
		s.to(node, 0).fail(errNotSent)
	case how == howFailed:
		s.to(node, 0).fail(errLost)
	default:
		s.to(node, 0).stored(code)
	}
}

func levelOf(t testing.TB, n int) kv.Level {
	l, err := kv.LevelOf(n)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Only confirmed owners count for pw, by their own words; all count for w.
func TestUnconfirmedStoresCountForWOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		for _, node := range []kv.NodeID{nodeB, nodeC} {
			s.auto[node] = func(c *call) {
				unsure := standing(c.node)
				unsure.Confirmed = false
				c.onStore(wire.StoreReply{Standing: unsure, Code: wire.ReplicaOK}, nil)
			}
		}
		req := putting("v")
		if _, err := s.c.Put(within(t), req); err != nil {
			t.Errorf("w = 2 of unconfirmed owners: %v", err)
		}
		req.PW = kv.LevelQuorum
		_, err := s.c.Put(within(t), req)
		if codeIn(err) != wire.CodeQuorum || !strings.Contains(err.Error(), "confirmed") {
			t.Errorf("pw = 2 with one confirmed owner: %v", err)
		}
	})
}

// Replies are counted, not plans: what a replica says of itself decides (TRAPS S2).
func TestTrapS2RepliesThatStateSomethingElseDoNotCount(t *testing.T) {
	cases := map[string]func(*wire.Standing){
		"another instance":   func(s *wire.Standing) { s.Instance++ },
		"an older placement": func(s *wire.Standing) { s.Placement-- },
		"a fallback":         func(s *wire.Standing) { s.Role = kv.RoleFallback },
		"not ready":          func(s *wire.Standing) { s.Role = kv.RoleNotReady },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				for _, node := range []kv.NodeID{nodeB, nodeC} {
					s.auto[node] = func(c *call) {
						stated := standing(c.node)
						change(&stated)
						if c.onStore != nil {
							c.onStore(wire.StoreReply{Standing: stated, Code: wire.ReplicaOK}, nil)
						} else {
							c.onRead(wire.ReadReply{Standing: stated, Code: wire.ReplicaOK}, nil)
						}
					}
				}
				if _, err := s.c.Put(within(t), putting("v")); codeIn(err) != wire.CodeQuorum {
					t.Errorf("put: %v", err)
				}
				_, err := s.c.Get(within(t), &GetRequest{Bucket: bucket(), Key: []byte("k")})
				if codeIn(err) != wire.CodeQuorum {
					t.Errorf("get: %v", err)
				}
			})
		})
	}
}

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
		{"request id", replica.MintReply{Code: wire.ReplicaRefused, Err: replica.ErrRequestReused}, wire.CodeInvalid},
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

// The answer, the client's deadline and its leaving cancel no send (I2).
func TestSendsOutliveTheAnswerAndDrainWaitsForThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.holding(nodeB, kv.Object{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err := s.c.Put(ctx, putting("v")); err != nil {
			t.Fatal(err)
		}
		cancel()
		open := s.to(nodeC, 0)
		if left := time.Until(open.deadline); left != s.c.cfg.SendTimeout {
			t.Errorf("the send ends in %v, want %v", left, s.c.cfg.SendTimeout)
		}
		if ms := open.store.RemainingMS; ms != uint32(s.c.cfg.SendTimeout.Milliseconds()) {
			t.Errorf("the send says that %d ms remain", ms)
		}
		short, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := s.c.Drain(short); err == nil {
			t.Error("Drain did not wait for the open send")
		}
		drained := begin(func() (int, error) { return 0, s.c.Drain(context.Background()) })
		if drained.over() {
			t.Error("Drain did not wait for the open send")
		}
		open.stored(wire.ReplicaOK)
		if !drained.over() {
			t.Error("Drain still waits")
		}
	})
}

// A write that waited long for its dot has its sends' whole time afterwards.
func TestSendsHaveTheirTimeFromTheDotOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.mint = func(req *replica.MintRequest) {
			time.AfterFunc(7*time.Second, func() {
				m := s.issue(req)
				req.Minted(m)
				req.Done(m)
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		put := s.put(ctx, putting("v"))
		time.Sleep(7 * time.Second)
		open := s.to(nodeB, 0)
		if left := time.Until(open.deadline); left != s.c.cfg.SendTimeout {
			t.Errorf("the send ends in %v, want %v", left, s.c.cfg.SendTimeout)
		}
		open.stored(wire.ReplicaOK)
		s.to(nodeC, 0).stored(wire.ReplicaOK)
		if _, err := put.wait(); err != nil {
			t.Error(err)
		}
	})
}

// Where the client leaves while the write waits for its dot, the write that happens
// nevertheless must reach the other owners: else it would stand at one node, unfound.
func TestAWriteThatGetsItsDotAfterItsClientLeftIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		var local *replica.MintRequest
		s.mint = func(req *replica.MintRequest) { local = req }
		ctx, leave := context.WithCancel(within(t))
		put := s.put(ctx, putting("v"))
		synctest.Wait()
		leave()
		if _, err := put.wait(); codeIn(err) != wire.CodeTimeout {
			t.Errorf("the client that left hears %v", err)
		}
		drained := begin(func() (int, error) { return 0, s.c.Drain(context.Background()) })
		m := s.issue(local)
		local.Minted(m)
		local.Done(m)
		for _, node := range []kv.NodeID{nodeB, nodeC} {
			got := s.to(node, 0)
			if got.store.Object.Digest() != m.Object.Digest() {
				t.Errorf("node %d was sent something else", node)
			}
			if drained.over() {
				t.Error("Drain did not wait for the sends")
			}
			got.stored(wire.ReplicaOK)
		}
		if !drained.over() {
			t.Error("Drain still waits")
		}
	})
}

func TestAWriteThatIsDroppedAfterItsClientLeftLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		var local *replica.MintRequest
		s.mint = func(req *replica.MintRequest) { local = req }
		put := s.put(within(t), putting("v"))
		_, err := put.wait()
		if codeIn(err) != wire.CodeTimeout {
			t.Errorf("%v", err)
		}
		if !local.Deadline.Equal(time.Now()) {
			t.Errorf("the mint's deadline is %v, now is %v", local.Deadline, time.Now())
		}
		local.Done(replica.MintReply{Code: wire.ReplicaExpired})
		if s.count(nodeB) != 0 {
			t.Error("a dropped write was sent")
		}
		if err := s.c.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// What has come before the deadline decides, even where the deadline is looked at first.
func TestAnswersThatCameInTimeCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 20 {
			s := newStage(t)
			s.holding(nodeB, kv.Object{})
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // both are ready from the start
			if _, err := s.c.Put(ctx, putting("v")); err != nil {
				t.Fatal(err)
			}
			for _, c := range s.calls {
				if c.node == nodeC {
					c.stored(wire.ReplicaOK)
				}
			}
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

// The context of a put is exactly what its writer may overwrite (ARCHITECTURE 5).
func TestContextsOfPutsAreExact(t *testing.T) {
	read := vclock.ContextOf(dot(nodeB, 4))
	mine, other := dot(nodeA, 9), version(nodeC, 7, "other")
	alone := version(nodeA, 9, "v", dot(nodeB, 4), dot(nodeC, 3))
	cases := []struct {
		name   string
		object kv.Object
		repeat bool
		want   vclock.Context
	}{
		{"alone: all that the object has seen", alone, false, alone.Context},
		{"beside a sibling: what was read, and the dot", kv.Merge(alone, other), false, read.Add(mine)},
		{"a repeat: what was read, and the dot", alone, true, read.Add(mine)},
		{"a repeat, overwritten since", other, true, read.Add(mine)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.mint = func(req *replica.MintRequest) {
					m := replica.MintReply{
						Standing: standing(nodeA), Code: wire.ReplicaOK, Object: c.object, Dot: mine,
						Repeat: c.repeat,
					}
					req.Minted(m)
					req.Done(m)
				}
				s.holding(nodeB, kv.Object{})
				s.holding(nodeC, kv.Object{})
				req := putting("v")
				req.Seen = read
				got, err := s.c.Put(within(t), req)
				if err != nil || !got.Context.Equal(c.want) {
					t.Errorf("context %v, want %v; %v", got.Context, c.want, err)
				}
				// A repeat sends the present object and counts afresh.
				for _, node := range []kv.NodeID{nodeB, nodeC} {
					if list := s.copies(node); len(list) != 1 || list[0].Object.Digest() != c.object.Digest() ||
						list[0].Class != kv.ClassClientWrite {
						t.Errorf("node %d was sent %+v", node, list)
					}
				}
			})
		})
	}
}

func TestSendsCarryTheirReceiversInstanceAndTheEpochOfTheMint(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.mint = func(req *replica.MintRequest) {
			m := s.issue(req)
			m.Epoch = 6
			req.Minted(m)
			req.Done(m)
		}
		s.holding(nodeB, kv.Object{})
		req := putting("v")
		req.Request = kv.RequestID{1, 2}
		if _, err := s.c.Put(within(t), req); err != nil {
			t.Fatal(err)
		}
		got := s.to(nodeC, 0).store
		if got.Instance != instanceOf(nodeC) || got.Placement != 5 || got.Epoch != 6 ||
			got.Role != kv.RoleOwner || got.Request != req.Request || string(got.Key) != "k" {
			t.Errorf("%+v", got)
		}
		s.to(nodeC, 0).stored(wire.ReplicaOK)
	})
}

func TestExpiryIsSetOnceByTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		now := time.Now().UnixMilli()
		cases := []struct {
			name        string
			kind        kv.Kind
			ttl, bucket int64
			want        int64
		}{
			{"none", kv.KindValue, 0, 0, 0},
			{"the request's", kv.KindValue, 50, 900, now + 50},
			{"the bucket's", kv.KindValue, 0, 900, now + 900},
			{"none, against the bucket's", kv.KindValue, -1, 900, 0},
			{"a tombstone never expires", kv.KindTombstone, 50, 900, 0},
		}
		for _, c := range cases {
			req := putting("v")
			req.Kind, req.TTL, req.Bucket.TTL = c.kind, c.ttl, c.bucket
			if got := s.c.expiry(req); got != c.want {
				t.Errorf("%s: %d, want %d", c.name, got, c.want)
			}
		}
	})
}
