// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

func TestANodeIsRegisteredOnceForItsName(t *testing.T) {
	l := begin(t, 3, 3)
	first := l.ok(registration(2)).Member
	if first.ID != 2 || first.Instance == 0 || first.Raft != 0 || first.Registered != l.Index() {
		t.Fatalf("registered as %+v", first)
	}
	if again := l.unchanged(registration(2)); again.Member.ID != first.ID {
		t.Errorf("registered again as node %d", again.Member.ID)
	}
	if other := l.ok(registration(3)).Member; other.ID != 3 || other.Instance == first.Instance {
		t.Errorf("another node is %+v", other)
	}
}

func TestAddressesOfARegistrationCountUntilTheStoreIsAccepted(t *testing.T) {
	l := begin(t, 3, 3)
	l.ok(registration(2))
	moved := registration(2)
	moved.Addresses, moved.Weight, moved.Zone = addressesOf(8), 7, "elsewhere"
	m := l.ok(moved).Member
	if m.Addresses() != addressesOf(8) || m.Weight != 7 || m.Zone != "elsewhere" {
		t.Errorf("before the first opening the member is %+v", m)
	}
	l.ok(OpenStore{Node: 2, Opens: []kv.Open{openingOf(2, 1)}})
	m = l.unchanged(registration(2)).Member
	if m.Addresses() != addressesOf(8) || m.Open != openingOf(2, 1) {
		t.Errorf("after the first opening the member is %+v", m)
	}
}

func TestARegistrationThatContradictsTheClusterNamesBothValues(t *testing.T) {
	l := begin(t, 5, 3)
	c := registration(2)
	c.Expect, c.Replicas = 5, 3
	l.ok(c)
	for name, change := range map[string]func(*RegisterMember){
		"expects 5 nodes, this node was told 4":    func(c *RegisterMember) { c.Expect = 4 },
		"keeps 3 replicas, this node was told 2":   func(c *RegisterMember) { c.Replicas = 2 },
		"--expect 5":                               func(c *RegisterMember) { c.Expect = 4 },
		"the weight must be 1":                     func(c *RegisterMember) { c.Weight = 0 },
		"weight must be 1 to 1048576":              func(c *RegisterMember) { c.Weight = 1<<20 + 1 },
		`the name "" must be`:                      func(c *RegisterMember) { c.Name = "" },
		`the name "a/b" must be`:                   func(c *RegisterMember) { c.Name = "a/b" },
		`the zone "a b" must be`:                   func(c *RegisterMember) { c.Zone = "a b" },
		`the address "nowhere" must be HOST:PORT`:  func(c *RegisterMember) { c.Addresses.Client = "nowhere" },
		"must have a peer address":                 func(c *RegisterMember) { c.Addresses.Peer = "" },
		strings.Repeat("n", 64) + `..." must be 1`: func(c *RegisterMember) { c.Name = strings.Repeat("n", 129) },
	} {
		c := registration(3)
		change(&c)
		r := l.unchanged(c)
		if r.Code != CodeInvalid && r.Code != CodeRefused || !strings.Contains(r.Detail, name) {
			t.Errorf("%+v was answered %v %q", c, r.Code, r.Detail)
		}
	}
}

func TestAddressesAreHostAndPort(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:7000": true, "node-1.example:1": true, "[::1]:65535": true, "h:65535": true,
		"": false, ":7000": false, "h": false, "h:": false, "h:0": false, "h:65536": false,
		"h:x": false, "h:-1": false, "::1:7000": false, "[]:7": false, "a b:7": false,
		"[::1:7": false, "h:000001": false, "é:7": false,
		strings.Repeat("h", MaxAddress-2) + ":7": true,
		strings.Repeat("h", MaxAddress-1) + ":7": false,
	} {
		if got := validAddress(addr); got != want {
			t.Errorf("%q is valid: %v", addr, got)
		}
	}
}

// open shows openings of node 2, in the order of their numbers, and returns the verdict.
func open(l *log, opens ...int) kv.Verdict {
	c := OpenStore{Node: 2, Addresses: addressesOf(2)}
	for _, n := range opens {
		c.Opens = append(c.Opens, openingOf(2, n))
	}
	return l.ok(c).Verdict
}

