// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func ptr[T any](v T) *T { return &v }

func goldenLife() Life {
	return Life{
		Instance: 9, Filling: true,
		Word: RejoinWord{Previous: 4, For: kv.Open{Seq: 12, Nonce: 0xbbbb}, Wiped: true},
	}
}

func goldenFences() []PlacementFence {
	return []PlacementFence{{Partition: 42, Version: 5}, {Partition: 300, Version: 1<<48 | 6}}
}

func goldenRefill() []RefillSource {
	return []RefillSource{{Node: 2, Instance: 9, Copied: []byte{0xff, 0x03}}, {Node: 3, Instance: 1}}
}

func goldenFencing() []golden {
	return []golden{
		of("replica.fence.params", "", FenceRequest{
			Node: 2, Life: 9, Since: 1<<48 | 6, Instance: 3, RemainingMS: 4900,
		}, AppendFenceRequest, DecodeFenceRequest),
		of("replica.fence.result", "", FenceReply{
			Instance: 3, Code: ReplicaRefused, Detail: "behind",
		}, AppendFenceReply, DecodeFenceReply),
	}
}

func TestRecordsAboutRefillsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64()
		life := Life{
			Instance: kv.Instance(number.Draw(t, "instance")),
			Filling:  rapid.Bool().Draw(t, "filling"),
			Word: RejoinWord{
				Previous: kv.Instance(number.Draw(t, "previous")),
				For:      kv.Open{Seq: number.Draw(t, "seq"), Nonce: number.Draw(t, "nonce")},
				Wiped:    rapid.Bool().Draw(t, "wiped"),
			},
		}
		got, err := DecodeLifeRecord(AppendLifeRecord(nil, &life))
		if err != nil || got != life {
			t.Fatalf("life: %+v, %v", got, err)
		}
		fences := rapid.SliceOf(rapid.Custom(func(t *rapid.T) PlacementFence {
			return PlacementFence{
				Partition: rapid.Uint16().Draw(t, "partition"),
				Version:   kv.PlacementVersion(number.Draw(t, "version")),
			}
		})).Draw(t, "fences")
		gotFences, err := DecodeFencesRecord(AppendFencesRecord(nil, fences))
		if diff := cmp.Diff(fences, gotFences, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("fences: %v %s", err, diff)
		}
		sources := rapid.SliceOf(rapid.Custom(func(t *rapid.T) RefillSource {
			return RefillSource{
				Node:     kv.NodeID(rapid.Uint16().Draw(t, "node")),
				Instance: kv.Instance(number.Draw(t, "instance")),
				Copied:   rapid.SliceOf(rapid.Byte()).Draw(t, "copied"),
			}
		})).Draw(t, "sources")
		gotSources, err := DecodeRefillRecord(AppendRefillRecord(nil, sources))
		if diff := cmp.Diff(sources, gotSources, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("refill: %v %s", err, diff)
		}
	})
}

func TestMessagesAboutFencesComeBack(t *testing.T) {
	number := rapid.Uint64()
	t.Run("params", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) FenceRequest {
			return FenceRequest{
				Node: kv.NodeID(rapid.Uint16().Draw(t, "node")),
				Life: kv.Instance(number.Draw(t, "life")), Since: kv.PlacementVersion(number.Draw(t, "since")),
				Instance:    kv.Instance(number.Draw(t, "instance")),
				RemainingMS: rapid.Uint32().Draw(t, "remaining"),
			}
		}, AppendFenceRequest, DecodeFenceRequest)
	})
	t.Run("result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) FenceReply {
			return FenceReply{
				Instance: kv.Instance(number.Draw(t, "instance")),
				Code:     rapid.SampledFrom([]ReplicaCode{ReplicaOK, ReplicaRefused}).Draw(t, "code"),
				Detail:   drawText(t, "detail"),
			}
		}, AppendFenceReply, DecodeFenceReply)
	})
}
