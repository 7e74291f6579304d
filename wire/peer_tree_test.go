// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
)

func goldenTree() TreeTarget {
	return TreeTarget{Partition: 42, Placement: 5, Instance: 9, Shape: 0x8877665544332211, RemainingMS: 4900}
}

func goldenTrees() []golden {
	place := TreePlace{Bucket: kv.DefaultBucket, Key: []byte("user/1")}
	return []golden{
		of("tree.sums.params", "", TreeSumsRequest{
			TreeTarget: goldenTree(), Level: TreeLeaves, Nodes: []uint16{0, 31, 1023},
		}, AppendTreeSumsRequest, DecodeTreeSumsRequest),
		of("tree.sums.params.root", "what an exchange of equal replicas asks", TreeSumsRequest{
			TreeTarget: goldenTree(), Level: TreeRoot, Nodes: []uint16{0},
		}, AppendTreeSumsRequest, DecodeTreeSumsRequest),
		of("tree.sums.result", "", TreeSumsReply{
			Standing: goldenStanding(), Code: ReplicaOK,
			Sums: []TreeSum{{Hash: 0x1122334455667788, Keys: 8000}, {}},
		}, AppendTreeSumsReply, DecodeTreeSumsReply),
		of("tree.sums.result.building", "", TreeSumsReply{
			Standing: goldenStanding(), Code: ReplicaNotComparable, Detail: "the tree is being built",
		}, AppendTreeSumsReply, DecodeTreeSumsReply),
		of("tree.list.params", "", TreeListRequest{
			TreeTarget: goldenTree(), Leaves: []uint16{31, 1023}, After: place, Limit: 1024,
		}, AppendTreeListRequest, DecodeTreeListRequest),
		of("tree.list.result", "", TreeListReply{
			Standing: goldenStanding(), Code: ReplicaOK, More: true, Next: place,
			Entries: []TreeEntry{{TreePlace: place, Hash: 0x1122334455667788}},
		}, AppendTreeListReply, DecodeTreeListReply),
	}
}

func treeDecoders() []decoder {
	return []decoder{
		pair("tree sums", AppendTreeSumsRequest, DecodeTreeSumsRequest),
		pair("tree sums reply", AppendTreeSumsReply, DecodeTreeSumsReply),
		pair("tree list", AppendTreeListRequest, DecodeTreeListRequest),
		pair("tree list reply", AppendTreeListReply, DecodeTreeListReply),
	}
}

// treeBombs are heads of messages about trees up to the count of a list in them.
func treeBombs(count []byte) [][]byte {
	target := appendTreeTarget(nil, &TreeTarget{})
	standing := appendStanding(nil, &Standing{Role: kv.RoleOwner})
	lists := [][]byte{
		append(append([]byte{0x93}, target...), 1),         // the nodes of a request
		append([]byte{0x94}, target...),                    // the leaves of a list
		append(append([]byte{0x94}, standing...), 1, 0xa0), // the sums
		append(append([]byte{0x96}, standing...), 1, 0xa0), // the entries
	}
	for i, head := range lists {
		lists[i] = append(append(head, 0xdd), count...)
	}
	return lists
}

func drawTree(t *rapid.T) TreeTarget {
	return TreeTarget{
		Partition:   rapid.Uint16().Draw(t, "partition"),
		Placement:   kv.PlacementVersion(rapid.Uint64().Draw(t, "placement")),
		Instance:    kv.Instance(rapid.Uint64().Draw(t, "instance")),
		Shape:       rapid.Uint64().Draw(t, "shape"),
		RemainingMS: rapid.Uint32().Draw(t, "remaining"),
	}
}

func drawNodes(t *rapid.T) []uint16 {
	return rapid.SliceOfN(rapid.Uint16(), 0, 20).Draw(t, "nodes")
}

func drawPlace(t *rapid.T) TreePlace {
	return TreePlace{
		Bucket: kv.BucketID(rapid.Uint32().Draw(t, "bucket")), Key: drawBytes(t, "key", 0, 40),
	}
}

