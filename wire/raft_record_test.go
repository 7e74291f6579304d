// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

// raftRecord is one kind of record, with its codec and what may stand in it.
type raftRecord struct {
	name   string
	draw   func(*rapid.T) any
	append func(any) []byte
	decode func([]byte) (any, error)
}

func raftRecords() []raftRecord {
	id := rapid.Uint64()
	ids := func(t *rapid.T) []uint64 {
		if l := rapid.SliceOfN(id, 0, 5).Draw(t, "ids"); len(l) > 0 {
			return l
		}
		return nil
	}
	opens := func(t *rapid.T) []kv.Open {
		list := []kv.Open{}
		for seq := uint64(0); len(list) < rapid.IntRange(0, 4).Draw(t, "opens"); {
			seq += rapid.Uint64Range(1, 1<<40).Draw(t, "seq")
			list = append(list, kv.Open{Seq: seq, Nonce: id.Draw(t, "nonce")})
		}
		return list
	}
	entryKey, partKey := RaftEntryKey(3, 9), SnapshotPartKey(5, 1)
	return []raftRecord{
		{"state", func(t *rapid.T) any {
			base := rapid.Uint64Range(0, 1<<40).Draw(t, "base")
			commit := base + rapid.Uint64Range(0, 1<<40).Draw(t, "commit")
			return RaftState{
				Raft: id.Draw(t, "raft"), Epoch: id.Draw(t, "epoch"), Term: id.Draw(t, "term"),
				Vote: id.Draw(t, "vote"), Commit: commit, Base: base, BaseTerm: id.Draw(t, "base term"),
				Last: commit + rapid.Uint64Range(0, 9).Draw(t, "last"),
			}
		}, func(v any) []byte { s := v.(RaftState); return AppendRaftStateRecord(nil, &s) },
			func(b []byte) (any, error) { return DecodeRaftStateRecord(b) }},
		{"entry", func(t *rapid.T) any {
			data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
			return RaftEntry{Term: id.Draw(t, "term"), Kind: rapid.Byte().Draw(t, "kind"), Data: data}
		}, func(v any) []byte { e := v.(RaftEntry); return AppendRaftEntryRecord(nil, entryKey, &e) },
			func(b []byte) (any, error) { return DecodeRaftEntryRecord(entryKey, b) }},
		{"opens", func(t *rapid.T) any {
			return RaftOpens{
				Raft: id.Draw(t, "raft"), List: opens(t), Refused: rapid.Bool().Draw(t, "refused"),
			}
		},
			func(v any) []byte { o := v.(RaftOpens); return AppendRaftOpensRecord(nil, &o) },
			func(b []byte) (any, error) { return DecodeRaftOpensRecord(b) }},
		{"peers", func(t *rapid.T) any {
			peers := []RaftPeer{}
			for _, o := range opens(t) {
				peers = append(peers, RaftPeer{Raft: id.Draw(t, "raft"), Open: o})
			}
			return peers
		}, func(v any) []byte { return AppendRaftPeersRecord(nil, v.([]RaftPeer)) },
			func(b []byte) (any, error) { return DecodeRaftPeersRecord(b) }},
		{"snapshot head", func(t *rapid.T) any {
			return SnapshotHead{
				ID: id.Draw(t, "id"), Index: id.Draw(t, "index"), Term: id.Draw(t, "term"),
				Size: id.Draw(t, "size"), Sum: id.Draw(t, "sum"), Parts: id.Draw(t, "parts"),
				Voters: ids(t), Learners: ids(t), Outgoing: ids(t), LearnersNext: ids(t),
				AutoLeave: rapid.Bool().Draw(t, "leave"),
			}
		}, func(v any) []byte { h := v.(SnapshotHead); return AppendSnapshotHeadRecord(nil, &h) },
			func(b []byte) (any, error) { return DecodeSnapshotHeadRecord(b) }},
		{"snapshot part", func(t *rapid.T) any { return rapid.SliceOf(rapid.Byte()).Draw(t, "part") },
			func(v any) []byte { return AppendSnapshotPartRecord(nil, partKey, v.([]byte)) },
			func(b []byte) (any, error) { return DecodeSnapshotPartRecord(partKey, b) }},
	}
}

