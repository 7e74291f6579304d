// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// kept is how many hints and markers a member has.
func (m *member) kept() (n int) {
	for _, c := range m.life.node.data.Load().replica.HintStatus().Cells {
		n += c.Hints + c.Markers
	}
	return n
}

// holds is how many keys with a prefix a member has as its own.
func (m *member) holds(prefix string) (n int) {
	for p := range m.life.node.ringOf().Partitions() {
		entries, _, err := m.life.node.store.Scan(
			uint16(p), kv.DefaultBucket, []byte(prefix), nil, 1000, 1<<30, storage.ModeBare)
		must(m.rig.t, err)
		n += len(entries)
	}
	return n
}

// TestWhatAMemberMissedComesToItByHints: to one of three from the owners that coordinated,
// to one of four from the fallback too; it needs nobody to read anything, and outlives
// restarts of whoever keeps the hints.
func TestWhatAMemberMissedComesToItByHints(t *testing.T) {
	for _, members := range []int{3, 4} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, members, 3)
				r.startAll()
				down, s := r.members[1], r.members[0].client()
				down.kill(true)
				time.Sleep(10 * time.Second)
				const keys = 200
				for i := range keys {
					must(t, s.put(wire.PutRequest{Key: fmt.Appendf(nil, "k-%03d", i), Value: []byte("v")}))
				}
				time.Sleep(10 * time.Second)
				kept := 0
				for i, m := range r.members {
					if i != 1 {
						kept += m.kept()
					}
				}
				want := keys
				if members == 4 {
					want = keys * 3 / 5 // about three of four keys are the member's
				}
				if kept < want {
					t.Errorf("%d hints and markers are kept for %d keys", kept, keys)
				}
				last := r.members[members-1]
				last.kill(true)
				last.start()
				down.start()
				r.awaitReady()
				eventually(t, time.Minute, "all is delivered", func() bool {
					for _, m := range r.members {
						if m.kept() != 0 {
							return false
						}
					}
					return true
				})
				held := 0
				for _, m := range r.members {
					held += m.holds("k-")
				}
				if held != 3*keys {
					t.Errorf("the members hold %d copies of %d keys", held, keys)
				}
				if members == 3 && down.holds("k-") != keys {
					t.Errorf("the member has %d of %d keys", down.holds("k-"), keys)
				}
			})
		})
	}
}

// waitForHints asks a member for hints.wait until it is done.
func waitForHints(t *testing.T, s *session, most time.Duration) (last wire.HintsWaitResult) {
	t.Helper()
	for end := time.Now().Add(most); ; {
		q := wire.HintsWaitRequest{Point: last.Point}
		b, err := s.Call(context.Background(), wire.MethodHintsWait, func(dst []byte) []byte {
			return wire.AppendHintsWaitRequest(dst, &q)
		})
		must(t, err)
		must(t, wire.DecodeHintsWaitResult(b, &last))
		if last.Done || time.Now().After(end) {
			return last
		}
	}
}

// TestAWaitForHintsIsAPointInTime: what was acknowledged before it is on all its owners
// when it ends, whoever was down meanwhile.
func TestAWaitForHintsIsAPointInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 5, 3)
		r.tune = func(cfg *Config) { // nothing else shall bring it
			cfg.Exchange.Period, cfg.Exchange.Retry = 24*time.Hour, 24*time.Hour
		}
		r.startAll()
		s := r.members[0].client()
		if got := waitForHints(t, s, time.Minute); !got.Done {
			t.Fatalf("with nothing to wait for: %+v", got)
		}
		down := r.members[2]
		down.kill(true)
		const keys = 100
		for i := range keys {
			eventually(t, time.Minute, "it is written", func() bool {
				return s.put(wire.PutRequest{Key: fmt.Appendf(nil, "k-%03d", i), Value: []byte("v")}) == nil
			})
		}
		got := waitForHints(t, s, 20*time.Second)
		if got.Done || got.Hints+got.Markers == 0 || len(got.Missing) != 1 || got.Missing[0] != "n3" {
			t.Errorf("while a member is down: %+v", got)
		}
		b, err := s.Call(context.Background(), wire.MethodHintsStatus, func(dst []byte) []byte {
			return wire.AppendEmptyRequest(dst, &wire.EmptyRequest{})
		})
		must(t, err)
		var status wire.HintsStatusResult
		must(t, wire.DecodeHintsStatusResult(b, &status))
		for i, n := range status.Nodes {
			if n.Node != fmt.Sprint("n", i+1) || (n.Reason != "") != (i == 2) || n.Counted != (i != 2) {
				t.Errorf("%+v", n)
			}
			for _, b := range n.Backlog {
				if b.Peer != "n3" || b.Hints+b.Markers == 0 || b.Bytes == 0 {
					t.Errorf("%s: %+v", n.Node, b)
				}
			}
		}
		down.start()
		r.awaitReady()
		if got = waitForHints(t, r.members[1].client(), time.Minute); !got.Done {
			t.Fatalf("when it is back: %+v", got)
		}
		held := 0
		for _, m := range r.members {
			held += m.holds("k-")
		}
		if held != 3*keys {
			t.Errorf("the members hold %d copies of %d keys", held, keys)
		}
	})
}
