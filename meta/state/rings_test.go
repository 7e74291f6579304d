// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

func TestAClusterIsFoundedWithOneMemberInTheOnlySeat(t *testing.T) {
	l := begin(t, 3, 2)
	m, _ := l.MemberByName("n-1")
	if m.ID != 1 || m.Raft == 0 || m.RaftOpen != openingOf(1, 1) || m.Open != (kv.Open{}) {
		t.Errorf("the first member is %+v", m)
	}
	v := l.View()
	if l.Index() != FoundingIndex || l.Formed() || v.Ring != nil || v.Version != 0 ||
		v.Expect != 3 || v.Registered != 1 || v.Opened != 0 || v.Replicas != 2 {
		t.Errorf("the first view is %+v", v)
	}
}

func TestAClusterThatCanNotBeIsNotFounded(t *testing.T) {
	for fault, change := range map[string]func(*Founding){
		"the cluster id must not be zero":     func(f *Founding) { f.Cluster = ring.ClusterID{} },
		"expect must be 1 to":                 func(f *Founding) { f.Expect = 0 },
		"replicas must be 1 to 3":             func(f *Founding) { f.Replicas = 4 },
		"partitions must be a power of two":   func(f *Founding) { f.Partitions = 3 },
		"the opening of the first member's":   func(f *Founding) { f.Open = kv.Open{} },
		"must have a peer address":            func(f *Founding) { f.First.Addresses = Addresses{} },
		"expects 3 nodes, this node was told": func(f *Founding) { f.First.Expect = 2 },
	} {
		f := founding(3, 3)
		change(&f)
		_, err := Found(f)
		if !errors.Is(err, ErrFounding) || !strings.Contains(err.Error(), fault) {
			t.Errorf("want %q, got %v", fault, err)
		}
	}
}

func TestTheFirstRingWaitsForAsManyAcceptedStoresAsAreExpected(t *testing.T) {
	l := begin(t, 3, 2)
	l.ok(registration(2))
	l.ok(registration(3))
	for id := kv.NodeID(1); id <= 3; id++ {
		r := l.unchanged(FormRing{})
		if r.Code != CodeNotReady || !strings.Contains(r.Detail, "3 nodes needed, 3 registered") {
			t.Fatalf("forming was answered %v %q", r.Code, r.Detail)
		}
		l.ok(OpenStore{Node: id, Opens: []kv.Open{openingOf(id, 1)}})
		if v := l.View(); v.Registered != 3 || v.Opened != int(id) {
			t.Fatalf("the view has %d registered, %d opened", v.Registered, v.Opened)
		}
	}
	l.ok(registration(4)) // never opened: not in the ring
	l.ok(FormRing{})
	v := l.View()
	if v.Version != 1 || len(v.Ring.Members()) != 3 || v.Ring.Replicas() != 2 ||
		v.Ring.Partitions() != 4 || v.Ring.Cluster() != clusterID() {
		t.Fatalf("the first ring is %+v", v.Ring.State())
	}
	if b, ok := v.Bucket(kv.DefaultBucketName); !ok || b != kv.BuiltinBucket(2) {
		t.Errorf("the bucket default is %+v", b)
	}
	if r := l.unchanged(FormRing{}); r.Code != CodeOK {
		t.Errorf("forming again was answered %v %q", r.Code, r.Detail)
	}
}

func TestALaterMemberIsOneOfTheRingFromItsFirstAcceptedOpening(t *testing.T) {
	l := formed(t)
	if l.entry(registration(4)).View {
		t.Error("a registration alone changed the ring")
	}
	l.ok(OpenStore{Node: 4, Opens: []kv.Open{openingOf(4, 1)}, Addresses: addressesOf(4)})
	m, ok := l.View().Ring.Member(4)
	if !ok || m.Weight != 100 || l.View().Version != 2 {
		t.Fatalf("the ring of version %d has %+v", l.View().Version, m)
	}
	for p := range l.View().Partitions {
		pref := l.View().Ring.Preference(uint16(p))
		if !slices.Contains(pref.Fallbacks, 4) {
			t.Errorf("node 4 is no fallback of partition %d", p)
		}
	}
}

// move is one that ring.CheckPlan accepts: of a partition's slot to node 4.
func move(l *log, partition uint16, slot int) ring.Move {
	return ring.Move{
		Partition: partition, Slot: slot, From: l.placements[partition].Slots[slot].Owner, To: 4,
	}
}

// withFourth is a formed cluster with a fourth member, in the zone of the third.
func withFourth(tb testing.TB) *log {
	l := formed(tb)
	c := registration(4)
	c.Zone = "z-3"
	l.ok(c)
	l.ok(OpenStore{Node: 4, Opens: []kv.Open{openingOf(4, 1)}})
	return l
}

