// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func goldenRepairs() []golden {
	return []golden{
		of("repair.wait.request", "", RepairWaitRequest{
			Common: Common{TimeoutMS: 30_000}, Round: 3,
		}, AppendRepairWaitRequest, DecodeRepairWaitRequest),
		of("repair.pause.request", "", RepairPauseRequest{Common: defaults(), ForMS: 3_600_000},
			AppendRepairPauseRequest, DecodeRepairPauseRequest),
		of("repair.status.result", "also of repair.run and repair.wait", RepairStatusResult{
			Node: "n1", PausedMS: 1000, Round: 3, Pairs: 256, Settled: 255, Running: 1,
			OldestMS: 61_000, Behind: []RepairBehind{{
				Partition: 42, Node: "n2", State: "not-comparable", Reason: "the tree is being built",
			}},
			Compared: 5000, Failed: 2, Repaired: 17, Bytes: 17_408,
			Scrub: ScrubStatus{
				Rounds: 1, Done: 12, Partitions: 128, Keys: 1000, Bytes: 1_024_000, Damaged: 1, Mended: 2,
			},
			Trees: TreeStatus{Known: 127, Owned: 128, Builds: 128, Mismatches: 1},
		}, AppendRepairStatusResult, DecodeRepairStatusResult),
		of("ring.partitions.result", "that of partition 9 is not known", RingPartitionsResult{
			Node: "n1", Partitions: []PartitionContents{
				{Partition: 0, Known: true, Keys: 40, Tombstones: 3},
				{Partition: 5, Known: true, Damaged: 1}, {Partition: 9},
			}, Reason: "that of partition 9 is being built",
		}, AppendRingPartitionsResult, DecodeRingPartitionsResult),
		of("repair.status.refill.result", "of a node whose store is being filled",
			RepairStatusResult{
				Node: "n3", Pairs: 256, Never: true, Trees: TreeStatus{Owned: 128},
				Scrub: ScrubStatus{Partitions: 128},
				Refill: &RefillStatus{
					Instance: 4, Phase: "copy", Source: "n2", Done: 12, Partitions: 64, Pairs: 192,
					Copied: 140, Keys: 5000, Sources: []string{"n1"}, Missing: []string{"n2"},
					Lost: []uint16{7, 9}, Accepted: true, Without: []string{"n4"},
					Reason: "node 2: it is down",
				},
			}, AppendRepairStatusResult, DecodeRepairStatusResult),
		of("repair.accept_loss.request", "", AcceptLossRequest{
			Common: defaults(), Instance: 4, Without: []string{"n4"},
		}, AppendAcceptLossRequest, DecodeAcceptLossRequest),
	}
}

func repairDecoders() []decoder {
	return []decoder{
		pair("repair wait", AppendRepairWaitRequest, DecodeRepairWaitRequest),
		pair("repair pause", AppendRepairPauseRequest, DecodeRepairPauseRequest),
		pair("repair status", AppendRepairStatusResult, DecodeRepairStatusResult),
		pair("ring partitions", AppendRingPartitionsResult, DecodeRingPartitionsResult),
		pair("accept loss", AppendAcceptLossRequest, DecodeAcceptLossRequest),
	}
}

func TestMessagesAboutRepairsComeBack(t *testing.T) {
	t.Parallel()
	t.Run("wait", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) RepairWaitRequest {
			return RepairWaitRequest{Common: drawCommon(t), Round: drawCount(t, "round")}
		}, AppendRepairWaitRequest, DecodeRepairWaitRequest)
	})
	t.Run("pause", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) RepairPauseRequest {
			return RepairPauseRequest{
				Common: drawCommon(t), ForMS: rapid.Uint32Range(1, MaxPauseMS).Draw(t, "for"),
			}
		}, AppendRepairPauseRequest, DecodeRepairPauseRequest)
	})
	t.Run("accept loss", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) AcceptLossRequest {
			return AcceptLossRequest{
				Common: drawCommon(t), Instance: kv.Instance(drawCount(t, "instance")),
				Without: drawNames(t, "without"),
			}
		}, AppendAcceptLossRequest, DecodeAcceptLossRequest)
	})
	t.Run("status", func(t *testing.T) {
		comesBack(t, drawRepairStatus, AppendRepairStatusResult, DecodeRepairStatusResult)
	})
	t.Run("partitions", func(t *testing.T) {
		comesBack(t, drawPartitions, AppendRingPartitionsResult, DecodeRingPartitionsResult)
	})
}

func drawPartitions(t *rapid.T) RingPartitionsResult {
	contents := rapid.Custom(func(t *rapid.T) PartitionContents {
		p := PartitionContents{
			Partition: rapid.Uint16().Draw(t, "partition"), Known: drawFlag(t, "known"),
		}
		if p.Known {
			p.Keys, p.Tombstones = drawCount(t, "keys"), drawCount(t, "tombstones")
			p.Damaged = drawCount(t, "damaged")
		}
		return p
	})
	return RingPartitionsResult{
		Node: drawText(t, "node"), Partitions: rapid.SliceOfN(contents, 0, 5).Draw(t, "partitions"),
		Reason: drawText(t, "reason"),
	}
}

