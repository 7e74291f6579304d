// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"testing"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/replica"
	"github.com/dyno-kv/dyno/wire"
)

// purging is a stage whose node gave a write its dot under purge epoch 2, and is at the
// epoch of now whenever it is asked for what it holds.
func purging(t testing.TB, now func() kv.PurgeEpoch) *stage {
	s := newStage(t)
	var minted kv.Object
	s.mint = func(req *replica.MintRequest) {
		m := s.issue(req)
		m.Epoch, minted = 2, m.Object
		req.Minted(m)
		req.Done(m)
	}
	s.localRead = func(req *wire.ReadRequest) wire.ReadReply {
		if req.Mode != wire.ReadFull {
			t.Errorf("mode %d", req.Mode)
		}
		at := standing(nodeA)
		at.Epoch = now()
		return wire.ReadReply{
			Standing: at, Code: wire.ReplicaOK,
			// What was written beside it since goes with it.
			Object: kv.Merge(minted, version(nodeC, 9, "beside")),
		}
	}
	return s
}

// stale refuses a copy as read under an epoch before 3.
func (c *call) stale() {
	at := standing(c.node)
	at.Epoch = 3
	c.onStore(wire.StoreReply{Standing: at, Code: wire.ReplicaStaleEpoch}, nil)
}

// refusing lets a node refuse copies that were read under another epoch than 3.
func (s *stage) refusing(node kv.NodeID) {
	s.auto[node] = func(c *call) {
		if c.store.Epoch < 3 {
			c.stale()
		} else {
			c.stored(wire.ReplicaOK)
		}
	}
}

// A write whose coordinator slept past a purge: what it read then is refused. It reads
// again, and sends what it holds now.
func TestTrapS11APutThatIsRefusedAsOfAnOldEpochIsReadAndSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := purging(t, func() kv.PurgeEpoch { return 3 })
		s.refusing(nodeB)
		s.refusing(nodeC)
		req := putting("v")
		req.W = 3
		got, err := s.put(within(t), req).wait()
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range []kv.NodeID{nodeB, nodeC} {
			copies := s.copies(node)
			if len(copies) != 2 || copies[0].Epoch != 2 || copies[1].Epoch != 3 ||
				!copies[1].Object.Context.Contains(got.Dot) || len(copies[1].Object.Versions) != 2 {
				t.Errorf("node %d was sent %+v", node, copies)
			}
		}
		if len(got.Object.Versions) != 1 {
			t.Errorf("the writer is told of %d versions", len(got.Object.Versions))
		}
	})
}

// The coordinator itself may adopt the epoch last: until then it has nothing newer to send.
func TestAPutWaitsUntilItsOwnNodeHasAdoptedTheEpoch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		s := purging(t, func() kv.PurgeEpoch {
			if time.Since(began) < 300*time.Millisecond {
				return 2
			}
			return 3
		})
		s.refusing(nodeB)
		s.holding(nodeC, kv.Object{})
		req := putting("v")
		req.W = 3
		if _, err := s.put(within(t), req).wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 300*time.Millisecond || took > time.Second {
			t.Errorf("after %v", took)
		}
		if n := len(s.copies(nodeB)); n != 2 {
			t.Errorf("%d copies were sent, want one refused and one stored", n)
		}
	})
}

