// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"pgregory.net/rapid"
)

func goldenHints() []golden {
	point := AppendHintsPoint(nil, &HintsPoint{
		Hints: true, Nodes: []HintsPointNode{{Node: 1, Mark: 3, Done: true}, {Node: 2, Mark: 7}},
	})
	return []golden{
		of("hints.status.result", "", HintsStatusResult{
			Node: "n1", Nodes: []HintsNode{
				{
					Node: "n1", Counted: true, Bytes: 70_000, Limit: 1 << 30, Delivered: 1000, Sent: 1 << 20,
					Unkept: 2, Backlog: []HintsBacklog{
						{Peer: "n2", Hints: 500, Markers: 1, Damaged: 1, Bytes: 70_000, OldestMS: 60_000},
					},
				},
				{Node: "n2", Reason: "not reachable from here"},
			},
		}, AppendHintsStatusResult, DecodeHintsStatusResult),
		of("hints.wait.request", "the first one", HintsWaitRequest{Common: defaults()},
			AppendHintsWaitRequest, DecodeHintsWaitRequest),
		of("hints.wait.request.next", "", HintsWaitRequest{Common: defaults(), Point: point},
			AppendHintsWaitRequest, DecodeHintsWaitRequest),
		of("hints.wait.result", "not yet", HintsWaitResult{
			Point: point, Hints: 500, Markers: 1, Bytes: 70_000, Damaged: 1, Sends: true,
			Missing: []string{"n2"},
		}, AppendHintsWaitResult, DecodeHintsWaitResult),
		of("hints.wait.result.stuck", "nothing else is left", HintsWaitResult{
			Point: point, Bytes: 70_000, Damaged: 1, Stuck: []HintsStuck{{Node: "n1", Damaged: 1}},
		}, AppendHintsWaitResult, DecodeHintsWaitResult),
		of("hints.wait.result.done", "", HintsWaitResult{Done: true},
			AppendHintsWaitResult, DecodeHintsWaitResult),
	}
}

func hintsDecoders() []decoder {
	return []decoder{
		pair("hints status result", AppendHintsStatusResult, DecodeHintsStatusResult),
		pair("hints wait", AppendHintsWaitRequest, DecodeHintsWaitRequest),
		pair("hints wait result", AppendHintsWaitResult, DecodeHintsWaitResult),
	}
}

func TestClientMessagesAboutHintsComeBack(t *testing.T) {
	t.Parallel()
	number := rapid.Uint64()
	backlog := rapid.Custom(func(t *rapid.T) HintsBacklog {
		return HintsBacklog{
			Peer: drawName(t, "peer"), Hints: number.Draw(t, "hints"),
			Markers: number.Draw(t, "markers"), Damaged: number.Draw(t, "damaged"),
			Bytes: number.Draw(t, "bytes"), OldestMS: number.Draw(t, "oldest"),
		}
	})
	node := rapid.Custom(func(t *rapid.T) HintsNode {
		return HintsNode{
			Node: drawName(t, "node"), Reason: drawText(t, "reason"), Counted: drawFlag(t, "counted"),
			Bytes: number.Draw(t, "bytes"), Limit: number.Draw(t, "limit"),
			Delivered: number.Draw(t, "delivered"), Sent: number.Draw(t, "sent"),
			Refused: number.Draw(t, "refused"), Unkept: number.Draw(t, "unkept"),
			Backlog: rapid.SliceOfN(backlog, 0, 5).Draw(t, "backlog"),
		}
	})
	stuck := rapid.Custom(func(t *rapid.T) HintsStuck {
		return HintsStuck{Node: drawName(t, "node"), Damaged: number.Draw(t, "damaged")}
	})
	t.Run("status", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HintsStatusResult {
			return HintsStatusResult{
				Node: drawName(t, "node"), Nodes: rapid.SliceOfN(node, 0, 5).Draw(t, "nodes"),
			}
		}, AppendHintsStatusResult, DecodeHintsStatusResult)
	})
	t.Run("wait", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HintsWaitRequest {
			return HintsWaitRequest{Common: drawCommon(t), Point: drawBytes(t, "point", 0, 60)}
		}, AppendHintsWaitRequest, DecodeHintsWaitRequest)
	})
	t.Run("wait result", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HintsWaitResult {
			return HintsWaitResult{
				Done: drawFlag(t, "done"), Point: drawBytes(t, "point", 0, 60),
				Hints: number.Draw(t, "hints"), Markers: number.Draw(t, "markers"),
				Bytes: number.Draw(t, "bytes"), Damaged: number.Draw(t, "damaged"),
				Sends:   drawFlag(t, "sends"),
				Missing: rapid.SliceOfN(rapid.StringN(0, 20, 60), 0, 5).Draw(t, "missing"),
				Stuck:   rapid.SliceOfN(stuck, 0, 5).Draw(t, "stuck"),
			}
		}, AppendHintsWaitResult, DecodeHintsWaitResult)
	})
	var q HintsWaitRequest
	long := HintsWaitRequest{Point: make([]byte, MaxHintsPoint+1)}
	if err := DecodeHintsWaitRequest(AppendHintsWaitRequest(nil, &long), &q); err == nil {
		t.Error("a point of any length is taken")
	}
}
