// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func drawOutcome(t *rapid.T) MetaOutcome {
	return MetaOutcome{
		Code:   MetaCode(rapid.Uint8Range(uint8(MetaOK), uint8(MetaUnknown)).Draw(t, "code")),
		Leader: kv.NodeID(rapid.Uint16().Draw(t, "leader")),
		Term:   drawCount(t, "term"), Detail: drawText(t, "detail"),
	}
}

func drawBins(t *rapid.T, label string) [][]byte {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 30), 0, 20).Draw(t, label)
}

func drawStateHash(t *rapid.T) (h StateHash) {
	if drawFlag(t, "hash") {
		h.Index = rapid.Uint64Min(1).Draw(t, "hash index")
		copy(h.Hash[:], drawBytes(t, "hash bytes", 32, 32))
	}
	return h
}

func drawPart(t *rapid.T) SnapshotPart {
	p := SnapshotPart{
		Index: rapid.Uint64Min(1).Draw(t, "index"), Term: drawCount(t, "term"),
		Sum: drawCount(t, "sum"), Chunk: drawBytes(t, "chunk", 0, 40),
	}
	p.Offset = rapid.Uint64Range(0, MaxMetaSnapshot-40).Draw(t, "offset")
	p.Total = rapid.Uint64Range(p.Offset+uint64(len(p.Chunk)), MaxMetaSnapshot).Draw(t, "total")
	return p
}

func TestRaftMessagesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("hello", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaHello {
			h := MetaHello{
				Raft: drawCount(t, "raft"), For: drawCount(t, "for"), Term: drawCount(t, "term"),
				Open:    drawOpens(t).List,
				Verdict: kv.Verdict(rapid.Uint8Range(0, uint8(kv.VerdictForked)).Draw(t, "verdict")),
				Detail:  drawText(t, "detail"),
			}
			return h
		}, AppendMetaHello, DecodeMetaHello)
	})
	t.Run("step", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaStepRequest {
			return MetaStepRequest{
				Raft: drawCount(t, "raft"), Messages: drawBins(t, "messages"), Hash: drawStateHash(t),
			}
		}, AppendMetaStepRequest, DecodeMetaStepRequest)
	})
	t.Run("step reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaStepReply {
			return MetaStepReply{
				Taken: drawFlag(t, "taken"), Hash: drawStateHash(t), Detail: drawText(t, "detail"),
			}
		}, AppendMetaStepReply, DecodeMetaStepReply)
	})
	t.Run("snapshot", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaSnapshotRequest {
			return MetaSnapshotRequest{Raft: drawCount(t, "raft"), Part: drawPart(t)}
		}, AppendMetaSnapshotRequest, DecodeMetaSnapshotRequest)
	})
	t.Run("snapshot reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaSnapshotReply {
			return MetaSnapshotReply{
				MetaOutcome: drawOutcome(t),
				Next:        rapid.Uint64Range(0, MaxMetaSnapshot).Draw(t, "next"),
			}
		}, AppendMetaSnapshotReply, DecodeMetaSnapshotReply)
	})
}

