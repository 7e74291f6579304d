// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

const (
	goldenRaft1 = uint64(1<<48 | 1)
	goldenRaft2 = uint64(2<<48 | 4)
)

func goldenHash() StateHash {
	h := StateHash{Index: 4096}
	for i := range h.Hash {
		h.Hash[i] = byte(i)
	}
	return h
}

func goldenPart() SnapshotPart {
	return SnapshotPart{
		Index: 8192, Term: 2, Total: 100, Sum: 0x1122334455667788, Offset: 95, Chunk: []byte("piece"),
	}
}

func goldenMeta() []golden {
	ok := MetaOutcome{Code: MetaOK, Leader: 1, Term: 2}
	elsewhere := MetaOutcome{Code: MetaNotLeader, Leader: 1, Term: 2, Detail: "node 1 leads"}
	opens := []kv.Open{{Seq: 11, Nonce: 0xaaaa}, {Seq: 12, Nonce: 0xbbbb}}
	return append([]golden{
		of("meta.hello.params", "", MetaHello{
			Raft: goldenRaft2, For: goldenRaft1, Term: 2, Open: opens,
		}, AppendMetaHello, DecodeMetaHello),
		of("meta.hello.result", "", MetaHello{
			Raft: goldenRaft1, For: goldenRaft2, Term: 2, Open: opens[:1],
			Verdict: kv.VerdictForked, Detail: "the store was restored",
		}, AppendMetaHello, DecodeMetaHello),
		of("meta.step.params", "", MetaStepRequest{
			Raft: goldenRaft1, Messages: [][]byte{[]byte("first"), []byte("second")},
		}, AppendMetaStepRequest, DecodeMetaStepRequest),
		of("meta.step.params.hash", "with a hash to compare",
			MetaStepRequest{Raft: goldenRaft1, Hash: goldenHash()},
			AppendMetaStepRequest, DecodeMetaStepRequest),
		of("meta.step.result", "", MetaStepReply{Taken: true},
			AppendMetaStepReply, DecodeMetaStepReply),
		of("meta.step.result.hash", "", MetaStepReply{
			Hash: goldenHash(), Detail: "the states differ",
		}, AppendMetaStepReply, DecodeMetaStepReply),
		of("meta.snapshot.params", "", MetaSnapshotRequest{Raft: goldenRaft1, Part: goldenPart()},
			AppendMetaSnapshotRequest, DecodeMetaSnapshotRequest),
		of("meta.snapshot.result", "", MetaSnapshotReply{MetaOutcome: ok, Next: 100},
			AppendMetaSnapshotReply, DecodeMetaSnapshotReply),
	}, goldenMetaAsked(ok, elsewhere)...)
}

func goldenMetaAsked(ok, elsewhere MetaOutcome) []golden {
	other := goldenSession()
	other[0] = 0x60
	return []golden{
		of("meta.propose.params", "", MetaProposeRequest{
			RemainingMS: 4900, Commands: [][]byte{[]byte("a"), []byte("b")},
		}, AppendMetaProposeRequest, DecodeMetaProposeRequest),
		of("meta.propose.result", "", MetaProposeReply{
			MetaOutcome: ok, Index: 77, Results: [][]byte{[]byte("A"), []byte("B")},
		}, AppendMetaProposeReply, DecodeMetaProposeReply),
		of("meta.propose.result.elsewhere", "", MetaProposeReply{MetaOutcome: elsewhere},
			AppendMetaProposeReply, DecodeMetaProposeReply),
		of("meta.read_index.params", "", MetaReadIndexRequest{RemainingMS: 4900},
			AppendMetaReadIndexRequest, DecodeMetaReadIndexRequest),
		of("meta.read_index.result", "", MetaReadIndexReply{MetaOutcome: ok, Index: 77},
			AppendMetaReadIndexReply, DecodeMetaReadIndexReply),
		of("meta.renew.params", "", MetaRenewRequest{
			RemainingMS: 2500, Sessions: [][16]byte{goldenSession(), other},
		}, AppendMetaRenewRequest, DecodeMetaRenewRequest),
		of("meta.renew.result", "", MetaRenewReply{
			MetaOutcome: ok, Renewed: []bool{true, false}, Index: 77,
		}, AppendMetaRenewReply, DecodeMetaRenewReply),
		of("meta.tail.params", "", MetaTailRequest{
			After: 75, Term: 2, Generation: 1, RemainingMS: 2000, Bytes: 1 << 20,
		}, AppendMetaTailRequest, DecodeMetaTailRequest),
		of("meta.tail.params.piece", "the next piece of a snapshot", MetaTailRequest{
			After: 75, Generation: 1, RemainingMS: 2000, Bytes: 1 << 20, Snapshot: 8192, Offset: 95,
		}, AppendMetaTailRequest, DecodeMetaTailRequest),
		of("meta.tail.result", "", MetaTailReply{
			MetaOutcome: ok, Generation: 1, Committed: 77, Entries: []MetaEntry{
				{Index: 76, Term: 2}, {Index: 77, Term: 2, Data: []byte("entry")},
			},
			Voters: []uint64{1<<48 | 1, 2<<48 | 2}, Raft: 1<<48 | 1,
			Open: kv.Open{Seq: 11, Nonce: 43690},
		}, AppendMetaTailReply, DecodeMetaTailReply),
		of("meta.tail.result.piece", "", MetaTailReply{
			MetaOutcome: ok, Generation: 1, Committed: 8200, Part: goldenPart(),
		}, AppendMetaTailReply, DecodeMetaTailReply),
		of("meta.view.params", "", MetaViewRequest{Version: 4},
			AppendMetaViewRequest, DecodeMetaViewRequest),
		of("meta.view.result", "", MetaViewReply{Version: 5, View: []byte("view")},
			AppendMetaViewReply, DecodeMetaViewReply),
	}
}
