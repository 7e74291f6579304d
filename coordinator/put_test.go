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

// A value lives for its time at least: what is beyond a whole millisecond counts as one
// (found by the simulator: values went a part of a millisecond too early).
func TestAValueIsNotGoneBeforeItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		time.Sleep(100*time.Microsecond + 1)
		ends := time.Now().Add(50 * time.Millisecond)
		req := putting("v")
		req.TTL = 50
		v := kv.Version{Kind: kv.KindValue, ExpiresAt: s.c.expiry(req)}
		for _, early := range []time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond} {
			if v.Expired(ends.Add(-early).UnixMilli()) {
				t.Errorf("%v too early", early)
			}
		}
		if !v.Expired(ends.Add(time.Millisecond).UnixMilli()) {
			t.Error("not gone a millisecond after its time")
		}
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