func TestMessagesAboutTreesComeBack(t *testing.T) {
	t.Parallel()
	t.Run("sums", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) TreeSumsRequest {
			return TreeSumsRequest{
				TreeTarget: drawTree(t), Nodes: drawNodes(t),
				Level: rapid.SampledFrom([]TreeLevel{TreeRoot, TreeBranches, TreeLeaves}).Draw(t, "level"),
			}
		}, AppendTreeSumsRequest, DecodeTreeSumsRequest)
	})
	t.Run("sums reply", func(t *testing.T) {
		sum := rapid.Custom(func(t *rapid.T) TreeSum {
			return TreeSum{Hash: rapid.Uint64().Draw(t, "hash"), Keys: rapid.Uint64().Draw(t, "keys")}
		})
		comesBack(t, func(t *rapid.T) TreeSumsReply {
			return TreeSumsReply{
				Standing: drawStanding(t), Code: drawReplicaCode(t), Detail: drawText(t, "detail"),
				Sums: rapid.SliceOfN(sum, 0, 20).Draw(t, "sums"),
			}
		}, AppendTreeSumsReply, DecodeTreeSumsReply)
	})
	t.Run("list", func(t *testing.T) {
		comesBack(t, func(t *rapid.T) TreeListRequest {
			return TreeListRequest{
				TreeTarget: drawTree(t), Leaves: drawNodes(t), After: drawPlace(t),
				Limit: rapid.Uint32Range(0, MaxList).Draw(t, "limit"),
			}
		}, AppendTreeListRequest, DecodeTreeListRequest)
	})
	t.Run("list reply", func(t *testing.T) {
		entry := rapid.Custom(func(t *rapid.T) TreeEntry {
			return TreeEntry{
				TreePlace: drawPlace(t), Damaged: drawFlag(t, "damaged"),
				Hash: rapid.Uint64().Draw(t, "hash"),
			}
		})
		comesBack(t, func(t *rapid.T) TreeListReply {
			return TreeListReply{
				Standing: drawStanding(t), Code: drawReplicaCode(t), Detail: drawText(t, "detail"),
				Entries: rapid.SliceOfN(entry, 0, 20).Draw(t, "entries"),
				More:    drawFlag(t, "more"), Next: drawPlace(t),
			}
		}, AppendTreeListReply, DecodeTreeListReply)
	})
}

func TestRequestsAboutTreesAreBounded(t *testing.T) {
	t.Parallel()
	var refused *DecodeError
	var sums TreeSumsRequest
	most := TreeSumsRequest{Level: TreeLeaves, Nodes: make([]uint16, MaxTreeNodes)}
	if err := DecodeTreeSumsRequest(AppendTreeSumsRequest(nil, &most), &sums); err != nil {
		t.Error(err)
	}
	most.Nodes = append(most.Nodes, 0)
	err := DecodeTreeSumsRequest(AppendTreeSumsRequest(nil, &most), &sums)
	if !errors.As(err, &refused) || refused.Code != CodeTooLarge {
		t.Errorf("more nodes than a tree has leaves: %v", err)
	}
	for _, level := range []TreeLevel{0, TreeLeaves + 1} {
		b := AppendTreeSumsRequest(nil, &TreeSumsRequest{Level: level})
		if err := DecodeTreeSumsRequest(b, &sums); !errors.As(err, &refused) {
			t.Errorf("level %d is accepted, or another error: %v", level, err)
		}
	}
	var list TreeListRequest
	for name, q := range map[string]TreeListRequest{
		"too many leaves": {Leaves: make([]uint16, MaxTreeLeaves+1)},
		"too many keys":   {Limit: MaxList + 1},
		"a key too long":  {After: TreePlace{Key: make([]byte, kv.MaxKey+1)}},
	} {
		b := AppendTreeListRequest(nil, &q)
		if err := DecodeTreeListRequest(b, &list); !errors.As(err, &refused) {
			t.Errorf("%s: accepted, or another error: %v", name, err)
		}
	}
}
