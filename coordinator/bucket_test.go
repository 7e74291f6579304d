// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// needOf is what the text of an error says was needed.
func needOf(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	need, _, _ := strings.Cut(e.Text, ",")
	return need
}

// refusing is a stage on which nobody serves a read, nor stores a copy.
func refusing(t *testing.T) *stage {
	s := newStage(t)
	s.localRead = func(*wire.ReadRequest) wire.ReadReply {
		return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaRefused}
	}
	s.localScan = func(*wire.ScanRequest) wire.ScanReply {
		return wire.ScanReply{Standing: standing(nodeA), Code: wire.ReplicaRefused}
	}
	s.mint = func(req *replica.MintRequest) {
		m := s.issue(req)
		req.Minted(m)
		m.Code, m.Detail = wire.ReplicaFailed, "the disk"
		req.Done(m)
	}
	for _, node := range s.others() {
		s.auto[node] = func(c *call) { c.fail(errLost) }
	}
	return s
}

// What a request does not say is the bucket's to say, for each of the requests there are;
// "quorum" and "all" are of n.
func TestBucketsDecideWhereRequestsDoNot(t *testing.T) {
	const need1, need2, need3 = "need 1", "need 2", "need 3"
	confirmed := func(need string, n int) string {
		return fmt.Sprintf("%s (%d of them confirmed owners)", need, n)
	}
	for _, tc := range []struct {
		name              string
		r, pr, w, pw      kv.Level // of the bucket
		read, write, both string   // both: of a delete that reads first
	}{
		{"the built-in levels", kv.LevelQuorum, kv.LevelZero, kv.LevelQuorum, kv.LevelZero,
			need2, need2, need2},
		{"one", kv.LevelOne, kv.LevelZero, kv.LevelOne, kv.LevelZero, need1, need1, need2},
		{"all", kv.LevelAll, kv.LevelZero, kv.LevelAll, kv.LevelZero, need3, need3, need3},
		{"numbers", 1, 1, 3, 2, confirmed(need1, 1), confirmed(need3, 2), confirmed(need3, 2)},
		{"pr and pw raise r and w", kv.LevelOne, kv.LevelQuorum, kv.LevelOne, kv.LevelAll,
			confirmed(need2, 2), confirmed(need3, 3), confirmed(need3, 3)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := bucket()
				b.R, b.PR, b.W, b.PW = tc.r, tc.pr, tc.w, tc.pw
				for what, got := range needs(t, b, levels{}) {
					want := tc.read
					switch what {
					case "put", "delete over a context":
						want = tc.write
					case "delete":
						want = tc.both
					}
					if got != want {
						t.Errorf("%s: %q, want %q", what, got, want)
					}
				}
			})
		})
	}
}

func TestRequestsThatSayTheirLevelsAreHeeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := bucket()
		b.R, b.PR, b.W, b.PW = kv.LevelAll, kv.LevelAll, kv.LevelAll, kv.LevelAll
		for what, got := range needs(t, b, levels{kv.LevelOne, kv.LevelZero}) {
			want := "need 1"
			switch what {
			case "scan": // has none of its own
				want = "need 3 (3 of them confirmed owners)"
			case "delete": // reads as the bucket does
				want = "need 3 (3 of them confirmed owners)"
			}
			if got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
	})
}

// levels are those of a request: r or w, pr or pw.
type levels struct{ need, owners kv.Level }

