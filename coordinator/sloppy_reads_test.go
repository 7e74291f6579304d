// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/quorum"
	"github.com/dyno-kv/dyno/wire"
)

// A fallback is asked only where owners are missing, what it holds counts for r and never
// for pr, that it holds nothing never counts, and it is never repaired.
func TestTrapS3AFallbacksNotFoundNeverCounts(t *testing.T) {
	hinted := version(nodeA, 1, "hinted")
	for _, c := range []struct {
		name   string
		change func(*GetRequest)
		holds  [2]kv.Object // D and E
		want   wire.Code
		values []string
	}{
		{"neither has it", func(*GetRequest) {}, [2]kv.Object{}, wire.CodeQuorum, nil},
		{"one has it", func(*GetRequest) {}, [2]kv.Object{{}, hinted}, "", []string{"hinted"}},
		{"all have it", func(r *GetRequest) { r.R = kv.LevelAll }, [2]kv.Object{hinted, hinted}, "",
			[]string{"hinted"}},
		{"pr", func(r *GetRequest) { r.PR = kv.LevelQuorum }, [2]kv.Object{hinted, hinted},
			wire.CodeUnavailable, nil},
		{"atomic", func(r *GetRequest) { r.Atomic = true }, [2]kv.Object{hinted, hinted},
			wire.CodeUnavailable, nil},
		{"strict", func(r *GetRequest) { r.Bucket.Sloppy = false }, [2]kv.Object{hinted, hinted},
			wire.CodeUnavailable, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.down[nodeB], s.down[nodeC] = true, true
				s.loses(errNotSent, nodeB, nodeC)
				s.holding(nodeD, c.holds[0])
				s.holding(nodeE, c.holds[1])
				req := getting()
				req.Bucket = sloppy()
				c.change(req)
				got, err := s.get(req).wait()
				if codeIn(err) != c.want || (err == nil && !cmp.Equal(values(got), c.values)) {
					t.Errorf("%q, %v, want %q", values(got), err, c.want)
				}
				if n := len(s.copies(nodeD)) + len(s.copies(nodeE)); n != 0 {
					t.Errorf("fallbacks were repaired %d times", n)
				}
			})
		})
	}
}

// An owner's not-found counts where a fallback's does not, and the fallback is not even
// asked while enough owners answer.
func TestFallbacksAreAskedWhereOwnersAreMissing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.holding(nodeB, kv.Object{})
		s.holding(nodeC, kv.Object{})
		req := getting()
		req.Bucket = sloppy()
		if got, err := s.get(req).wait(); err != nil || !got.IsZero() {
			t.Errorf("%v, %v", got, err)
		}
		s.loses(errLost, nodeB)
		if got, err := s.get(req).wait(); err != nil || !got.IsZero() {
			t.Errorf("with one owner lost: %v, %v", got, err)
		}
		if n := s.count(nodeD) + s.count(nodeE); n != 0 {
			t.Errorf("fallbacks were asked %d times", n)
		}
		delete(s.auto, nodeB)
		delete(s.auto, nodeC)
		req.PR = kv.LevelQuorum
		if _, err := s.get(req).wait(); codeIn(err) != wire.CodeTimeout || s.count(nodeD) > 0 {
			t.Errorf("pr = 2 of silent owners: %v, asked %d times", err, s.count(nodeD))
		}
		s.loses(errLost, nodeB, nodeC)
		req.PR = kv.LevelUnset
		s.holding(nodeD, version(nodeC, 1, "hinted"))
		if got, err := s.get(req).wait(); err != nil || !cmp.Equal(values(got), []string{"hinted"}) {
			t.Errorf("with two owners lost: %q, %v", values(got), err)
		}
		// The owner that lacks it is repaired, as ever.
		if list := s.copies(nodeA); len(list) != 1 || list[0].Role != kv.RoleOwner {
			t.Errorf("this node was sent %+v", list)
		}
	})
}

// A page of a fallback says nothing of the keys that are not on it, so a scan asks none,
// and a partition without r owners is left out of a page that says so.
func TestScansCountOwnersOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		s.down[nodeB], s.down[nodeC] = true, true
		s.localScan = func(*wire.ScanRequest) wire.ScanReply {
			return wire.ScanReply{Standing: standing(nodeA), Code: wire.ReplicaOK}
		}
		page, err := s.c.Scan(within(t), &ScanRequest{Bucket: sloppy(), Limit: 10})
		if err != nil || page.Complete {
			t.Errorf("%+v, %v", page, err)
		}
		s.down[nodeB], s.down[nodeC] = false, false
		s.auto[nodeB] = func(c *call) { c.fail(errLost) }
		s.auto[nodeC] = s.auto[nodeB]
		page, err = s.c.Scan(within(t), &ScanRequest{Bucket: sloppy(), Limit: 10})
		if err != nil || page.Complete || s.count(nodeD)+s.count(nodeE) != 0 {
			t.Errorf("%+v, %v; %d asked", page, err, s.count(nodeD)+s.count(nodeE))
		}
	})
}

// A bucket that is not sloppy hears nothing from a node outside of the slots, and takes
// nothing for an answer that a fallback gives; in a sloppy one the same counts.
func TestAStrictBucketTakesNoFallbacksCopy(t *testing.T) {
	for _, sloppy := range []bool{false, true} {
		t.Run(fmt.Sprint("sloppy=", sloppy), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				b := bucket()
				b.Sloppy = sloppy
				s.localRead = func(*wire.ReadRequest) wire.ReadReply {
					return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaRefused}
				}
				for node := nodeB; node <= nodeE; node++ {
					s.auto[node] = func(c *call) {
						as := standing(node)
						as.Role = kv.RoleFallback
						c.onRead(wire.ReadReply{
							Standing: as, Code: wire.ReplicaOK, Object: version(node, 1, "hinted"),
						}, nil)
					}
				}
				req := getting()
				req.Bucket, req.R = b, kv.LevelOne
				want := wire.CodeQuorum
				if sloppy {
					want = ""
				}
				if got, err := s.get(req).wait(); codeIn(err) != want {
					t.Errorf("answered %q, %v", values(got), err)
				}
				if asked := s.count(nodeD) > 0; asked != sloppy {
					t.Errorf("a node outside of the slots was asked: %v", asked)
				}
				p, err := s.c.planFor(b, []byte("k"), kv.LevelOne, kv.LevelZero)
				if err != nil || p.spec.Sloppy != sloppy {
					t.Fatalf("the round is sloppy: %v, %v", p.spec.Sloppy, err)
				}
				// A strict round seats none, also where they are named.
				p.spec.Fallbacks = []kv.NodeID{nodeD}
				if asks := failAll(t, p.spec); asks[nodeD] != sloppy {
					t.Errorf("the fallback was asked: %v", asks[nodeD])
				}
			})
		})
	}
}

// failAll lets everybody whom a read asks fail, and tells who that was.
func failAll(t *testing.T, spec quorum.Spec) map[kv.NodeID]bool {
	t.Helper()
	round, err := quorum.NewRead(spec)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(map[kv.NodeID]bool)
	for {
		target, more := round.Next()
		if !more {
			return asked
		}
		asked[target.Node] = true
		round.Add(quorum.Reply{Node: target.Node, Slot: target.Slot, Result: quorum.ResultFailed})
	}
}