func TestRecordsOfTheRaftLogComeBackAsTheyWere(t *testing.T) {
	for _, r := range raftRecords() {
		t.Run(r.name, rapid.MakeCheck(func(t *rapid.T) {
			want := r.draw(t)
			rec := r.append(want)
			got, err := r.decode(rec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(sameBytes)); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			at := rapid.IntRange(0, len(rec)-1).Draw(t, "at")
			rec[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if _, err := r.decode(rec); !errors.Is(err, ErrRecord) {
				t.Fatalf("%v for a flipped bit in byte %d, want ErrRecord", err, at)
			}
		}))
	}
}

func sameBytes(a, b []byte) bool { return string(a) == string(b) }

// A payload that has its checksum may still be anything.
func FuzzDecodeRaftRecords(f *testing.F) {
	for _, r := range raftRecords() {
		f.Add(rapid.Custom(func(t *rapid.T) []byte { return r.append(r.draw(t)) }).Example(1))
	}
	keys := []string{
		KeyRaftState, RaftEntryKey(3, 9), KeyRaftOpens, KeyRaftPeers, KeySnapshot, SnapshotPartKey(5, 1),
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for i, r := range raftRecords() {
			rec := AppendRecord(nil, FormatRaftState+Format(i), []byte(keys[i]), payload)
			once, err := r.decode(rec)
			if err != nil {
				continue
			}
			twice, err := r.decode(r.append(once))
			if err != nil || !reflect.DeepEqual(once, twice) {
				t.Fatalf("%s: %v became %v, %v", r.name, once, twice, err)
			}
		}
	})
}

func TestRaftStateThatCanNotBeIsNoRecord(t *testing.T) {
	for name, s := range map[string]RaftState{
		"ends before it begins":           {Base: 5, Commit: 5, Last: 4},
		"commits what is not kept":        {Base: 5, Commit: 4, Last: 6},
		"commits what was never appended": {Base: 5, Commit: 7, Last: 6},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeRaftStateRecord(AppendRaftStateRecord(nil, &s)); !errors.Is(err, ErrRecord) {
				t.Errorf("%v, want ErrRecord", err)
			}
		})
	}
}

func TestKeysOfTheRaftLogSortAsTheirNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64()
		a, b := n.Draw(t, "a"), n.Draw(t, "b")
		epoch := n.Draw(t, "epoch")
		if (a < b) != (RaftEntryKey(epoch, a) < RaftEntryKey(epoch, b)) {
			t.Fatalf("%d and %d sort as %s and %s", a, b, RaftEntryKey(epoch, a), RaftEntryKey(epoch, b))
		}
		if e, i, err := ParseRaftEntryKey(RaftEntryKey(epoch, a)); err != nil || e != epoch || i != a {
			t.Fatalf("%d, %d, %v", e, i, err)
		}
		part := rapid.Uint64Range(0, 1<<32-1).Draw(t, "part")
		if id, p, err := ParseSnapshotPartKey(SnapshotPartKey(a, part)); err != nil || id != a || p != part {
			t.Fatalf("%d, %d, %v", id, p, err)
		}
	})
	for _, key := range []string{"", "raft/log/", RaftEntryKey(1, 1) + "0", SnapshotPartKey(1, 1) + "x"} {
		if _, _, err := ParseRaftEntryKey(key); !errors.Is(err, ErrRecordKey) {
			t.Errorf("%q: %v, want ErrRecordKey", key, err)
		}
		if _, _, err := ParseSnapshotPartKey(key); !errors.Is(err, ErrRecordKey) {
			t.Errorf("%q: %v, want ErrRecordKey", key, err)
		}
	}
}

// Directories of builds from before a seat could be refused have no word of it.
func TestOpeningsWithoutAWordOfRefusalAreRead(t *testing.T) {
	payload := []byte{0x92, 7, 0x91, 0x92, 3, 9}
	got, err := DecodeRaftOpensRecord(
		AppendRecord(nil, FormatRaftOpens, []byte(KeyRaftOpens), payload))
	want := RaftOpens{Raft: 7, List: []kv.Open{{Seq: 3, Nonce: 9}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
