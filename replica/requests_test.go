// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

func requestID(n uint64) (id kv.RequestID) {
	binary.BigEndian.PutUint64(id[8:], n+1)
	return id
}

func requestOf(n uint64) requestKey { return requestKey{id: requestID(n)} }

func TestRequestTableIsBoundedAndForgetsTheOldest(t *testing.T) {
	table := requestTable{limit: 4}
	for n := range uint64(10) {
		table.add(requestOf(n), vclock.Dot{}, int64(n))
		if len(table.byKey) > table.limit || len(table.oldest) > table.limit {
			t.Fatalf("%d ids, %d places", len(table.byKey), len(table.oldest))
		}
	}
	for n := range uint64(10) {
		if _, found := table.find(requestOf(n), 10); found != (n >= 6) {
			t.Errorf("id %d found: %v", n, found)
		}
	}
}

func TestRequestTableForgetsAfterTheWindow(t *testing.T) {
	table := requestTable{limit: 4}
	table.add(requestOf(1), vclock.Dot{}, 1000)
	if _, found := table.find(requestOf(1), 1000+requestWindow); !found {
		t.Error("forgotten within the window")
	}
	if _, found := table.find(requestOf(1), 1001+requestWindow); found {
		t.Error("remembered beyond the window")
	}
	if table.add(requestKey{}, vclock.Dot{}, 0); len(table.byKey) != 1 {
		t.Error("no request id was remembered as one")
	}
}

// An id that is minted again after its window counts as the newest, not as the oldest.
func TestRequestTableKeepsWhatWasMintedAgain(t *testing.T) {
	table := requestTable{limit: 3}
	for _, n := range []uint64{1, 2, 1, 3, 4} {
		table.add(requestOf(n), vclock.Dot{}, int64(n))
	}
	if _, found := table.find(requestOf(1), 5); !found {
		t.Error("the id that was minted again was forgotten first")
	}
	if _, found := table.find(requestOf(2), 5); found {
		t.Error("the table is not bounded")
	}
}

func TestEveryPartitionHasItsShareOfTheTable(t *testing.T) {
	for partitions, want := range map[int]int{0: requestsTotal, 1: requestsTotal, 128: 512, 1 << 16: 64} {
		if got := newRequestTable(partitions).limit; got != want {
			t.Errorf("%d partitions: %d ids each, want %d", partitions, got, want)
		}
	}
}

// A retry is answered with the dot of the first try, the present object, and no new
// version (TRAPS C10).
func TestTrapC10RetriesAreAnsweredWithTheirDot(t *testing.T) {
	cases := []struct {
		name    string
		between func(*life, MintReply) *life // what happens between the tries
		want    []string
		repeat  bool
	}{
		{"at once", func(l *life, _ MintReply) *life { return l }, []string{"1"}, true},
		{"after it was overwritten", func(l *life, m MintReply) *life {
			l.put("k", "2", m.Object.Context)
			return l
		}, []string{"2"}, true},
		{"after a clean restart", func(l *life, _ MintReply) *life {
			s := l.stopped()
			s.verdict = kv.VerdictConfirmed
			return begin(l.t, s)
		}, []string{"1"}, true},
		{"after a crash", func(l *life, _ MintReply) *life {
			s := l.crashed(nil)
			s.verdict = kv.VerdictConfirmed
			return begin(l.t, s)
		}, []string{"1"}, true},
		{"after a crash, overwritten", func(l *life, m MintReply) *life {
			l.put("k", "2", m.Object.Context)
			s := l.crashed(nil)
			s.verdict = kv.VerdictConfirmed
			return begin(l.t, s)
		}, []string{"2"}, true},
		{"after the window, overwritten", func(l *life, m MintReply) *life {
			l.put("k", "2", m.Object.Context)
			time.Sleep(requestWindow*time.Millisecond + time.Second)
			return l
		}, []string{"1", "2"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := fresh(t)
				req := l.putting("k", "1", vclock.Context{})
				req.Request = requestID(1)
				first := l.mint(req)
				l = c.between(l, first)
				again := l.putting("k", "1", vclock.Context{})
				again.Request = requestID(1)
				var sent MintReply
				again.Minted = func(m MintReply) { sent = m }
				m := l.mint(again)
				if m.Code != wire.ReplicaOK || m.Repeat != c.repeat || (m.Dot == first.Dot) != c.repeat {
					t.Errorf("retry: code %d, repeat %v, dot %s after %s", m.Code, m.Repeat, m.Dot, first.Dot)
				}
				if !sent.Object.HasValues() || !cmp.Equal(values(sent.Object), c.want) {
					t.Errorf("the slots would be sent %q, want %q", values(sent.Object), c.want)
				}
				if got := values(l.object("k")); !cmp.Equal(got, c.want) {
					t.Errorf("the key holds %q, want %q", got, c.want)
				}
			})
		})
	}
}