// slotOf is where node 3 stands, whose place node 4 may take without a zone less.
func slotOf(l *log, partition uint16) int {
	slot, _ := l.View().Ring.SlotOf(partition, 3)
	return slot
}

func TestPlansAreStoredCheckedAndDisjoint(t *testing.T) {
	l := withFourth(t)
	c := ProposePlan{Request: requestOf(1), Moves: []ring.Move{move(l, 1, slotOf(l, 1))}}
	id := l.ok(c).Plan
	if again := l.unchanged(c); again.Code != CodeOK || again.Plan != id {
		t.Errorf("again %v, plan %d, not %d", again.Code, again.Plan, id)
	}
	plans := l.Plans()
	if len(plans) != 1 || plans[0].ID != id || plans[0].Moves[0] != ring.Planned(c.Moves[0]) {
		t.Fatalf("stored are %+v", plans)
	}
	same := ProposePlan{Request: requestOf(2), Moves: c.Moves}
	if r := l.want(CodeRefused, same); !strings.Contains(r.Detail, "partition 1 already") {
		t.Errorf("a plan for the same partition was answered %q", r.Detail)
	}
	bad := ProposePlan{Request: requestOf(3), Moves: []ring.Move{{Partition: 2, From: 1, To: 9}}}
	if r := l.want(CodeRefused, bad); !strings.Contains(r.Detail, "a move must lead to a member") {
		t.Errorf("a plan that ring refuses was answered %q", r.Detail)
	}
	l.want(CodeInvalid, ProposePlan{Moves: c.Moves})
	l.want(CodeInvalid, ProposePlan{
		Request: requestOf(4), Moves: make([]ring.Move, MaxPlanMoves+1),
	})
	l.want(CodeNotSupported, CommitPlan{Plan: id})
	l.want(CodeNotSupported, MoveStep{Plan: id})
	l.ok(AbortPlan{Plan: id})
	if len(l.Plans()) != 0 {
		t.Error("an aborted plan is there")
	}
	l.unchanged(c)
	if r := l.unchanged(AbortPlan{Plan: id}); r.Code != CodeOK {
		t.Errorf("a repeated abort was answered %v", r.Code)
	}
	l.want(CodeNotFound, AbortPlan{Plan: id + 1})
	l.want(CodeNotFound, AbortPlan{Plan: 0})
	next := l.ok(ProposePlan{Request: requestOf(5), Moves: c.Moves}).Plan
	if next <= id {
		t.Errorf("the next plan is %d, after %d", next, id)
	}
}

func TestADetailIsCutWhereItWouldFillTheState(t *testing.T) {
	l := withFourth(t)
	c := ProposePlan{Request: requestOf(1)}
	for p := range 100 {
		c.Moves = append(c.Moves, ring.Move{Partition: uint16(p), Slot: 9, From: 77, To: 78})
		c.Moves = append(c.Moves, ring.Move{Partition: uint16(p), Slot: 0, From: 77, To: 78})
	}
	r := l.want(CodeRefused, c)
	if len(r.Detail) != maxDetail || !strings.HasSuffix(r.Detail, "...") {
		t.Errorf("the detail has %d bytes", len(r.Detail))
	}
	if long := refuse(CodeRefused, "%s", strings.Repeat("\u00e9", maxDetail)); len(long.Detail) >
		maxDetail || !utf8.ValidString(long.Detail) {
		t.Errorf("a detail of other letters was cut to %q", long.Detail)
	}
}

func TestStoredPlansAreBounded(t *testing.T) {
	l := withFourth(t)
	for n := range MaxPlans {
		l.plans = append(l.plans, Plan{ID: uint64(n + 1)})
	}
	c := ProposePlan{Request: requestOf(1), Moves: []ring.Move{move(l, 1, slotOf(l, 1))}}
	l.want(CodeExhausted, c)
	l.plans = []Plan{{ID: 1, Moves: make([]ring.Progress, MaxMoves)}}
	c.Request = requestOf(2)
	l.want(CodeExhausted, c)
}

func TestWhatNeedsARingWaitsForIt(t *testing.T) {
	l := begin(t, 3, 3)
	for _, c := range []Command{
		PurgeEpoch{Request: requestOf(1)}, PurgeCommit{}, ProposePlan{Request: requestOf(1)},
		BucketCreate{Request: requestOf(1)}, BucketUpdate{Request: requestOf(1)},
		BucketDelete{Request: requestOf(1)},
	} {
		if r := l.unchanged(c); r.Code != CodeNotReady {
			t.Errorf("%#v was answered %v %q", c, r.Code, r.Detail)
		}
	}
}

func TestAVersionIsNeverLowered(t *testing.T) {
	l := formed(t)
	if l.CommandVersion() != Version {
		t.Errorf("the version is %d", l.CommandVersion())
	}
	l.unchanged(VersionSet{Version: 0})
}
