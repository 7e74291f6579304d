// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// shelf is one replica's keys; a page of it is made as a replica makes one.
type shelf map[string]kv.Object

func (s shelf) page(ring func([]byte) uint16, req *wire.ScanRequest) wire.ScanReply {
	var keys []string
	for key := range s {
		if ring([]byte(key)) == req.Partition && key > string(req.Key) &&
			bytes.HasPrefix([]byte(key), req.Prefix) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	reply := wire.ScanReply{Code: wire.ReplicaOK}
	for _, key := range keys {
		if len(reply.Entries) == int(req.Limit) {
			reply.More = true
			break
		}
		o := s[key]
		if req.Mode == wire.ReadBare {
			o = o.WithoutValues()
		}
		reply.Entries = append(reply.Entries, wire.ScanEntry{Key: []byte(key), Object: o})
	}
	return reply
}

// shelves lets the three replicas hold keys.
func (s *stage) shelves(a, b, c shelf) {
	at := func(key []byte) uint16 { return s.ring.PartitionOf(1, key) }
	s.localScan = func(req *wire.ScanRequest) wire.ScanReply {
		r := a.page(at, req)
		r.Standing = standing(nodeA)
		return r
	}
	for node, shelf := range map[kv.NodeID]shelf{nodeB: b, nodeC: c} {
		s.auto[node] = func(call *call) {
			r := shelf.page(at, call.scan)
			r.Standing = standing(node)
			call.onScan(r, nil)
		}
	}
}

// all scans from the start, page by page.
func (s *stage) all(req *ScanRequest) (keys []string, complete bool) {
	s.t.Helper()
	complete = true
	for pages := 0; ; pages++ {
		page, err := s.c.Scan(within(s.t), req)
		if err != nil || len(page.Entries) > req.Limit || pages > 500 {
			s.t.Fatalf("page %d: %d entries, %v", pages, len(page.Entries), err)
		}
		for _, e := range page.Entries {
			keys = append(keys, string(e.Key))
		}
		complete = complete && page.Complete
		if !page.More {
			return keys, complete
		}
		req.Start = page.Next
	}
}

func (s *stage) inOrder(keys []string) []string {
	sort.Slice(keys, func(i, j int) bool {
		p, q := s.ring.PartitionOf(1, []byte(keys[i])), s.ring.PartitionOf(1, []byte(keys[j]))
		return p < q || p == q && keys[i] < keys[j]
	})
	return keys
}

// Pages of r replicas that hold different keys give every key once, in order, whatever
// the limit.
func TestScansMergeDivergingPages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		a, b, c := shelf{}, shelf{}, shelf{}
		var want []string
		for i := range 60 {
			key := fmt.Sprintf("key-%02d", i)
			o := version(nodeB, uint64(i+1), key)
			switch i % 6 { // every key is on two replicas, so that two of three show it
			case 0:
				a[key], b[key] = o, o
			case 1:
				b[key], c[key] = o, o
			case 2:
				a[key], c[key] = o, o
			case 3: // deleted, and one replica has not heard of it
				a[key] = o
				b[key] = tombstone(nodeB, 100+uint64(i), dot(nodeB, uint64(i+1)))
				c[key] = b[key]
				continue
			case 4: // expired
				a[key], b[key], c[key] = expired(nodeB, uint64(i+1)), expired(nodeB, uint64(i+1)), expired(nodeB, uint64(i+1))
				continue
			default: // of another prefix
				a["other"+key], b["other"+key], c["other"+key] = o, o, o
				continue
			}
			want = append(want, key)
		}
		s.shelves(a, b, c)
		want = s.inOrder(want)
		for _, limit := range []int{1, 2, 3, 7, 100} {
			for _, keysOnly := range []bool{false, true} {
				got, complete := s.all(&ScanRequest{
					Bucket: bucket(), Prefix: []byte("key-"), Limit: limit, KeysOnly: keysOnly,
				})
				if !complete || !cmp.Equal(got, want) {
					t.Errorf("limit %d: complete %v:\n%s", limit, complete, cmp.Diff(want, got))
				}
			}
		}
	})
}

func TestScansSkipPartitionsThatCanNotBeReadAndSaySo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		all := shelf{}
		for i := range 40 {
			all[fmt.Sprint(i)] = version(nodeB, uint64(i+1), "v")
		}
		s.shelves(all, all, all)
		for _, node := range s.others() {
			serve := s.auto[node]
			s.auto[node] = func(c *call) {
				if c.scan.Partition == 1 {
					c.fail(errLost)
					return
				}
				serve(c)
			}
		}
		var want []string
		for key := range all {
			if s.ring.PartitionOf(1, []byte(key)) != 1 {
				want = append(want, key)
			}
		}
		got, complete := s.all(&ScanRequest{Bucket: bucket(), Limit: 10})
		if complete || !cmp.Equal(got, s.inOrder(want)) {
			t.Errorf("complete %v:\n%s", complete, cmp.Diff(want, got))
		}
	})
}