// needs is what each kind of request needed in vain.
func needs(t *testing.T, b kv.Bucket, l levels) map[string]string {
	s := refusing(t)
	got := make(map[string]string)
	ctx := within(t)
	read := GetRequest{Bucket: b, Key: []byte("k"), R: l.need, PR: l.owners}
	_, err := s.c.Get(ctx, &read)
	got["get"] = needOf(err)
	many := &GetManyRequest{GetRequest: read, Keys: [][]byte{[]byte("k")}}
	s.c.GetMany(ctx, many, func(_ int, g Got) bool { got["get_many"] = needOf(g.Err); return true })
	s.c.cfg.ScanTime = time.Second
	if current := s.c.cfg.Ring(); current != nil {
		_, err = s.c.scanPartition(ctx, &ScanRequest{Bucket: b, Limit: 1}, Cursor{}, 1)
		got["scan"] = needOf(err)
	}
	write := PutRequest{
		Bucket: b, Key: []byte("k"), Kind: kv.KindValue, Value: []byte("v"), W: l.need, PW: l.owners,
	}
	_, err = s.c.Put(ctx, &write)
	got["put"] = needOf(err)
	_, err = s.c.Delete(ctx, &write)
	got["delete"] = needOf(err)
	write.Seen, write.Informed = vclock.ContextOf(dot(nodeB, 1)), true
	_, err = s.c.Delete(ctx, &write)
	got["delete over a context"] = needOf(err)
	return got
}

// The bucket's time to live is that of values which do not say theirs.
func TestTheBucketsTimeToLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 9)
		at := c.hosts[nodeA]
		for _, lww := range []bool{false, true} {
			b := bucket()
			b.TTL, b.LWW = 10_000, lww
			live := func(key string) (n int) {
				o, err := at.coord.Get(within(t), &GetRequest{Bucket: b, Key: []byte(key)})
				if err != nil {
					t.Fatal(err)
				}
				return len(b.Shown(o, time.Now().UnixMilli()))
			}
			put := func(key string, ttl int64) {
				_, err := at.coord.Put(within(t), &PutRequest{
					Bucket: b, Key: []byte(key), Kind: kv.KindValue, Value: []byte("v"), TTL: ttl,
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			put("bucket's", 0)
			put("shorter", 1_000)
			put("longer", 60_000)
			put("for ever", -1)
			put("deleted", -1)
			gone := &PutRequest{Bucket: b, Key: []byte("deleted"), TTL: 5_000}
			if _, err := at.coord.Delete(within(t), gone); err != nil {
				t.Fatal(err)
			}
			steps := []struct {
				after time.Duration
				keys  map[string]int
			}{
				{500 * time.Millisecond, map[string]int{
					"bucket's": 1, "shorter": 1, "longer": 1, "for ever": 1, "deleted": 0}},
				{2 * time.Second, map[string]int{"bucket's": 1, "shorter": 0, "longer": 1}},
				{9 * time.Second, map[string]int{"bucket's": 0, "longer": 1, "deleted": 0}},
				{time.Minute, map[string]int{"longer": 0, "for ever": 1, "deleted": 0}},
			}
			for _, step := range steps {
				time.Sleep(step.after)
				for key, want := range step.keys {
					if n := live(key); n != want {
						t.Errorf("lww=%v: %s has %d versions after %v, want %d", lww, key, n, step.after, want)
					}
				}
			}
		}
	})
}

// A tombstone never expires, whatever the bucket says: what it covers would come back.
func TestTombstonesDoNotExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		for _, node := range s.others() {
			s.holding(node, kv.Object{})
		}
		b := bucket()
		b.TTL = 1000
		_, err := s.delete(&PutRequest{
			Bucket: b, Key: []byte("k"), Seen: vclock.ContextOf(dot(nodeB, 1)), Informed: true, TTL: 77,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, copied := range s.copies(nodeB) {
			for _, v := range copied.Object.Versions {
				if v.Kind != kv.KindTombstone || v.ExpiresAt != 0 {
					t.Errorf("%v expires at %d", v.Kind, v.ExpiresAt)
				}
			}
		}
		if n := len(s.copies(nodeB)); n != 1 {
			t.Errorf("%d copies were sent", n)
		}
	})
}

// noBucket is what an owner says of a bucket that the group has deleted.
func noBucket(s *stage) {
	s.localRead = func(*wire.ReadRequest) wire.ReadReply {
		return wire.ReadReply{Standing: standing(nodeA), Code: wire.ReplicaNoBucket, Detail: "deleted"}
	}
	s.localScan = func(*wire.ScanRequest) wire.ScanReply {
		return wire.ScanReply{Standing: standing(nodeA), Code: wire.ReplicaNoBucket, Detail: "deleted"}
	}
	s.mint = func(req *replica.MintRequest) {
		req.Done(replica.MintReply{
			Standing: standing(nodeA), Code: wire.ReplicaNoBucket, Err: replica.ErrNoBucket,
			Detail: "deleted",
		})
	}
	for _, node := range s.others() {
		s.auto[node] = saysDeleted
	}
}