// A node that never adopts it, or does not hold the write any more, sends nothing; all ends
// in time, and the reason is told.
func TestAPutThatStaysOldIsRefusedInTheEnd(t *testing.T) {
	for name, holds := range map[string]bool{"behind": true, "gone": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := purging(t, func() kv.PurgeEpoch { return 2 })
				if !holds {
					s.localRead = func(*wire.ReadRequest) wire.ReadReply {
						at := standing(nodeA)
						at.Epoch = 3
						return wire.ReadReply{Standing: at, Code: wire.ReplicaOK}
					}
				}
				s.refusing(nodeB)
				s.holding(nodeC, kv.Object{})
				req := putting("v")
				req.W = 3
				began := time.Now()
				_, err := s.put(within(t), req).wait()
				if codeIn(err) != wire.CodeQuorum || time.Since(began) > 3*time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				if n := len(s.copies(nodeB)); n != 1 {
					t.Errorf("%d copies were sent", n)
				}
				if err := s.c.Drain(within(t)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// An atomic read that is to write back what it read under an old epoch starts over.
func TestTrapS11AWriteBackOfAnOldEpochIsReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		epoch := kv.PurgeEpoch(2)
		at := func(node kv.NodeID) wire.Standing {
			st := standing(node)
			st.Epoch = epoch
			return st
		}
		s.localRead = func(*wire.ReadRequest) wire.ReadReply {
			return wire.ReadReply{Standing: at(nodeA), Code: wire.ReplicaOK}
		}
		for _, node := range s.others() {
			s.auto[node] = func(c *call) {
				switch {
				case c.onRead != nil:
					c.showAt(version(nodeB, 1, "v"), epoch)
				default:
					t.Error("it was written back to who has it")
				}
			}
		}
		s.storeCode = wire.ReplicaStaleEpoch
		s.onStored = func() { epoch, s.storeCode = 3, wire.ReplicaOK }
		req := getting()
		req.Atomic, req.R = true, kv.LevelAll
		got, err := s.get(req).wait()
		if err != nil || len(got.Versions) != 1 {
			t.Errorf("%q, %v", values(got), err)
		}
	})
}

func TestTrapS11PagesOfDifferentPurgeEpochsAreReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStage(t)
		zombie := shelf{"k": version(nodeB, 1, "zombie")}
		s.shelves(shelf{}, zombie, zombie)
		old := map[kv.NodeID]func(*call){nodeB: s.auto[nodeB], nodeC: s.auto[nodeC]}
		s.localScan = func(*wire.ScanRequest) wire.ScanReply {
			at := standing(nodeA)
			at.Epoch = 3
			return wire.ScanReply{Standing: at, Code: wire.ReplicaOK}
		}
		behind := map[kv.NodeID]int{nodeB: 1, nodeC: 1} // times that each shows what it had
		for node, before := range old {
			s.auto[node] = func(c *call) {
				if behind[node]--; behind[node] >= 0 {
					before(c)
					return
				}
				at := standing(node)
				at.Epoch = 3
				c.onScan(wire.ScanReply{Standing: at, Code: wire.ReplicaOK}, nil)
			}
		}
		got, complete := s.all(&ScanRequest{Bucket: bucket(), Limit: 10})
		if !complete || len(got) > 0 {
			t.Errorf("%q, complete %v", got, complete)
		}
		behind[nodeB], behind[nodeC] = 1000, 0 // one never catches up: the other is asked
		if got, complete := s.all(&ScanRequest{Bucket: bucket(), Limit: 10}); !complete || len(got) > 0 {
			t.Errorf("where one stays behind: %q, complete %v", got, complete)
		}
	})
}

// A read that meets an owner which has purged a tombstone, and one that has yet to, does not
// bring it back to the first. A value that it covers is deleted, as ever.
func TestTrapG4AReadGivesNoTombstoneToWhoHasNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			local, near kv.Object
			copies      int
		}{
			"nothing here":  {kv.Object{}, tombstone(nodeB, 2, dot(nodeB, 1)), 0},
			"nothing there": {tombstone(nodeB, 2, dot(nodeB, 1)), kv.Object{}, 0},
			"a value here":  {version(nodeB, 1, "v"), tombstone(nodeB, 2, dot(nodeB, 1)), 1},
			"a value there": {tombstone(nodeB, 2, dot(nodeB, 1)), version(nodeB, 1, "v"), 1},
			"a key":         {kv.Object{}, version(nodeB, 1, "v"), 1},
		} {
			s := newStage(t)
			s.local(c.local)
			near := s.others()[0]
			s.holding(near, c.near)
			if got, err := s.get(getting()).wait(); err != nil {
				t.Errorf("%s: %q, %v", name, values(got), err)
			}
			if n := len(s.copies(near)) + len(s.copies(nodeA)); n != c.copies {
				t.Errorf("%s: %d copies were sent, want %d", name, n, c.copies)
			}
		}
	})
}
