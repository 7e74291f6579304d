// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func join(c *rpc.Client, q wire.JoinRequest) (wire.JoinResult, error) {
	q.Addresses = wire.Addresses{Client: q.Name + ":1", Peer: q.Name + ":2"}
	return asked(c, wire.MethodClusterJoin, q, wire.AppendJoinRequest, wire.DecodeJoinResult)
}

func TestNodeJoinsAndIsToldWhomToAsk(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		cluster := f.world.ring.Cluster().String()
		q := wire.JoinRequest{Name: "n2", Zone: "z", Weight: 3, Cluster: cluster, Replicas: 1}
		got, err := join(c, q)
		if err != nil || got.ID != 2 || got.Instance == 0 || got.Cluster != cluster || got.Accepted {
			t.Fatalf("joined as %+v, %v", got, err)
		}
		if len(got.Members) != 1 || got.Members[0].Name != "n1" ||
			got.Members[0].Seat != wire.SeatVoter || got.Members[0].Addresses.Peer != "n1:2" {
			t.Errorf("told of %+v", got.Members)
		}
		if again, err := join(c, q); err != nil || again.ID != 2 || again.Instance != got.Instance {
			t.Errorf("a retry joined as %+v, %v", again, err)
		}
		f.group.carryOut(t, state.OpenStore{Node: 2, Opens: []kv.Open{{Seq: 1, Nonce: 3}}})
		if late, err := join(c, q); err != nil || !late.Accepted || late.ID != 2 {
			t.Errorf("one whose store was accepted joined as %+v, %v", late, err)
		}
		for what, change := range map[string]func(*wire.JoinRequest){
			"another cluster": func(q *wire.JoinRequest) { q.Cluster = "00112233445566778899aabbccddeeff" },
			"other replicas":  func(q *wire.JoinRequest) { q.Replicas = 2 },
			"other numbers":   func(q *wire.JoinRequest) { q.Expect = 9 },
			"a bad name":      func(q *wire.JoinRequest) { q.Name = "n 3" },
		} {
			bad := wire.JoinRequest{Name: "n3"}
			change(&bad)
			_, err := join(c, bad)
			wantCode(t, what, err, wire.CodeInvalid)
		}
	})
}

func TestGroupIsShownAsThisNodeSeesIt(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		_, err := join(c, wire.JoinRequest{Name: "n2"})
		must(t, err)
		openSession(t, c, 1)
		openSession(t, c, 2)
		_, err = acquire(c, wire.LockAcquireRequest{Session: sessionID(1), Holder: 1, Name: "l"})
		must(t, err)
		_, err = acquire(c, wire.LockAcquireRequest{
			Common:  wire.Common{TimeoutMS: 100},
			Session: sessionID(2), Holder: 1, Name: "l", WaitMS: 60_000,
		})
		must(t, err)
		status, err := asked(c, wire.MethodMetaStatus, wire.EmptyRequest{},
			wire.AppendEmptyRequest, wire.DecodeMetaStatusResult)
		if err != nil || status.Node != "n1" || status.Leader != "n1" || status.Term != 1 ||
			status.Role != wire.SeatVoter || status.Locks != 1 || status.Sessions != 2 ||
			status.Waiters != 1 || status.Applied != f.group.index || len(status.Members) != 1 ||
			status.Members[0].Match != f.group.index {
			t.Errorf("status %+v, %v", status, err)
		}
		all, err := asked(c, wire.MethodMetaMembers, wire.EmptyRequest{},
			wire.AppendEmptyRequest, wire.DecodeMetaMembersResult)
		if err != nil || len(all.Members) != 2 || all.Members[1].Name != "n2" ||
			all.Members[1].Seat != wire.SeatClient || all.Members[1].Raft != 0 {
			t.Errorf("members %+v, %v", all, err)
		}
		if f.group.barriers != 0 {
			t.Error("the leader was asked")
		}
	})
}