func TestTheNewestAcceptedOpeningIsRemembered(t *testing.T) {
	l := begin(t, 3, 3)
	l.ok(registration(2))
	if v := open(l); v != kv.VerdictConfirmed {
		t.Errorf("an empty directory of a new member is %v", v)
	}
	for _, step := range []struct {
		name    string
		opens   []int
		want    kv.Verdict
		open    int
		refused int
	}{
		{"the first", []int{1}, kv.VerdictConfirmed, 1, 0},
		{"the same again", []int{1}, kv.VerdictConfirmed, 1, 0},
		{"the next two", []int{1, 2, 3}, kv.VerdictConfirmed, 3, 0},
		{"late, the first again", []int{1}, kv.VerdictForked, 3, 0},
		{"late, one that was never shown by itself", []int{1, 2}, kv.VerdictForked, 3, 0},
		{"an empty directory", nil, kv.VerdictLost, 3, 0},
		{"rolled back", []int{1, 92}, kv.VerdictForked, 3, 92},
		{"the right one again", []int{3, 4}, kv.VerdictConfirmed, 4, 0},
		{"late, the one that was rolled back", []int{1, 92}, kv.VerdictForked, 4, 0},
		{"another directory", []int{77}, kv.VerdictForked, 4, 77},
	} {
		if v := open(l, step.opens...); v != step.want {
			t.Errorf("%s: the verdict is %v", step.name, v)
		}
		m, _ := l.Member(2)
		if m.Open != openingOf(2, step.open) {
			t.Errorf("%s: remembered is %v", step.name, m.Open)
		}
		if m.Refused != (step.refused != 0) ||
			m.Refused && m.RefusedOpen != openingOf(2, step.refused) {
			t.Errorf("%s: refused is %v, %v", step.name, m.Refused, m.RefusedOpen)
		}
	}
	l.want(CodeNotFound, OpenStore{Node: 9})
	l.want(CodeInvalid, OpenStore{Node: 2, Opens: []kv.Open{{}}})
	l.want(CodeInvalid, OpenStore{Node: 2, Addresses: Addresses{Peer: "x"}})
}

func TestAnAcceptedOpeningBringsItsAddresses(t *testing.T) {
	l := formed(t)
	before := l.View().Version
	move := OpenStore{
		Node: 2, Opens: []kv.Open{openingOf(2, 1), openingOf(2, 2)}, Addresses: addressesOf(9),
	}
	applied := l.entry(move)
	m, _ := l.View().Ring.Member(2)
	if !applied.View || l.View().Version != before+1 || m.Peer != addressesOf(9).Peer {
		t.Fatalf("after the move the ring of version %d says %+v", l.View().Version, m)
	}
	stay := OpenStore{Node: 2, Opens: []kv.Open{openingOf(2, 2), openingOf(2, 3)}}
	if l.entry(stay).View {
		t.Error("an opening at the same addresses made a new ring")
	}
	forked := OpenStore{Node: 2, Opens: []kv.Open{openingOf(2, 66)}, Addresses: addressesOf(8)}
	if l.entry(forked, move).View {
		t.Error("a refused opening, or a late one, moved the member")
	}
}