// A replica whose page never ends would keep a scan for ever at one place; one whose
// record is damaged must not be taken for one that has not got the key.
func TestPagesThatMakeNoSenseDoNotCount(t *testing.T) {
	for name, reply := range map[string]wire.ScanReply{
		"empty and not the last": {Code: wire.ReplicaOK, More: true},
		"damaged":                {Code: wire.ReplicaUnreadable},
		"another instance":       {Code: wire.ReplicaOK, Standing: wire.Standing{Instance: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStage(t)
				all := shelf{"k": version(nodeB, 1, "v")}
				s.shelves(all, all, all)
				near := s.others()[0]
				s.auto[near] = func(c *call) {
					if reply.Instance == 0 {
						reply.Standing = standing(near)
					}
					c.onScan(reply, nil)
				}
				got, complete := s.all(&ScanRequest{Bucket: bucket(), Limit: 10})
				if !complete || !cmp.Equal(got, []string{"k"}) {
					t.Errorf("%q, complete %v", got, complete)
				}
			})
		})
	}
}

func TestASlowReplicaOfAScanIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		all := shelf{"k": version(nodeB, 1, "v")}
		s.shelves(all, all, all)
		near := s.others()[0]
		var open []*call
		s.auto[near] = func(c *call) { open = append(open, c) }
		began := time.Now()
		page, err := s.c.Scan(within(t), &ScanRequest{Bucket: bucket(), Limit: 10})
		if err != nil || !page.Complete || time.Since(began) > s.c.cfg.ScanTime*5/4 {
			t.Errorf("%+v, %v after %v", page, err, time.Since(began))
		}
		for _, c := range open {
			c.fail(errLost)
		}
	})
}

// What has been read when the client's time is over is the page.
func TestAScanReturnsWhatItHasWhenTimeIsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		all := shelf{}
		for i := range 40 {
			all[fmt.Sprint(i)] = version(nodeB, uint64(i+1), "v")
		}
		s.shelves(all, all, all)
		var open []*call
		for _, node := range s.others() {
			serve := s.auto[node]
			s.auto[node] = func(c *call) {
				if c.scan.Partition > 0 {
					open = append(open, c)
					return
				}
				serve(c)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		page, err := s.c.Scan(ctx, &ScanRequest{Bucket: bucket(), Limit: 100})
		if err != nil || !page.More || page.Next.Partition != 1 || len(page.Entries) == 0 {
			t.Errorf("%+v, %v", page, err)
		}
		_, err = s.c.Scan(ctx, &ScanRequest{Bucket: bucket(), Limit: 100, Start: page.Next})
		if codeIn(err) != wire.CodeTimeout {
			t.Errorf("without a key: %v", err)
		}
		for _, c := range open {
			c.fail(errLost)
		}
	})
}

func TestScansAcrossPurgeEpochsAreNotMerged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		all := shelf{"k": version(nodeB, 1, "zombie")}
		s.shelves(shelf{}, all, all)
		s.localScan = func(*wire.ScanRequest) wire.ScanReply {
			purged := standing(nodeA)
			purged.Epoch = 2
			return wire.ScanReply{Standing: purged, Code: wire.ReplicaOK}
		}
		if got, complete := s.all(&ScanRequest{Bucket: bucket(), Limit: 10}); complete || len(got) > 0 {
			t.Errorf("%q, complete %v", got, complete)
		}
	})
}

// Values that are not sent take no room in a page.
func TestPagesOfKeysDoNotEndForTheSizeOfValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		all := shelf{}
		for i := range 40 {
			key := fmt.Sprint(i)
			all[key] = version(nodeB, uint64(i+1), strings.Repeat(key, scanBytes/20))
		}
		s.shelves(all, all, all)
		req := &ScanRequest{Bucket: bucket(), Limit: 100, KeysOnly: true}
		page, err := s.c.Scan(within(t), req)
		if err != nil || page.More || len(page.Entries) != len(all) {
			t.Errorf("%d keys, more %v, %v", len(page.Entries), page.More, err)
		}
		req.KeysOnly = false
		if page, err = s.c.Scan(within(t), req); err != nil || !page.More {
			t.Errorf("%d keys with their values in one page; %v", len(page.Entries), err)
		}
	})
}

func TestScansThatMakeNoSenseAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		for _, req := range []*ScanRequest{
			{Bucket: bucket(), Limit: 0}, {Bucket: bucket(), Limit: MaxScan + 1},
			{Bucket: bucket(), Limit: 1, Start: Cursor{Partition: 4}},
		} {
			if _, err := s.c.Scan(within(t), req); codeIn(err) != wire.CodeInvalid {
				t.Errorf("%+v: %v", req, err)
			}
		}
		s.ring = nil
		_, err := s.c.Scan(within(t), &ScanRequest{Bucket: bucket(), Limit: 1})
		if codeIn(err) != wire.CodeNotReady {
			t.Error(err)
		}
	})
}