func drawRepairStatus(t *rapid.T) RepairStatusResult {
	behind := rapid.Custom(func(t *rapid.T) RepairBehind {
		return RepairBehind{
			Partition: rapid.Uint16().Draw(t, "partition"), Node: drawText(t, "node"),
			State: RepairState(drawText(t, "state")), Reason: drawText(t, "reason"),
		}
	})
	a := RepairStatusResult{
		Node: drawText(t, "node"), PausedMS: drawCount(t, "paused"), Round: drawCount(t, "round"),
		Pairs: drawCount(t, "pairs"), Settled: drawCount(t, "settled"),
		Running: drawCount(t, "running"), Never: drawFlag(t, "never"),
		Behind:   rapid.SliceOfN(behind, 0, 5).Draw(t, "behind"),
		Compared: drawCount(t, "compared"), Failed: drawCount(t, "failed"),
		Repaired: drawCount(t, "repaired"), Bytes: drawCount(t, "bytes"),
		Scrub: ScrubStatus{
			Rounds: drawCount(t, "rounds"), Done: drawCount(t, "done"),
			Partitions: drawCount(t, "partitions"), Keys: drawCount(t, "keys"),
			Bytes: drawCount(t, "read"), Damaged: drawCount(t, "damaged"),
			Mended: drawCount(t, "mended"),
		},
		Trees: TreeStatus{
			Known: drawCount(t, "known"), Owned: drawCount(t, "owned"),
			Builds: drawCount(t, "builds"), Mismatches: drawCount(t, "mismatches"),
		},
	}
	if !a.Never {
		a.OldestMS = drawCount(t, "oldest")
	}
	if drawFlag(t, "filling") {
		a.Refill = drawRefill(t)
	}
	return a
}

func drawNames(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawText(t, "name") }), 0, 3).
		Draw(t, label)
}

func drawRefill(t *rapid.T) *RefillStatus {
	return &RefillStatus{
		Instance: kv.Instance(drawCount(t, "instance")), Phase: RefillPhase(drawText(t, "phase")),
		Source: drawText(t, "source"), Done: drawCount(t, "done"),
		Partitions: drawCount(t, "partitions"), Pairs: drawCount(t, "pairs"),
		Copied: drawCount(t, "copied"), Keys: drawCount(t, "keys"),
		Sources: drawNames(t, "sources"), Missing: drawNames(t, "missing"),
		Lost:     rapid.SliceOfN(rapid.Uint16(), 0, 5).Draw(t, "lost"),
		Accepted: drawFlag(t, "accepted"), Without: drawNames(t, "without"),
		Reason: drawText(t, "reason"),
	}
}

func drawWork(t *rapid.T) *WorkStatus {
	if drawFlag(t, "no work") {
		return nil
	}
	s := &WorkStatus{
		Hints: drawCount(t, "hints"), Markers: drawCount(t, "markers"), Bytes: drawCount(t, "bytes"),
		DamagedHints: drawCount(t, "damaged"), Counted: drawFlag(t, "counted"),
		OldestMS: drawCount(t, "oldest"), PausedMS: drawCount(t, "paused"),
		Pairs: drawCount(t, "pairs"), Settled: drawCount(t, "settled"),
		Trees: TreeStatus{
			Known: drawCount(t, "known"), Owned: drawCount(t, "owned"), Builds: drawCount(t, "builds"),
			Mismatches: drawCount(t, "mismatches"),
		},
		Unreadable: drawCount(t, "unreadable"), Purge: PurgeStatus{
			Epoch: kv.PurgeEpoch(drawCount(t, "epoch")), Open: drawCount(t, "open"),
			Missed: drawCount(t, "missed"),
		},
		Full: drawFlag(t, "full"),
	}
	if drawFlag(t, "refill") {
		s.Refill = drawRefill(t)
	}
	return s
}

func TestRequestsAboutRepairsAreStrict(t *testing.T) {
	t.Parallel()
	var refused *DecodeError
	for name, m := range map[string]map[string]any{
		"no time": {}, "no time at all": {"for_ms": 0}, "more than a day": {"for_ms": MaxPauseMS + 1},
		"a key of another": {"for_ms": 1, "round": 1},
	} {
		var q RepairPauseRequest
		if err := DecodeRepairPauseRequest(params(t, m), &q); !errors.As(err, &refused) {
			t.Errorf("a pause with %s: %v", name, err)
		}
	}
	for name, m := range map[string]map[string]any{
		"no life": {"without": []any{"n2"}}, "a node that is none": {"instance": 1, "without": []any{7}},
		"a key of another": {"instance": 1, "round": 1},
	} {
		var q AcceptLossRequest
		if err := DecodeAcceptLossRequest(params(t, m), &q); !errors.As(err, &refused) {
			t.Errorf("a word with %s: %v", name, err)
		}
	}
	for name, m := range map[string]map[string]any{
		"no round": {}, "a negative one": {"round": -1}, "a key of results": {"round": 1, "pairs": 1},
	} {
		var q RepairWaitRequest
		if err := DecodeRepairWaitRequest(params(t, m), &q); !errors.As(err, &refused) {
			t.Errorf("a wait with %s: %v", name, err)
		}
	}
}
