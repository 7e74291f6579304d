// SPDX-License-Identifier: Apache-2.0

package node

import (
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
