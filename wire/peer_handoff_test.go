// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func goldenHandoff() []golden {
	return []golden{
		of("handoff.status.params", "", HandoffStatusRequest{MarkHints: true},
			AppendHandoffStatusRequest, DecodeHandoffStatusRequest),
		of("handoff.status.result", "", HandoffStatusReply{
			Open: kv.Open{Seq: 12, Nonce: 0x0102030405060708}, Sends: HandoffMark{Mark: 4, Ended: 4},
			Hints: HandoffMark{Mark: 3, Ended: 2}, Counted: true, Bytes: 70_000, Limit: 1 << 30,
			Delivered: 1000, Sent: 1 << 20, Refused: 1, Unkept: 2,
			Backlog: []HandoffBacklog{{
				Node: 2, Hints: 500, Markers: 1, Damaged: 1, Bytes: 70_000, Oldest: goldenMS,
			}},
		}, AppendHandoffStatusReply, DecodeHandoffStatusReply),
	}
}

func handoffDecoders() []decoder {
	return []decoder{
		pair("handoff status", AppendHandoffStatusRequest, DecodeHandoffStatusRequest),
		pair("handoff status reply", AppendHandoffStatusReply, DecodeHandoffStatusReply),
		pair("hints point", AppendHintsPoint, DecodeHintsPoint),
	}
}

// handoffBombs are heads of messages about hints up to the count of a list in them.
func handoffBombs(count []byte) [][]byte {
	reply := AppendHandoffStatusReply(nil, &HandoffStatusReply{})
	point := AppendHintsPoint(nil, &HintsPoint{})
	return [][]byte{
		append(append(reply[:len(reply)-1:len(reply)-1], 0xdd), count...),
		append(append(point[:len(point)-1:len(point)-1], 0xdd), count...),
	}
}

func drawOpen(t *rapid.T) kv.Open {
	return kv.Open{Seq: rapid.Uint64().Draw(t, "seq"), Nonce: rapid.Uint64().Draw(t, "nonce")}
}

func TestMessagesAboutHintsComeBack(t *testing.T) {
	t.Parallel()
	number := rapid.Uint64()
	mark := rapid.Custom(func(t *rapid.T) HandoffMark {
		return HandoffMark{Mark: number.Draw(t, "mark"), Ended: number.Draw(t, "ended")}
	})
	backlog := rapid.Custom(func(t *rapid.T) HandoffBacklog {
		return HandoffBacklog{
			Node: kv.NodeID(rapid.Uint16().Draw(t, "node")), Hints: number.Draw(t, "hints"),
			Markers: number.Draw(t, "markers"), Damaged: number.Draw(t, "damaged"),
			Bytes: number.Draw(t, "bytes"), Oldest: drawMilli(t, "oldest"),
		}
	})
	t.Run("request", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HandoffStatusRequest {
			return HandoffStatusRequest{MarkSends: drawFlag(t, "sends"), MarkHints: drawFlag(t, "hints")}
		}, AppendHandoffStatusRequest, DecodeHandoffStatusRequest)
	})
	t.Run("reply", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) HandoffStatusReply {
			return HandoffStatusReply{
				Open: drawOpen(t), Sends: mark.Draw(t, "sends"), Hints: mark.Draw(t, "hints"),
				Counted: drawFlag(t, "counted"), Bytes: number.Draw(t, "bytes"),
				Limit: number.Draw(t, "limit"), Delivered: number.Draw(t, "delivered"),
				Sent: number.Draw(t, "sent"), Refused: number.Draw(t, "refused"),
				Unkept:  number.Draw(t, "unkept"),
				Backlog: rapid.SliceOfN(backlog, 0, 20).Draw(t, "backlog"),
			}
		}, AppendHandoffStatusReply, DecodeHandoffStatusReply)
	})
	t.Run("point", func(t *testing.T) {
		node := rapid.Custom(func(t *rapid.T) HintsPointNode {
			return HintsPointNode{
				Node: kv.NodeID(rapid.Uint16().Draw(t, "node")), Open: drawOpen(t),
				Mark: number.Draw(t, "mark"), Done: drawFlag(t, "done"),
			}
		})
		comesBack(t, func(t *rapid.T) HintsPoint {
			return HintsPoint{
				Hints: drawFlag(t, "hints"), Nodes: rapid.SliceOfN(node, 0, 20).Draw(t, "nodes"),
			}
		}, AppendHintsPoint, DecodeHintsPoint)
	})
}

func TestAPointFitsWhatARequestMayCarry(t *testing.T) {
	t.Parallel()
	largest := HintsPointNode{
		Node: 1<<16 - 1, Open: kv.Open{Seq: 1<<64 - 1, Nonce: 1<<64 - 1}, Mark: 1<<64 - 1, Done: true,
	}
	var p, got HintsPoint
	for range MaxList {
		p.Nodes = append(p.Nodes, largest)
	}
	b := AppendHintsPoint(nil, &p)
	if err := DecodeHintsPoint(b, &got); err != nil || len(b) > MaxHintsPoint {
		t.Errorf("%d bytes, at most %d; %v", len(b), MaxHintsPoint, err)
	}
	p.Nodes = append(p.Nodes, largest)
	if err := DecodeHintsPoint(AppendHintsPoint(nil, &p), &got); err == nil {
		t.Error("a point of more nodes than any list has is taken")
	}
}