func TestWhatIsAskedOfTheGroupComesBack(t *testing.T) {
	t.Parallel()
	t.Run("propose", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaProposeRequest {
			return MetaProposeRequest{
				RemainingMS: rapid.Uint32().Draw(t, "remaining"), Commands: drawBins(t, "commands"),
			}
		}, AppendMetaProposeRequest, DecodeMetaProposeRequest)
	})
	t.Run("propose reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaProposeReply {
			return MetaProposeReply{
				MetaOutcome: drawOutcome(t), Index: drawCount(t, "index"),
				Results: drawBins(t, "results"),
			}
		}, AppendMetaProposeReply, DecodeMetaProposeReply)
	})
	t.Run("read_index", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaReadIndexRequest {
			return MetaReadIndexRequest{RemainingMS: rapid.Uint32().Draw(t, "remaining")}
		}, AppendMetaReadIndexRequest, DecodeMetaReadIndexRequest)
	})
	t.Run("read_index reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaReadIndexReply {
			return MetaReadIndexReply{MetaOutcome: drawOutcome(t), Index: drawCount(t, "index")}
		}, AppendMetaReadIndexReply, DecodeMetaReadIndexReply)
	})
	t.Run("renew", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaRenewRequest {
			return MetaRenewRequest{
				RemainingMS: rapid.Uint32().Draw(t, "remaining"),
				Sessions:    rapid.SliceOfN(rapid.Custom(drawSession), 0, 20).Draw(t, "sessions"),
			}
		}, AppendMetaRenewRequest, DecodeMetaRenewRequest)
	})
	t.Run("renew reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaRenewReply {
			return MetaRenewReply{
				MetaOutcome: drawOutcome(t), Index: drawCount(t, "index"),
				Renewed: rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(t, "renewed"),
			}
		}, AppendMetaRenewReply, DecodeMetaRenewReply)
	})
	t.Run("tail", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaTailRequest {
			return MetaTailRequest{
				After: drawCount(t, "after"), Term: drawCount(t, "term"), Generation: drawGeneration(t),
				RemainingMS: rapid.Uint32().Draw(t, "remaining"),
				Bytes:       rapid.Uint32().Draw(t, "bytes"), Snapshot: drawCount(t, "snapshot"),
				Offset: rapid.Uint64Range(0, MaxMetaSnapshot).Draw(t, "offset"),
			}
		}, AppendMetaTailRequest, DecodeMetaTailRequest)
	})
	t.Run("tail reply", func(t *testing.T) {
		entry := rapid.Custom(func(t *rapid.T) MetaEntry {
			return MetaEntry{
				Index: drawCount(t, "index"), Term: drawCount(t, "term"),
				Data: drawBytes(t, "data", 0, 40),
			}
		})
		comesBack(t, func(t *rapid.T) MetaTailReply {
			a := MetaTailReply{
				MetaOutcome: drawOutcome(t), Generation: drawGeneration(t),
				Committed: drawCount(t, "committed"),
				Entries:   rapid.SliceOfN(entry, 0, 9).Draw(t, "entries"),
				Voters:    rapid.SliceOfN(rapid.Uint64(), 0, 5).Draw(t, "voters"),
				Raft:      drawCount(t, "raft"),
				Open:      kv.Open{Seq: drawCount(t, "open"), Nonce: rapid.Uint64().Draw(t, "nonce")},
			}
			if drawFlag(t, "part") {
				a.Part = drawPart(t)
			}
			return a
		}, AppendMetaTailReply, DecodeMetaTailReply)
	})
	t.Run("view", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaViewRequest {
			return MetaViewRequest{Version: drawCount(t, "version")}
		}, AppendMetaViewRequest, DecodeMetaViewRequest)
	})
	t.Run("view reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) MetaViewReply {
			return MetaViewReply{Version: drawCount(t, "version"), View: drawBytes(t, "view", 0, 40)}
		}, AppendMetaViewReply, DecodeMetaViewReply)
	})
}

// A list that is longer than its bound is refused by its count, before room is made for
// it; one that is as long as it may be passes.
func TestListsOfTheGroupAreBounded(t *testing.T) {
	t.Parallel()
	many := func(n int) [][]byte {
		list := make([][]byte, n)
		for i := range list {
			list[i] = []byte{1}
		}
		return list
	}
	cases := []struct {
		name  string
		limit int
		of    func(n int) error
	}{
		{"openings", MaxOpens, func(n int) error {
			h := MetaHello{Open: make([]kv.Open, n)}
			return DecodeMetaHello(AppendMetaHello(nil, &h), &h)
		}},
		{"messages", MaxMetaMessages, func(n int) error {
			q := MetaStepRequest{Messages: many(n)}
			return DecodeMetaStepRequest(AppendMetaStepRequest(nil, &q), &q)
		}},
		{"commands", MaxMetaCommands, func(n int) error {
			q := MetaProposeRequest{Commands: many(n)}
			return DecodeMetaProposeRequest(AppendMetaProposeRequest(nil, &q), &q)
		}},
		{"results", MaxMetaCommands, func(n int) error {
			a := MetaProposeReply{MetaOutcome: MetaOutcome{Code: MetaOK}, Results: many(n)}
			return DecodeMetaProposeReply(AppendMetaProposeReply(nil, &a), &a)
		}},
		{"sessions", MaxMetaRenewals, func(n int) error {
			q := MetaRenewRequest{Sessions: make([][16]byte, n)}
			for i := range q.Sessions {
				q.Sessions[i][0] = 1
			}
			return DecodeMetaRenewRequest(AppendMetaRenewRequest(nil, &q), &q)
		}},
		{"renewed", MaxMetaRenewals, func(n int) error {
			a := MetaRenewReply{MetaOutcome: MetaOutcome{Code: MetaOK}, Renewed: make([]bool, n)}
			return DecodeMetaRenewReply(AppendMetaRenewReply(nil, &a), &a)
		}},
		{"entries", MaxMetaEntries, func(n int) error {
			a := MetaTailReply{MetaOutcome: MetaOutcome{Code: MetaOK}, Entries: make([]MetaEntry, n)}
			return DecodeMetaTailReply(AppendMetaTailReply(nil, &a), &a)
		}},
		{"chunk", MaxMetaChunk, func(n int) error {
			p := SnapshotPart{Index: 1, Total: MaxMetaSnapshot, Chunk: make([]byte, n)}
			q := MetaSnapshotRequest{Part: p}
			return DecodeMetaSnapshotRequest(AppendMetaSnapshotRequest(nil, &q), &q)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.of(c.limit); err != nil {
				t.Errorf("%d: %v", c.limit, err)
			}
			var refused *DecodeError
			if err := c.of(c.limit + 1); !errors.As(err, &refused) || refused.Code != CodeTooLarge {
				t.Errorf("%d: got %v", c.limit+1, err)
			}
		})
	}
}