func TestTheGroupsStateIsReadInPiecesThatFitTheMessage(t *testing.T) {
	const message = 32 << 10
	small := func(cfg *Config) { cfg.Client.Limits.Message = message }
	inBubble(t, shape{grouped: true, change: small}, func(t *testing.T, f *fixture) {
		crowd(t, f, 100)
		c := f.client()
		piece := func(q wire.StateSnapshotRequest) wire.StateSnapshotResult {
			a, err := asked(c, wire.MethodStateSnapshot, q, wire.AppendStateSnapshotRequest,
				wire.DecodeStateSnapshotResult)
			must(t, err)
			a.Chunk = bytes.Clone(a.Chunk)
			return a
		}
		first := piece(wire.StateSnapshotRequest{})
		all, pieces := first.Chunk, 1
		for ; uint64(len(all)) < first.Size; pieces++ {
			next := piece(wire.StateSnapshotRequest{Index: first.Index, Offset: uint64(len(all))})
			if len(next.Chunk) == 0 || len(next.Chunk) > message ||
				next.Offset != uint64(len(all)) || next.Index != first.Index {
				t.Fatalf("at %d: index %d, offset %d, %d bytes", len(all), next.Index, next.Offset,
					len(next.Chunk))
			}
			all = append(all, next.Chunk...)
		}
		restored, err := state.Restore(all)
		must(t, err)
		if restored.Hash() != f.group.state.Hash() || restored.Index() != first.Index ||
			restored.Term() != first.Term || first.Checksum != xxhash.Sum64(all) || pieces < 2 {
			t.Errorf("%d pieces of %+v: index %d, term %d", pieces, first, restored.Index(),
				restored.Term())
		}
		// Another one begins with its own index, from its beginning.
		other := piece(wire.StateSnapshotRequest{Index: first.Index - 1, Offset: 7})
		if other.Index != first.Index || other.Offset != 0 {
			t.Errorf("index %d, offset %d", other.Index, other.Offset)
		}
	})
}

// crowd has sessions hold and wait for locks, and returns the locks' names in order.
func crowd(t *testing.T, f *fixture, each int) []string {
	t.Helper()
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprintf("jobs/%d", i))
	}
	for i := range each {
		id := [16]byte{1, byte(i >> 8), byte(i)}
		f.group.carryOut(t, state.SessionOpen{ID: id, Name: "s", Owner: 1, TTL: 1e10})
		for n, name := range names {
			kind := 2 - n%2 // shared and exclusive in turn
			f.group.carryOut(t, state.Acquire{
				Session: id, Holder: uint64(n + 1), Name: name, Wait: 1e12,
				Kind:  kindOf([]wire.LockKind{"", wire.LockExclusive, wire.LockShared}[kind]),
				Value: make([]byte, 300),
			})
		}
	}
	return names
}

func listLocks(c *rpc.Client, q wire.PrefixRequest) (wire.LockListResult, error) {
	return asked(c, wire.MethodLockList, q, wire.AppendPrefixRequest, wire.DecodeLockListResult)
}

