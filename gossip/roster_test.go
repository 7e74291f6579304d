// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/kv"
)

func testRoster() (*roster, time.Time) {
	return newRoster("n1", testTag, 5*time.Minute), time.Unix(1_000_000, 0)
}

func metaOf(id kv.NodeID) []byte {
	m := testMeta()
	m.NodeID = id
	return encodeMeta(testTag, m)
}

func TestMembersChangeAndKeepTheTimeOfTheirStatus(t *testing.T) {
	r, now := testRoster()
	r.alive("n1", "a:1", metaOf(1), now)
	r.alive("n1", "a:1", metaOf(1), now.Add(time.Second))
	if got := r.view(now).Members[0]; got.Status != StatusAlive || !got.Since.Equal(now) {
		t.Errorf("news of a live member: %+v, want alive since %v", got, now)
	}
	died := now.Add(2 * time.Second)
	r.down("n1", died)
	r.down("n1", died.Add(time.Second))
	got := r.view(died)
	if m := got.Members[0]; m.Status != StatusDown || !m.Since.Equal(died) || got.Alive(1) {
		t.Errorf("after its end: %+v, want down since %v", m, died)
	}
}

func TestViewNeverChangesOnceItIsOut(t *testing.T) {
	r, now := testRoster()
	r.alive("n1", "a:1", metaOf(1), now)
	old := r.view(now)
	r.down("n1", now)
	r.alive("n2", "b:1", metaOf(2), now)
	if len(old.Members) != 1 || old.Members[0].Status != StatusAlive || !old.Alive(1) {
		t.Errorf("the old view is now %+v", old)
	}
}

func TestOnlyTheRegisteredNameCountsForItsNodeID(t *testing.T) {
	r, now := testRoster()
	r.alive("impostor", "b:1", metaOf(2), now)
	if v := r.view(now); !v.Alive(2) || len(v.Conflicts) != 0 {
		t.Errorf("before any is registered, who says so counts: %+v", v)
	}
	r.register([]Peer{{ID: 2, Name: "n2", GossipAddr: "a:1"}}, now)
	v := r.view(now)
	if v.Alive(2) {
		t.Error("the impostor counts for node 2")
	}
	want := []Conflict{{
		Name: "n2", Addr: "a:1", OtherAddr: "b:1", First: now, Last: now, Reports: 1,
	}}
	if diff := cmp.Diff(want, v.Conflicts); diff != "" {
		t.Error(diff)
	}
	r.alive("n2", "a:1", metaOf(2), now)
	if m, ok := r.view(now).Find(2); !ok || m.Name != "n2" || !m.Registered {
		t.Errorf("for node 2 counts %+v, want the registered n2", m)
	}
}

func TestTwoLiveMembersOfOneNodeIDAreAConflict(t *testing.T) {
	r, now := testRoster()
	r.alive("n2", "a:1", metaOf(2), now)
	r.alive("n2-copy", "b:1", metaOf(2), now)
	v := r.view(now)
	if len(v.Conflicts) != 1 || v.Conflicts[0].OtherAddr != "b:1" || !v.Alive(2) {
		t.Errorf("view %+v, want a conflict between a:1 and b:1", v)
	}
}