func TestARaftIDReplacesTheOneBefore(t *testing.T) {
	l := formed(t)
	one := AssignRaft{Node: 2, For: openingOf(2, 1)}
	first := l.ok(one).Member
	if first.Raft.Node() != 2 || first.Raft == l.members[0].Raft || first.RaftOpen != one.For {
		t.Fatalf("assigned %+v", first)
	}
	if again := l.unchanged(one); again.Code != CodeOK || again.Member.Raft != first.Raft {
		t.Errorf("again %v %v", again.Code, again.Member)
	}
	l.want(CodeRefused, AssignRaft{Node: 2, For: openingOf(2, 5)})
	two := AssignRaft{Node: 2, For: openingOf(2, 1), Previous: first.Raft}
	second := l.ok(two).Member
	if second.Raft <= first.Raft || second.RaftLast != second.Raft {
		t.Errorf("the second id is %v, after %v", second.Raft, first.Raft)
	}
	l.want(CodeRefused, one)
	l.ok(DropRaft{Raft: second.Raft})
	for _, late := range []Command{one, two, DropRaft{Raft: first.Raft}, DropRaft{Raft: second.Raft}} {
		l.unchanged(late)
	}
	m, _ := l.Member(2)
	if m.Raft != 0 || m.RaftLast != second.Raft || m.RaftOpen != (kv.Open{}) {
		t.Errorf("after the drop the member is %+v", m)
	}
	l.want(CodeNotFound, DropRaft{})
	l.want(CodeNotFound, DropRaft{Raft: 9 << 48})
	l.want(CodeNotFound, AssignRaft{Node: 9, For: openingOf(9, 1)})
	l.want(CodeInvalid, AssignRaft{Node: 2, Previous: second.Raft})
	l.want(CodeRefused, AssignRaft{Node: 2, For: openingOf(2, 5), Previous: second.Raft})
	third := l.ok(AssignRaft{Node: 2, For: openingOf(2, 1), Previous: second.Raft}).Member
	if third.Raft <= second.Raft {
		t.Errorf("the third id is %v, after %v", third.Raft, second.Raft)
	}
	// A drop that comes late is of a seat which is given up already, not of the present one.
	for _, gone := range []Command{DropRaft{Raft: first.Raft}, DropRaft{Raft: second.Raft}} {
		l.unchanged(gone)
	}
	if m, _ := l.Member(2); m.Raft != third.Raft || m.RaftOpen != third.RaftOpen {
		t.Errorf("after late drops the member is %+v", m)
	}
}

func TestARefusedStoreGetsItsRaftStateAnewAndItsDataNot(t *testing.T) {
	l := formed(t)
	id := l.ok(AssignRaft{Node: 2, For: openingOf(2, 1)}).Member.Raft
	open(l, 1, 2)
	m, _ := l.Member(2)
	if m.RaftOpen != openingOf(2, 2) || m.RaftRefused {
		t.Fatalf("an accepted opening left the raft state at %v", m.RaftOpen)
	}
	if v := open(l, 1, 99); v != kv.VerdictForked {
		t.Fatalf("the older copy is %v", v)
	}
	m, _ = l.Member(2)
	if !m.Refused || !m.RaftRefused || m.Raft != id || m.RaftOpen != openingOf(2, 2) {
		t.Fatalf("the member is %+v", m)
	}
	m = *l.ok(AssignRaft{Node: 2, For: openingOf(2, 99), Previous: id}).Member
	if m.RaftRefused || m.RaftOpen != openingOf(2, 99) || !m.Refused {
		t.Fatalf("with a new raft id the member is %+v", m)
	}
	if v := open(l, 1, 99, 100); v != kv.VerdictForked {
		t.Fatalf("the older copy, opened again, is %v", v)
	}
	m, _ = l.Member(2)
	if m.RaftRefused || m.RaftOpen != openingOf(2, 100) || m.Open != openingOf(2, 2) {
		t.Errorf("its raft state does not go on: %+v", m)
	}
}

func TestMembersAreBounded(t *testing.T) {
	l := begin(t, 3, 3)
	for n := 2; n <= MaxMembers; n++ {
		l.ok(registration(n))
	}
	l.want(CodeExhausted, registration(MaxMembers+1))
}

func TestAReadMemberIsACopy(t *testing.T) {
	l := formed(t)
	all := l.Members()
	all[1].Name, all[1].Open = "other", kv.Open{}
	m, _ := l.Member(2)
	byName, found := l.MemberByName("n-2")
	if m.Name != "n-2" || !found || byName.Open != openingOf(2, 1) {
		t.Errorf("the state was changed from outside: %+v", m)
	}
	if _, found := l.Member(9); found {
		t.Error("there is a member 9")
	}
	if _, found := l.MemberByName("n-9"); found {
		t.Error("there is a member n-9")
	}
}