func TestListsOfLocksArePagedAndFitTheMessage(t *testing.T) {
	small := func(cfg *Config) { cfg.Client.Limits.Message = 32 << 10 }
	inBubble(t, shape{grouped: true, change: small}, func(t *testing.T, f *fixture) {
		names := crowd(t, f, 100)
		f.group.carryOut(t, state.SessionOpen{ID: sessionID(9), Name: "s", Owner: 1, TTL: 1e10})
		for _, name := range []string{"a", "job", "jobsz", "z"} {
			f.group.carryOut(t, state.Acquire{
				Session: sessionID(9), Holder: uint64(len(name)*100) + uint64(name[0]), Name: name,
				Kind: kindOf(wire.LockShared),
			})
		}
		c := f.client()
		var got []string
		q := wire.PrefixRequest{Prefix: "jobs/", Limit: 3}
		for pages := 0; ; pages++ {
			page, err := listLocks(c, q)
			must(t, err)
			for i, l := range page.Locks {
				if i > 0 && l.HolderCount+l.WaiterCount > 0 {
					t.Errorf("%s is cut off, though it could have begun a page", l.Name)
				}
				got = append(got, l.Name)
				holders, waiters := len(l.Holders), len(l.Waiters)
				if l.HolderCount > 0 {
					holders = int(l.HolderCount)
				}
				if l.WaiterCount > 0 {
					waiters = int(l.WaiterCount)
				}
				if holders+waiters != 100 || len(l.Holders) == 0 {
					t.Errorf("%s: %d holders, %d waiters, %d shown", l.Name, holders, waiters,
						len(l.Holders)+len(l.Waiters))
				}
			}
			if q.Cursor = page.Cursor; len(q.Cursor) == 0 {
				break
			}
			if pages > 20 {
				t.Fatal("the list does not end")
			}
		}
		if !slices.Equal(got, names) {
			t.Errorf("listed %q, want %q", got, names)
		}
		_, err := listLocks(c, wire.PrefixRequest{Prefix: "other", Cursor: []byte("of nobody")})
		wantCode(t, "a foreign cursor", err, wire.CodeInvalid)
		one, err := asked(c, wire.MethodLockGet, wire.LockGetRequest{Name: "jobs/0"},
			wire.AppendLockGetRequest, wire.DecodeLockGetResult)
		if err != nil || one.Kind != wire.LockShared || one.Index == 0 || len(one.Holders) == 0 {
			t.Errorf("shown %+v, %v", one, err)
		}
		free, err := asked(c, wire.MethodLockGet, wire.LockGetRequest{Name: "free"},
			wire.AppendLockGetRequest, wire.DecodeLockGetResult)
		if err != nil || free.Name != "free" || len(free.Holders)+len(free.Waiters) > 0 {
			t.Errorf("a free lock is shown as %+v, %v", free, err)
		}
	})
}

func TestListOfSessionsIsPaged(t *testing.T) {
	inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		for i := range byte(25) {
			openSession(t, c, i+1)
		}
		q, seen := wire.PrefixRequest{Prefix: "s", Limit: 10}, map[[16]byte]bool{}
		for range 4 {
			page, err := asked(c, wire.MethodSessionList, q, wire.AppendPrefixRequest,
				wire.DecodeSessionListResult)
			must(t, err)
			for _, s := range page.Sessions {
				if seen[s.Session] {
					t.Errorf("%x is listed twice", s.Session)
				}
				seen[s.Session] = true
			}
			if q.Cursor = page.Cursor; len(q.Cursor) == 0 {
				break
			}
		}
		if len(seen) != 25 || len(q.Cursor) > 0 {
			t.Errorf("%d sessions are listed; cursor %x", len(seen), q.Cursor)
		}
		_, err := listLocks(c, wire.PrefixRequest{Prefix: "s", Cursor: wire.AppendNameCursor(nil,
			wire.NameCursor{Name: "s"}, wire.MethodSessionList, "s")})
		wantCode(t, "the cursor of another list", err, wire.CodeInvalid)
	})
}

// What is listed has been agreed on when it is listed, unless the client takes less.
func TestOnlyStaleListsAreAnsweredWithoutTheLeader(t *testing.T) {
	for _, stale := range []bool{false, true} {
		inBubble(t, shape{grouped: true}, func(t *testing.T, f *fixture) {
			c := f.client()
			for i, ask := range []func() error{
				func() error { _, err := listLocks(c, wire.PrefixRequest{Stale: stale}); return err },
				func() error {
					_, err := asked(c, wire.MethodSessionList, wire.PrefixRequest{Stale: stale},
						wire.AppendPrefixRequest, wire.DecodeSessionListResult)
					return err
				},
				func() error {
					_, err := asked(c, wire.MethodLockGet, wire.LockGetRequest{Name: "l", Stale: stale},
						wire.AppendLockGetRequest, wire.DecodeLockGetResult)
					return err
				},
			} {
				must(t, ask())
				want := i + 1
				if stale {
					want = 0
				}
				if f.group.barriers != want {
					t.Errorf("stale %v: %d barriers, want %d", stale, f.group.barriers, want)
				}
			}
		})
	}
}