func saysDeleted(c *call) {
	at := standing(c.node)
	switch {
	case c.onRead != nil:
		c.onRead(wire.ReadReply{Standing: at, Code: wire.ReplicaNoBucket, Detail: "deleted"}, nil)
	case c.onScan != nil:
		c.onScan(wire.ScanReply{Standing: at, Code: wire.ReplicaNoBucket, Detail: "deleted"}, nil)
	default:
		c.onStore(wire.StoreReply{Standing: at, Code: wire.ReplicaNoBucket, Detail: "deleted"}, nil)
	}
}

func TestABucketThatIsDeletedUnderARequestIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		noBucket(s)
		ctx := within(t)
		scan := func() error {
			_, err := s.c.Scan(ctx, &ScanRequest{Bucket: bucket(), Limit: 10})
			return err
		}
		for what, f := range map[string]func() error{
			"get":    func() error { _, err := s.c.Get(ctx, getting()); return err },
			"put":    func() error { _, err := s.c.Put(ctx, putting("v")); return err },
			"delete": func() error { _, err := s.c.Delete(ctx, putting("")); return err },
			"scan":   scan,
		} {
			if err := f(); codeIn(err) != wire.CodeNoSuchBucket {
				t.Errorf("%s: %v", what, err)
			}
		}
		if n := len(s.copies(nodeB)) + len(s.copies(nodeC)); n != 0 {
			t.Errorf("%d copies were sent", n)
		}
	})
}

// Where not every replica says so, nobody can tell; the entries say who said what.
func TestABucketThatSomeHaveHeardIsDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		others := s.others()
		s.auto[others[0]] = saysDeleted
		s.auto[others[1]] = func(c *call) { c.fail(errLost) }
		for what, f := range map[string]func() error{
			"get": func() error { _, err := s.get(getting()).wait(); return err },
			"put": func() error { _, err := s.put(within(t), putting("v")).wait(); return err },
		} {
			err := f()
			if codeIn(err) != wire.CodeQuorum || !strings.Contains(err.Error(), "refused, deleted") {
				t.Errorf("%s: %v", what, err)
			}
		}
		s.holding(others[1], kv.Object{})
		if _, err := s.get(getting()).wait(); err != nil {
			t.Errorf("two of three serve it: %v", err)
		}
	})
}

// The whole path with real replicas: what the group has deleted is not there, another
// bucket with the same keys is.
func TestADeletedBucketOverRealReplicas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCluster(t, 10)
		doomed := bucket()
		doomed.ID = 12
		for _, b := range []kv.Bucket{doomed, bucket()} {
			req := putting("v")
			req.Bucket = b
			if _, err := c.hosts[nodeA].coord.Put(within(t), req); err != nil {
				t.Fatal(err)
			}
		}
		c.gone.Store(uint32(doomed.ID))
		for node, h := range c.hosts {
			req := getting()
			req.Bucket = doomed
			if _, err := h.coord.Get(within(t), req); codeIn(err) != wire.CodeNoSuchBucket {
				t.Errorf("get at %d: %v", node, err)
			}
			write := putting("w")
			write.Bucket = doomed
			if _, err := h.coord.Put(within(t), write); codeIn(err) != wire.CodeNoSuchBucket {
				t.Errorf("put at %d: %v", node, err)
			}
			if n, err := h.present().RemoveDeleted(context.Background()); n != 1 || err != nil {
				t.Errorf("removed %d at %d, %v", n, node, err)
			}
			got, err := h.coord.Get(within(t), getting())
			if err != nil || len(values(got)) != 1 {
				t.Errorf("the other bucket at %d: %q, %v", node, values(got), err)
			}
		}
	})
}