func TestMessagesOfTheGroupThatSayNonsenseAreRefused(t *testing.T) {
	t.Parallel()
	snapshot := func(p SnapshotPart) error {
		q := MetaSnapshotRequest{Part: p}
		return DecodeMetaSnapshotRequest(AppendMetaSnapshotRequest(nil, &q), &q)
	}
	tail := func(b ...byte) error { // a request of one changed field
		var q MetaTailRequest
		return DecodeMetaTailRequest(b, &q)
	}
	var hello MetaHello
	var step MetaStepRequest
	var renew MetaRenewRequest
	for name, err := range map[string]error{
		"a piece beyond the end": snapshot(
			SnapshotPart{Index: 1, Total: 3, Offset: 2, Chunk: []byte("ab")}),
		"an offset beyond the end":   snapshot(SnapshotPart{Index: 1, Total: 3, Offset: 4}),
		"a snapshot beyond measure":  snapshot(SnapshotPart{Index: 1, Total: MaxMetaSnapshot + 1}),
		"a piece of no snapshot":     snapshot(SnapshotPart{Total: 3}),
		"a generation after the end": tail(0x97, 0, byte(kv.MaxGeneration)+1, 0, 0, 0, 0, 0),
		"an unknown verdict": DecodeMetaHello(AppendMetaHello(nil,
			&MetaHello{Verdict: kv.VerdictForked + 1}), &hello),
		"an empty message": DecodeMetaStepRequest(AppendMetaStepRequest(nil,
			&MetaStepRequest{Messages: [][]byte{{}}}), &step),
		"a hash of no index": DecodeMetaStepRequest(
			[]byte{0x93, 0, 0x90, 0x92, 0, 0xc4, 1, 7}, &step),
		"a hash of one byte": DecodeMetaStepRequest(
			[]byte{0x93, 0, 0x90, 0x92, 9, 0xc4, 1, 7}, &step),
		"a session of zeros": DecodeMetaRenewRequest(AppendMetaRenewRequest(nil,
			&MetaRenewRequest{Sessions: make([][16]byte, 1)}), &renew),
	} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: accepted, or another error: %v", name, err)
		}
	}
}

func TestOutcomesOfLaterReleasesPromiseNothing(t *testing.T) {
	t.Parallel()
	for _, code := range []MetaCode{0, MetaUnknown + 1, 255} {
		want := MetaReadIndexReply{MetaOutcome: MetaOutcome{Code: MetaUnknown}, Index: 5}
		sent := want
		sent.Code = code
		var got MetaReadIndexReply
		err := DecodeMetaReadIndexReply(AppendMetaReadIndexReply(nil, &sent), &got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("code %d: %s", code, diff)
		}
	}
}

func TestFieldsThatTheGroupGetsLaterAreSkipped(t *testing.T) {
	t.Parallel()
	for _, g := range goldenMeta() {
		longer := append([]byte{g.bytes[0] + 2}, g.bytes[1:]...)
		longer = append(longer, 0x92, 0xa1, 'x', 0xc0, 0x07)
		if diff := g.check(longer); diff != "" {
			t.Errorf("%s: %s", g.name, diff)
		}
	}
}

func TestATailThatTellsNotWhoAnswersIsRead(t *testing.T) {
	t.Parallel()
	inner := MetaTailReply{MetaOutcome: MetaOutcome{Code: MetaOK}}
	entry := []byte{0x94, 1, 1, 0xc4, 1, 'd', 0xc0}
	b := appendOutcome([]byte{0x96}, &inner.MetaOutcome)
	b = append(append(b, 0, 1, 0x91), entry...)
	b = append(appendSnapshotPart(b, &inner.Part), 0x90)
	var got MetaTailReply
	if err := DecodeMetaTailReply(b, &got); err != nil {
		t.Fatal(err)
	}
	want := []MetaEntry{{Index: 1, Term: 1, Data: []byte("d")}}
	if diff := cmp.Diff(want, got.Entries, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestATailThatTellsNoTermIsAskedFor(t *testing.T) {
	t.Parallel()
	var got MetaTailRequest
	if err := DecodeMetaTailRequest([]byte{0x96, 75, 1, 9, 10, 0, 0}, &got); err != nil {
		t.Fatal(err)
	}
	want := MetaTailRequest{After: 75, Generation: 1, RemainingMS: 9, Bytes: 10}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