// The first try went through another coordinator, and its write is here already.
func TestTrapC10ATwinMintedElsewhereIsFoundInTheObject(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		twin := foreign(1, "1", kv.Object{}, vclock.Context{})
		twin.Versions[0].Request = requestID(1)
		twin.Versions[0] = twin.Versions[0].Sealed()
		l.copy("k", twin)
		req := l.putting("k", "1", vclock.Context{})
		req.Request = requestID(1)
		m := l.mint(req)
		if !m.Repeat || m.Dot != twin.Versions[0].Dot {
			t.Errorf("repeat %v, dot %s", m.Repeat, m.Dot)
		}
		if got := len(l.object("k").Versions); got != 1 {
			t.Errorf("%d versions of one request", got)
		}
	})
}

// The twin comes later: both were minted, the lower dot stays, both are in the context.
func TestTrapC10TwinsCollapseWhereTheyMeet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		req := l.putting("k", "1", vclock.Context{})
		req.Request = requestID(1)
		mine := l.mint(req)
		twin := foreign(1, "1", kv.Object{}, vclock.Context{})
		twin.Versions[0].Request = requestID(1)
		twin.Versions[0] = twin.Versions[0].Sealed()
		for range 2 { // the second time it brings nothing new
			l.copy("k", twin)
			o := l.object("k")
			if len(o.Versions) != 1 || o.Versions[0].Dot != mine.Dot {
				t.Errorf("versions %v, want only %s", o.Versions, mine.Dot)
			}
			if !o.Context.Contains(twin.Versions[0].Dot) {
				t.Errorf("%v has forgotten the twin", o.Context)
			}
		}
		// Both twins in one copy, which dominates what is here.
		other := kv.Merge(mine.Object, twin)
		fresh := begin(t, setup{verdict: kv.VerdictConfirmed})
		fresh.copy("k", other)
		if got := len(fresh.object("k").Versions); got != 1 {
			t.Errorf("%d versions of one request in a copy that was kept as it came", got)
		}
	})
}

func TestARequestIDOfAnotherKeyIsAnotherRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := fresh(t)
		keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"} // several to a partition
		for _, key := range keys {
			req := l.putting(key, key, vclock.Context{})
			req.Request = requestID(1)
			if m := l.mint(req); m.Code != wire.ReplicaOK || m.Repeat {
				t.Errorf("key %s: code %d, repeat %v, %v", key, m.Code, m.Repeat, m.Err)
			}
		}
		for _, key := range keys {
			again := l.putting(key, key, vclock.Context{})
			again.Request = requestID(1)
			if m := l.mint(again); m.Code != wire.ReplicaOK || !m.Repeat {
				t.Errorf("key %s again: code %d, repeat %v, %v", key, m.Code, m.Repeat, m.Err)
			}
			if n := len(l.object(key).Versions); n != 1 {
				t.Errorf("key %s has %d versions", key, n)
			}
		}
	})
}
