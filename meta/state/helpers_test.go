// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

// cluster is the id of every cluster of the tests.
func clusterID() ring.ClusterID { return ring.ClusterID{0: 0xc1, 15: 1} }

// addressesOf are those of the process with that number.
func addressesOf(n int) Addresses {
	return Addresses{
		Client: fmt.Sprintf("127.0.0.1:%d", 7000+n), Peer: fmt.Sprintf("127.0.0.1:%d", 8000+n),
		Gossip: fmt.Sprintf("127.0.0.1:%d", 9000+n), Admin: fmt.Sprintf("127.0.0.1:%d", 6000+n),
	}
}

// registration is that of the node of a name, n-<number>.
func registration(n int) RegisterMember {
	return RegisterMember{
		Name: fmt.Sprintf("n-%d", n), Zone: fmt.Sprintf("z-%d", n), Weight: 100,
		Addresses: addressesOf(n),
	}
}

// openingOf is the n-th opening of a node's store.
func openingOf(node kv.NodeID, n int) kv.Open {
	return kv.Open{Seq: uint64(n), Nonce: uint64(node)<<32 | uint64(n)}
}

func requestOf(n int) kv.RequestID { return kv.RequestID{0: 0x4e, 14: byte(n >> 8), 15: byte(n)} }

func founding(expect, replicas int) Founding {
	return Founding{
		Cluster: clusterID(), Replicas: replicas, Partitions: 4, Expect: expect,
		First: registration(1), Open: openingOf(1, 1),
	}
}

// log is a state and the place at which the next entry is applied.
type log struct {
	tb rapid.TB
	*State
	term uint64
}

// begin founds a cluster that expects that many nodes.
func begin(tb rapid.TB, expect, replicas int) *log {
	tb.Helper()
	s, err := Found(founding(expect, replicas))
	if err != nil {
		tb.Fatal(err)
	}
	return &log{tb: tb, State: s, term: FoundingTerm}
}

// formed is a cluster of three nodes with three replicas, opened and formed.
func formed(tb rapid.TB) *log {
	tb.Helper()
	l := begin(tb, 3, 3)
	l.ok(registration(2))
	l.ok(registration(3))
	for n := range 3 {
		id := kv.NodeID(n + 1)
		l.ok(OpenStore{Node: id, Opens: []kv.Open{openingOf(id, 1)}, Addresses: addressesOf(n + 1)})
	}
	l.ok(FormRing{})
	return l
}

// entry applies commands in one entry.
func (l *log) entry(commands ...Command) Applied {
	l.tb.Helper()
	applied, err := l.Apply(l.Index()+1, l.term, AppendEntry(nil, Token{}, commands...))
	if err != nil {
		l.tb.Fatal(err)
	}
	return applied
}

// do applies one command.
func (l *log) do(c Command) Result {
	l.tb.Helper()
	return l.entry(c).Results[0]
}

// ok applies one command, which must be answered CodeOK.
func (l *log) ok(c Command) Result {
	l.tb.Helper()
	return l.want(CodeOK, c)
}

// want applies one command, which must be answered with that code.
func (l *log) want(code Code, c Command) Result {
	l.tb.Helper()
	r := l.do(c)
	if r.Code != code {
		l.tb.Fatalf("%#v was answered %v %q, want %v", c, r.Code, r.Detail, code)
	}
	if (r.Code == CodeOK) != (r.Detail == "") {
		l.tb.Fatalf("%#v was answered %v with the detail %q", c, r.Code, r.Detail)
	}
	return r
}

// unchanged applies one command, which must change nothing, and returns its answer.
func (l *log) unchanged(c Command) Result {
	l.tb.Helper()
	before, view := body(l.State), l.View()
	r := l.do(c)
	if !bytes.Equal(before, body(l.State)) || view != l.View() {
		l.tb.Fatalf("%#v changed the state; it was answered %v %q", c, r.Code, r.Detail)
	}
	return r
}

// body is a snapshot without the place in the log.
func body(s *State) []byte {
	c := *s
	c.index, c.term = 0, 0
	return c.Snapshot(nil)
}

// sameResults compares answers, pointers by what they point to.
func sameResults(tb rapid.TB, what string, a, b Applied) {
	tb.Helper()
	if diff := cmp.Diff(a, b, cmp.AllowUnexported(Member{})); diff != "" {
		tb.Fatalf("%s answers otherwise:\n%s", what, diff)
	}
}

// sameState compares states by their hashes and their views.
func sameState(tb rapid.TB, what string, a, b *State) {
	tb.Helper()
	if a.Hash() != b.Hash() {
		tb.Fatalf("%s differs at index %d:\n%s\n%s", what, a.Index(),
			hex.Dump(a.Snapshot(nil)), hex.Dump(b.Snapshot(nil)))
	}
	if !bytes.Equal(AppendView(nil, a.View()), AppendView(nil, b.View())) {
		tb.Fatalf("%s has another view at index %d", what, a.Index())
	}
}

// restored is the state made anew of its snapshot.
func restored(tb rapid.TB, s *State) *State {
	tb.Helper()
	snapshot := s.Snapshot(nil)
	r, err := Restore(snapshot)
	if err != nil {
		tb.Fatalf("at index %d: %v", s.Index(), err)
	}
	if !bytes.Equal(snapshot, r.Snapshot(nil)) {
		tb.Fatalf("at index %d a restored state has another snapshot", s.Index())
	}
	return r
}
