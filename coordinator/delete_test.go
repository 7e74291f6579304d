// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func (s *stage) delete(req *PutRequest) (vclock.Context, error) {
	ctx := within(s.t)
	return begin(func() (vclock.Context, error) {
		done, err := s.c.Delete(ctx, req)
		return done.Context, err
	}).wait()
}

func expired(node kv.NodeID, counter uint64) kv.Object {
	v := kv.Version{
		Dot: dot(node, counter), Kind: kv.KindValue, Value: []byte("old"),
		ExpiresAt: time.Now().UnixMilli() - 1,
	}
	o, err := kv.Object{}.Put(v.Sealed(), vclock.Context{})
	if err != nil {
		panic(err)
	}
	return o
}

// A delete without context deletes what a quorum read finds, and writes nothing where
// that finds nothing; one with a context deletes exactly what it covers (TRAPS C13).
func TestTrapC13Deletes(t *testing.T) {
	one, two := version(nodeB, 1, "1"), version(nodeC, 1, "2")
	gone := tombstone(nodeB, 2, dot(nodeB, 1))
	cases := []struct {
		name          string
		local, remote func() kv.Object
		seen          vclock.Context
		writes        bool
		covers        []vclock.Dot
	}{
		{"nothing there", nothing, nothing, vclock.Context{}, false, nil},
		{"a value everywhere", is(one), is(one), vclock.Context{}, true, []vclock.Dot{dot(nodeB, 1)}},
		{"different values", is(one), is(two), vclock.Context{}, true,
			[]vclock.Dot{dot(nodeB, 1), dot(nodeC, 1)}},
		{"deleted everywhere", is(gone), is(gone), vclock.Context{}, false, nil},
		{"expired everywhere", func() kv.Object { return expired(nodeB, 1) },
			func() kv.Object { return expired(nodeB, 1) }, vclock.Context{}, false, nil},
		{"deleted here, a value there", is(gone), is(one), vclock.Context{}, true,
			[]vclock.Dot{dot(nodeB, 2)}},
		{"deleted here, never heard of there", is(gone), nothing, vclock.Context{}, true,
			[]vclock.Dot{dot(nodeB, 2)}},
		{"with a context", is(one), is(two), one.Context, true, []vclock.Dot{dot(nodeB, 1)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				s.local(c.local())
				for _, node := range s.others() {
					s.holding(node, c.remote())
				}
				req := putting("must not matter")
				req.Seen = c.seen
				covers, err := s.delete(req)
				if err != nil {
					t.Fatal(err)
				}
				written := s.copies(nodeB)
				if (len(written) == 1) != c.writes {
					t.Fatalf("%d tombstones were sent", len(written))
				}
				for _, d := range c.covers {
					if !covers.Contains(d) {
						t.Errorf("the context %v does not cover %s", covers, d)
					}
				}
				if !c.writes {
					return
				}
				v, found := written[0].Object.Find(dot(nodeA, 1))
				if !found || v.Kind != kv.KindTombstone || len(v.Value) != 0 {
					t.Errorf("wrote %+v", written[0].Object)
				}
				if c.seen.IsEmpty() == false && written[0].Object.Context.Contains(dot(nodeC, 1)) {
					t.Error("it deleted what its context does not cover")
				}
				if req.Kind != kv.KindValue || len(req.Value) == 0 {
					t.Error("the caller's request was changed")
				}
			})
		})
	}
}

func is(o kv.Object) func() kv.Object { return func() kv.Object { return o } }
func nothing() kv.Object              { return kv.Object{} }

// A retry whose first try deleted everywhere it was read counts its w afresh: the first
// may have reached fewer owners than w.
func TestARetriedDeleteCountsAfresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		gone := tombstone(nodeA, 5, dot(nodeB, 1))
		gone.Versions[0].Request = kv.RequestID{3}
		gone.Versions[0] = gone.Versions[0].Sealed()
		s.minted = 5
		s.local(gone)
		for _, node := range s.others() {
			s.holding(node, gone)
		}
		req := putting("")
		req.Request = kv.RequestID{3}
		if _, err := s.delete(req); err != nil || len(s.copies(nodeB)) != 1 {
			t.Errorf("%d copies were sent; %v", len(s.copies(nodeB)), err)
		}
	})
}

