// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func goldenPeer() []golden {
	o := goldenObject()
	bare := o.WithoutValues()
	raw, rawBare := AppendObject(nil, &o), AppendObject(nil, &bare)
	scan := goldenTarget()
	scan.Key = nil
	read := ReadReply{Standing: goldenStanding(), Code: ReplicaOK, Object: o, Raw: raw}
	return []golden{
		of("object", "", o, AppendObject, func(b []byte, into *kv.Object) (err error) {
			*into, err = DecodeObject(b)
			return err
		}),
		of("object.bare", "without its values", bare, AppendObjectBare,
			func(b []byte, into *kv.Object) (err error) {
				*into, err = DecodeObject(b)
				return err
			}),
		of("peer.hello", "", PeerHello{
			Min: 1, Max: 1, Cluster: goldenCluster(), Node: 2, Instance: 9, OpenSeq: 12,
			Nonce: 0x0102030405060708, Features: []string{FeatureDev},
		}, AppendPeerHello, DecodePeerHello),
		of("peer.ping", "", struct{}{},
			func(dst []byte, _ *struct{}) []byte { return AppendPeerPing(dst) },
			func(b []byte, _ *struct{}) error { return DecodePeerPing(b) }),
		of("replica.store.params", "", StoreRequest{
			Target: goldenTarget(), Role: kv.RoleOwner, Class: kv.ClassClientWrite, Epoch: 2,
			Request: goldenRequestID(), Object: o, Raw: raw,
		}, AppendStoreRequest, DecodeStoreRequest),
		of("replica.store.result", "", StoreReply{Standing: goldenStanding(), Code: ReplicaOK},
			AppendStoreReply, DecodeStoreReply),
		of("replica.store.result.refused", "", StoreReply{
			Standing: Standing{Role: kv.RoleNotOwner, Placement: 6, Instance: 9, Epoch: 2},
			Code:     ReplicaRefused, Detail: "not an owner of partition 42 at version 6",
		}, AppendStoreReply, DecodeStoreReply),
		of("replica.read.params", "", ReadRequest{Target: goldenTarget(), Mode: ReadFull},
			AppendReadRequest, DecodeReadRequest),
		of("replica.read.result", "", read, AppendReadReply, DecodeReadReply),
		of("replica.scan.params", "", ScanRequest{
			Target: scan, Prefix: []byte("user/"), Limit: 100, Bytes: 1 << 20, Mode: ReadBare,
		}, AppendScanRequest, DecodeScanRequest),
		of("replica.scan.result", "", ScanReply{
			Standing: goldenStanding(), Code: ReplicaOK, More: true,
			Entries: []ScanEntry{{Key: []byte("user/1"), Object: bare, Raw: rawBare}},
		}, AppendScanReply, DecodeScanReply),
		of("coordinator.forward.params", "", ForwardRequest{
			Method: MethodPut, RemainingMS: 4900,
			Params: AppendPutRequest(nil, &PutRequest{Key: []byte("k"), Value: []byte("v")}),
		}, AppendForwardRequest, DecodeForwardRequest),
		of("coordinator.forward.result", "", ForwardReply{
			Result: AppendPutResult(nil, &PutResult{Context: goldenToken(), SiblingCount: 1}),
		}, AppendForwardReply, DecodeForwardReply),
		of("peer.chunk.params", "", Chunk{Stream: 7, Seq: 1, Last: true, Bytes: []byte("piece")},
			func(dst []byte, c *Chunk) []byte {
				dst = AppendChunkParams(dst, c.Stream, c.Seq, c.Last, len(c.Bytes))
				return append(dst, c.Bytes...)
			}, func(b []byte, into *Chunk) (err error) {
				*into, err = ParseChunk(b)
				return err
			}),
	}
}