func TestRegisteredAndNeverSeenIsUnknown(t *testing.T) {
	r, now := testRoster()
	peers := []Peer{{1, "n1", "a:1"}, {2, "n2", "b:1"}, {3, "n3", "c:1"}}
	if !r.register(peers, now) {
		t.Error("the first list changed nothing")
	}
	if r.register(peers, now.Add(time.Hour)) {
		t.Error("the same list changed something")
	}
	r.alive("n3", "c:1", metaOf(3), now)
	got := r.view(now).Members[1]
	want := Member{
		Name: "n2", Addr: "b:1", Status: StatusUnknown, Since: now, Registered: true,
		Meta: Meta{NodeID: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(peers[1:2], r.missing()); diff != "" {
		t.Errorf("missing, this node excepted: %s", diff)
	}
}

func TestConflictWithWhoIsDownIsARestart(t *testing.T) {
	r, now := testRoster()
	r.alive("n2", "a:1", metaOf(2), now)
	r.conflict("n2", "a:1", "b:1", now)
	r.conflict("n2", "a:1", "b:1", now.Add(time.Second))
	want := []Conflict{{
		Name: "n2", Addr: "a:1", OtherAddr: "b:1",
		First: now, Last: now.Add(time.Second), Reports: 2,
	}}
	if diff := cmp.Diff(want, r.view(now).Conflicts); diff != "" {
		t.Error(diff)
	}
	r.down("n2", now)
	r.conflict("n2", "a:1", "b:1", now)
	if got := r.view(now).Conflicts; got != nil {
		t.Errorf("n2 is down, and yet %+v", got)
	}
	r.alive("n2", "a:1", metaOf(2), now)
	r.conflict("n2", "a:1", "b:1", now)
	r.alive("n2", "b:1", metaOf(2), now)
	if got := r.view(now).Conflicts; got != nil {
		t.Errorf("n2 has moved, and yet %+v", got)
	}
}

func TestOldEntriesAreForgotten(t *testing.T) {
	r, now := testRoster()
	r.register([]Peer{{2, "n2", "b:1"}}, now)
	for id, name := range map[kv.NodeID]string{2: "n2", 3: "n3"} {
		r.alive(name, "x:1", metaOf(id), now)
		r.down(name, now)
	}
	r.alive("n4", "x:1", metaOf(4), now)
	r.conflict("n4", "x:1", "y:1", now)
	later := now.Add(downRetention + time.Second)
	r.purge(later)
	v := r.view(later)
	var names []string
	for _, m := range v.Members {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"n2", "n4"}, names); diff != "" {
		t.Errorf("registered and live members stay, others go: %s", diff)
	}
	if len(r.conflicts) != 0 {
		t.Errorf("conflicts %+v", r.conflicts)
	}
}

func TestFloodOfNamesIsRefused(t *testing.T) {
	r, now := testRoster()
	for i := range MaxMembers {
		name := fmt.Sprintf("n%d", i)
		if err := r.admit(name, metaOf(1)); err != nil {
			t.Fatal(err)
		}
		r.alive(name, "x:1", metaOf(1), now)
	}
	if err := r.admit("one-more", metaOf(1)); !errors.Is(err, errRoom) {
		t.Errorf("one more: %v", err)
	}
	if err := r.admit("n7", metaOf(1)); err != nil {
		t.Errorf("a known one: %v", err)
	}
	if err := r.admit(strings.Repeat("n", MaxName+1), metaOf(1)); !errors.Is(err, errMeta) {
		t.Errorf("a long name: %v", err)
	}
}

func TestRejoinGoesRoundAllLostMembers(t *testing.T) {
	peers := []Peer{{2, "b", ""}, {4, "d", ""}, {6, "f", ""}}
	for _, tt := range []struct {
		after string
		n     int
		want  string
	}{
		{"", 2, "bd"}, {"a", 1, "b"}, {"b", 2, "df"}, {"c", 2, "df"}, {"e", 2, "fb"},
		{"f", 2, "bd"}, {"z", 3, "bdf"}, {"c", 9, "dfb"},
	} {
		var got string
		for _, p := range nextPeers(peers, tt.after, tt.n) {
			got += p.Name
		}
		if got != tt.want {
			t.Errorf("%d after %q: %s, want %s", tt.n, tt.after, got, tt.want)
		}
	}
	if got := nextPeers(nil, "a", 3); got != nil {
		t.Errorf("of none: %v", got)
	}
}

func TestJitterStaysWithinAFifth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	lowest, highest := time.Hour, time.Duration(0)
	for range 10000 {
		d := jitter(5*time.Second, rng)
		lowest, highest = min(lowest, d), max(highest, d)
	}
	if lowest < 4*time.Second || lowest > 4100*time.Millisecond ||
		highest > 6*time.Second || highest < 5900*time.Millisecond {
		t.Errorf("5 s became %v to %v, want 4 s to 6 s", lowest, highest)
	}
}