// The read of a delete sees as many replicas and owners as any read of the bucket would,
// and as the delete's own w and pw.
func TestDeletesReadAsStrictlyAsTheyWrite(t *testing.T) {
	type levels struct{ r, w, pr, pw kv.Level }
	cases := []struct {
		name        string
		bucket, own levels
		asks        int // remote replicas
	}{
		{"sloppy", levels{}, levels{}, 1},
		{"w of one", levels{}, levels{w: kv.LevelOne}, 1},
		{"w of all", levels{}, levels{w: kv.LevelAll}, 2},
		{"pw of all", levels{}, levels{pw: kv.LevelAll}, 2},
		{"a bucket whose reads see all", levels{r: kv.LevelAll}, levels{}, 2},
		{"a bucket whose reads see all owners", levels{pr: kv.LevelAll}, levels{}, 2},
		{"a bucket that writes to all", levels{w: kv.LevelAll}, levels{}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				for _, node := range s.others() {
					s.holding(node, kv.Object{})
				}
				req := putting("")
				req.Bucket.R = c.bucket.r.Or(req.Bucket.R)
				req.Bucket.W = c.bucket.w.Or(req.Bucket.W)
				req.Bucket.PR = c.bucket.pr.Or(req.Bucket.PR)
				req.W, req.PW = c.own.w, c.own.pw
				if _, err := s.delete(req); err != nil {
					t.Error(err)
				}
				if got := s.count(nodeB) + s.count(nodeC); got != c.asks {
					t.Errorf("%d replicas were asked, want %d", got, c.asks)
				}
			})
		})
	}
}

// A delete that is tried again is answered with its first tombstone. What was written in
// between stands beside that, and a write with the context of the delete must not drop it.
func TestARetriedDeleteCoversNothingThatCameInBetween(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		at := c.hosts[nodeA].coord
		write := func(value string, seen vclock.Context) {
			t.Helper()
			req := putting(value)
			req.Seen = seen
			if _, err := at.Put(within(t), req); err != nil {
				t.Fatal(err)
			}
		}
		write("old", vclock.Context{})
		del := putting("")
		del.Request = kv.RequestID{9}
		if _, err := at.Delete(within(t), del); err != nil { // and the answer is lost
			t.Fatal(err)
		}
		write("in between", vclock.Context{})
		done, err := at.Delete(within(t), del)
		if err != nil {
			t.Fatal(err)
		}
		write("next", done.Context)
		got, err := at.Get(within(t), getting())
		if want := []string{"in between", "next"}; err != nil || !cmp.Equal(values(got), want) {
			t.Errorf("%q, %v, want %q", values(got), err, want)
		}
	})
}

func TestDeletesThatCanNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		for _, node := range s.others() {
			s.auto[node] = func(c *call) { c.fail(errLost) }
		}
		if _, err := s.delete(putting("")); codeIn(err) != wire.CodeQuorum {
			t.Error(err)
		}
		if s.minted != 0 {
			t.Error("it wrote without having read")
		}
		req := putting("")
		req.PW = kv.Level(9)
		if _, err := s.delete(req); codeIn(err) != wire.CodeInvalid {
			t.Error(err)
		}
		s.ring = nil
		if _, err := s.delete(putting("")); codeIn(err) != wire.CodeNotReady {
			t.Error(err)
		}
	})
}

// A get that found nothing gives a context that covers nothing, and a delete covers its
// context and nothing else (TRAPS C13 d): what somebody has put since then stays.
func TestTrapC13DeletesOverAContextOfNothingDeleteNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		one := version(nodeB, 1, "1")
		s.local(one)
		s.holding(nodeB, one)
		s.holding(nodeC, one)
		req := putting("")
		req.Informed = true
		covers, err := s.delete(req)
		if err != nil || !covers.IsEmpty() {
			t.Errorf("covers %v, %v", covers, err)
		}
		if n := len(s.copies(nodeA)) + len(s.copies(nodeB)) + len(s.copies(nodeC)); n != 0 {
			t.Errorf("%d copies were sent", n)
		}
		req.W = kv.Level(4)
		if _, err := s.delete(req); codeIn(err) != wire.CodeInvalid {
			t.Errorf("w = 4 of 3: %v", err)
		}
	})
}