func goldenRecords() []golden {
	o := goldenObject()
	bare := o.WithoutValues()
	key := AppendObjectKey(nil, 42, kv.DefaultBucket, []byte("user/1"))
	versionKey := AppendVersionKey(nil, 42, kv.DefaultBucket, []byte("user/1"), o.Versions[0].Dot)
	hintKey := AppendHintKey(nil, 42, 2, kv.DefaultBucket, []byte("user/1"))
	hintVersionKey := AppendHintVersionKey(
		nil, 42, 2, kv.DefaultBucket, []byte("user/1"), o.Versions[0].Dot)
	journalKey := AppendJournalKey(nil, 77)
	object := func(b []byte) (kv.Object, error) {
		got, _, err := DecodeObjectRecord(key, b)
		return got, err
	}
	entries := []JournalEntry{{
		Request: goldenRequestID(), Dot: o.Versions[0].Dot, KeyHash: 0x1122334455667788, At: goldenMS,
	}}
	id := Identity{Cluster: goldenCluster(), Node: 2, Name: "n2", Created: goldenMS}
	opens := Opens{List: []kv.Open{{Seq: 11, Nonce: 0xaaaa}, {Seq: 12, Nonce: 0xbbbb}}, Confirmed: 0, BootID: "boot-1"}
	mark := CleanMark{
		BootID: "boot-1", Stamp: kv.StampAt(goldenMS),
		Actors: []ActorMark{{42, kv.RoleOwner, goldenActor1, 300}}, TreeParts: 1,
	}
	trees := TreePart{Open: opens.List[1], Trees: [][]byte{[]byte("tree"), {}}}
	purges := Purges{Partition: 42, Recorded: 5, Adopted: 4, Drained: 4, Floor: 2}
	journal := sealed("record.journal", "one entry", entries,
		AppendJournalRecord(nil, journalKey, entries), func(b []byte) ([]JournalEntry, error) {
			return DecodeJournalRecord(nil, journalKey, b)
		})
	journal.plain = []byte{}
	return []golden{
		goldenKey("key.object", key, func(b []byte) bool {
			got, err := ParseObjectKey(b)
			return err == nil && string(got.Key) == "user/1" && got.Partition == 42
		}),
		goldenKey("key.version", versionKey, func(b []byte) bool {
			got, d, err := ParseVersionKey(b)
			return err == nil && string(got.Key) == "user/1" &&
				d == vclock.Dot{Actor: goldenActor1, Counter: 7}
		}),
		goldenKey("key.hint", hintKey, func(b []byte) bool {
			got, err := ParseHintKey(b)
			return err == nil && string(got.Key) == "user/1" && got.Partition == 42 && got.Slot == 2
		}),
		goldenKey("key.hint-version", hintVersionKey, func(b []byte) bool {
			got, d, err := ParseHintVersionKey(b)
			return err == nil && string(got.Key) == "user/1" && got.Slot == 2 &&
				d == vclock.Dot{Actor: goldenActor1, Counter: 7}
		}),
		goldenKey("key.journal", journalKey, func(b []byte) bool {
			got, err := ParseJournalKey(b)
			return err == nil && got == 77
		}),
		sealed("record.object", "under key.object", o, AppendObjectRecord(nil, key, &o), object),
		sealed("record.header", "under key.object", bare, AppendHeaderRecord(nil, key, &o), object),
		sealed("record.version", "under key.version", o.Versions[0],
			AppendVersionRecord(nil, versionKey, &o.Versions[0]), func(b []byte) (kv.Version, error) {
				return DecodeVersionRecord(versionKey, b)
			}),
		journal,
		sealed("record.identity", "", id, AppendIdentityRecord(nil, &id), DecodeIdentityRecord),
		sealed("record.opens", "", opens, AppendOpensRecord(nil, &opens), DecodeOpensRecord),
		sealed("record.clean-mark", "", mark,
			AppendCleanMarkRecord(nil, &mark), DecodeCleanMarkRecord),
		sealed("record.tree-part", "under trees/00000000", trees,
			AppendTreePartRecord(nil, TreePartKey(0), &trees), func(b []byte) (TreePart, error) {
				return DecodeTreePartRecord(TreePartKey(0), b)
			}),
		sealed("record.purges", "under purge/002a", purges, AppendPurgesRecord(nil, &purges),
			func(b []byte) (Purges, error) { return DecodePurgesRecord(PurgesKey(42), b) }),
		sealed("record.life", "", goldenLife(), AppendLifeRecord(nil, ptr(goldenLife())),
			DecodeLifeRecord),
		sealed("record.fences", "", goldenFences(), AppendFencesRecord(nil, goldenFences()),
			DecodeFencesRecord),
		sealed("record.refill", "", goldenRefill(), AppendRefillRecord(nil, goldenRefill()),
			DecodeRefillRecord),
	}
}

func goldenKey(name string, key []byte, same func([]byte) bool) golden {
	return golden{name: name, bytes: key, plain: []byte{}, check: func(b []byte) string {
		if !same(b) {
			return "parsed as something else"
		}
		return ""
	}}
}
