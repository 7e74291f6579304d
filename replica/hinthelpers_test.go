// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// wideRing is a ring of four members with three replicas, at placement 5: each of them is
// outside of a partition.
func wideRing(t testing.TB) *ring.Ring {
	t.Helper()
	state := newRing(t).State()
	var members []ring.Member
	for id := kv.NodeID(1); id <= 4; id++ {
		m := state.Members[0]
		m.ID, m.Name = id, fmt.Sprintf("n%d", id)
		m.Client, m.Peer = fmt.Sprintf("h%d:1", id), fmt.Sprintf("h%d:2", id)
		m.Gossip = fmt.Sprintf("h%d:3", id)
		members = append(members, m)
	}
	wide, err := ring.Form(state.Cluster, 3, partitions, members, 5)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.New(wide)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// beginWide starts a life in that ring, of a store that the group has accepted.
func beginWide(t testing.TB, s setup) *life {
	t.Helper()
	s.ring = wideRing(t)
	if s.verdict == 0 {
		s.verdict = kv.VerdictConfirmed
	}
	return begin(t, s)
}

// outer is the i-th key of a partition that this node is outside of, inner of one that it
// is a member of.
func (l *life) outer(i int) string { return l.keyIn(i, false) }
func (l *life) inner(i int) string { return l.keyIn(i, true) }

func (l *life) keyIn(i int, member bool) string {
	r := l.ring.Load()
	for n := 0; ; n++ {
		key := fmt.Sprintf("key-%d", n)
		if _, in := r.SlotOf(r.PartitionOf(1, []byte(key)), self); in == member {
			if i--; i < 0 {
				return key
			}
		}
	}
}

// hinting is a request to keep an object for the member of a slot.
func (l *life) hinting(key string, slot uint8, o kv.Object) *wire.StoreRequest {
	req := l.copying(key, o)
	req.Role, req.Slot = kv.RoleFallback, slot
	return req
}

// hint keeps one, and expects success.
func (l *life) hint(key string, slot uint8, o kv.Object) {
	l.t.Helper()
	if r := l.merge(l.hinting(key, slot, o)); r.Code != wire.ReplicaOK || r.Role != kv.RoleFallback {
		l.t.Fatalf("hint of %s: code %d as %s, %s", key, r.Code, r.Role, r.Detail)
	}
}

// mark keeps a marker, and reports whether it was kept.
func (l *life) mark(key string, slot uint8, lacks vclock.Context) bool {
	l.t.Helper()
	at, told := l.target(key), make(chan bool, 2)
	l.Mark(at.Partition, slot, 1, []byte(key), lacks, func(kept bool) { told <- kept })
	return <-told
}

// cell is where the hints of a key for a slot stand.
func (l *life) cell(key string, slot uint8) HintCell {
	return HintCell{l.target(key).Partition, slot}
}

// listed are all hints of a cell.
func (l *life) listed(at HintCell) []Hint {
	l.t.Helper()
	page, _, more, err := l.Hints(at, storage.Position{}, 1000, 1<<30)
	if err != nil || more {
		l.t.Fatalf("hints of %v: more %t, %v", at, more, err)
	}
	return page
}

// drop deletes a hint as its delivery does, and reports whether it is gone.
func (l *life) drop(h Hint, sent vclock.Context) bool {
	l.t.Helper()
	told := make(chan bool, 2)
	l.DropHint(&h, sent, func(gone bool) { told <- gone })
	return <-told
}

// counted expects the count of what is there, and that it is what the store holds.
func (l *life) counted() {
	l.t.Helper()
	if err := l.CountHints(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.checkBook()
}

// checkBook compares what the replica knows of its hints with what stands in the store.
func (l *life) checkBook() {
	l.t.Helper()
	want := hintBook{cells: make(map[HintCell]*hintTotals)}
	for p := range uint16(partitions) {
		for slot := range uint8(3) {
			at := HintCell{p, slot}
			err := l.store.In(storage.HintsFor(slot)).Fold(p,
				func(bucket kv.BucketID, key []byte, c storage.Current) bool {
					if c.State == storage.StateUnreadable {
						want.damage(at, hintName(at, bucket, key))
					} else {
						want.change(at, hintWeight{}, weightOf(key, &c.Object))
					}
					return true
				})
			if err != nil {
				l.t.Fatal(err)
			}
		}
	}
	got := l.HintStatus()
	if diff := cmp.Diff(want.tallies(), got.Cells); diff != "" {
		l.t.Errorf("the book differs from the store (-store +book):\n%s", diff)
	}
	if got.Bytes != want.bytes || l.hints.bytes != want.bytes {
		l.t.Errorf("%d bytes in the book, %d told, %d in the store", l.hints.bytes, got.Bytes, want.bytes)
	}
}
