// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func goldenPurges() []golden {
	request := PurgeRequest{
		Partition: 42, Placement: 5, Instance: 9, RemainingMS: 4900, After: 2, Epoch: 4,
		Items: []PurgeItem{{
			TreePlace: TreePlace{Bucket: kv.DefaultBucket, Key: []byte("user/1")},
			Hash:      0x1122334455667788,
		}},
	}
	adopt := request
	adopt.Items = nil
	return []golden{
		of("purge.confirm.params", "also purge.delete", request, AppendPurgeRequest,
			DecodePurgeRequest),
		of("purge.confirm.result", "", PurgeReply{
			Standing: goldenStanding(), Code: ReplicaOK, Step: PurgeTaken,
			Holds: []bool{true, false},
		}, AppendPurgeReply, DecodePurgeReply),
		of("purge.adopt.params", "also purge.look", adopt, AppendPurgeRequest, DecodePurgeRequest),
		of("purge.adopt.result", "also purge.look and purge.delete", PurgeReply{
			Standing: goldenStanding(), Code: ReplicaOK, Step: PurgeOpen,
			Detail: "hints are kept for 2 slots",
		}, AppendPurgeReply, DecodePurgeReply),
	}
}

func purgeDecoders() []decoder {
	return []decoder{
		pair("purge", AppendPurgeRequest, DecodePurgeRequest),
		pair("purge reply", AppendPurgeReply, DecodePurgeReply),
	}
}

// purgeBombs are heads of messages about purges up to the count of a list in them.
func purgeBombs(count []byte) [][]byte {
	standing := appendStanding(nil, &Standing{Role: kv.RoleOwner})
	lists := [][]byte{
		{0x94, 0x94, 0, 0, 0, 0, 0, 0},                        // the items
		append(append([]byte{0x95}, standing...), 1, 0xa0, 0), // what is held
	}
	for i, head := range lists {
		lists[i] = append(append(head, 0xdd), count...)
	}
	return lists
}

func drawEpoch(t *rapid.T, name string) kv.PurgeEpoch {
	return kv.PurgeEpoch(rapid.Uint64().Draw(t, name))
}

func TestMessagesAboutPurgesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("request", func(t *testing.T) {
		item := rapid.Custom(func(t *rapid.T) PurgeItem {
			return PurgeItem{TreePlace: drawPlace(t), Hash: rapid.Uint64().Draw(t, "hash")}
		})
		comesBack(t, func(t *rapid.T) PurgeRequest {
			return PurgeRequest{
				Partition: rapid.Uint16().Draw(t, "partition"),
				Placement: kv.PlacementVersion(rapid.Uint64().Draw(t, "placement")),
				Instance:  kv.Instance(rapid.Uint64().Draw(t, "instance")),
				After:     drawEpoch(t, "after"), Epoch: drawEpoch(t, "epoch"),
				RemainingMS: rapid.Uint32().Draw(t, "remaining"),
				Items:       rapid.SliceOfN(item, 0, 20).Draw(t, "items"),
			}
		}, AppendPurgeRequest, DecodePurgeRequest)
	})
	t.Run("reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) PurgeReply {
			return PurgeReply{
				Standing: drawStanding(t), Code: drawReplicaCode(t), Detail: drawText(t, "detail"),
				Step:  PurgeStep(rapid.Uint8Range(0, uint8(PurgeMissed)).Draw(t, "step")),
				Holds: rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(t, "holds"),
			}
		}, AppendPurgeReply, DecodePurgeReply)
	})
	t.Run("record", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			want := Purges{
				Partition: rapid.Uint16().Draw(t, "partition"), Recorded: drawEpoch(t, "recorded"),
				Floor: drawEpoch(t, "floor"),
			}
			want.Drained = max(want.Floor, drawEpoch(t, "drained"))
			want.Adopted = max(want.Drained, drawEpoch(t, "adopted"))
			key := PurgesKey(want.Partition)
			got, err := DecodePurgesRecord(key, AppendPurgesRecord(nil, &want))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("%v %s", err, diff)
			}
		})
	})
}

func TestMessagesAboutPurgesAreBounded(t *testing.T) {
	t.Parallel()
	var refused *DecodeError
	var request PurgeRequest
	var reply PurgeReply
	for name, err := range map[string]error{
		"too many items": DecodePurgeRequest(AppendPurgeRequest(nil, &PurgeRequest{
			Items: make([]PurgeItem, MaxList+1),
		}), &request),
		"a key too long": DecodePurgeRequest(AppendPurgeRequest(nil, &PurgeRequest{
			Items: []PurgeItem{{TreePlace: TreePlace{Key: make([]byte, kv.MaxKey+1)}}},
		}), &request),
		"too many answers": DecodePurgeReply(AppendPurgeReply(nil, &PurgeReply{
			Standing: Standing{Role: kv.RoleOwner}, Code: ReplicaOK,
			Holds: make([]bool, MaxList+1),
		}), &reply),
		"a step that there is not": DecodePurgeReply(AppendPurgeReply(nil, &PurgeReply{
			Standing: Standing{Role: kv.RoleOwner}, Code: ReplicaOK, Step: PurgeMissed + 1,
		}), &reply),
	} {
		if !errors.As(err, &refused) {
			t.Errorf("%s: accepted, or another error: %v", name, err)
		}
	}
}

func TestPurgesThatCanNotBeAreRefused(t *testing.T) {
	t.Parallel()
	good := Purges{Partition: 3, Recorded: 9, Adopted: 8, Drained: 7, Floor: 6}
	for name, bad := range map[string]Purges{
		"a floor above what is drained":  {Partition: 3, Adopted: 8, Drained: 5, Floor: 6},
		"drained beyond what is adopted": {Partition: 3, Adopted: 6, Drained: 7, Floor: 6},
	} {
		rec := AppendPurgesRecord(nil, &bad)
		if _, err := DecodePurgesRecord(PurgesKey(3), rec); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rec := AppendPurgesRecord(nil, &good)
	SealRecord(rec, FormatPurges, []byte(PurgesKey(4)))
	if _, err := DecodePurgesRecord(PurgesKey(4), rec); !errors.Is(err, ErrRecord) {
		t.Errorf("under another partition's key: %v", err)
	}
}
