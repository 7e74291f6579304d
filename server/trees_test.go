// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/wire"
)

// TreeSums shows the nodes that it is asked for.
func (c *copyOfKeys) TreeSums(req *wire.TreeSumsRequest) wire.TreeSumsReply {
	reply := wire.TreeSumsReply{Standing: c.standing(), Code: wire.ReplicaOK}
	for _, n := range req.Nodes {
		reply.Sums = append(reply.Sums, wire.TreeSum{Hash: uint64(n), Keys: 1})
	}
	return reply
}

// TreeEntries shows the place that it is asked for.
func (c *copyOfKeys) TreeEntries(req *wire.TreeListRequest) wire.TreeListReply {
	return wire.TreeListReply{
		Standing: c.standing(), Code: wire.ReplicaOK,
		Entries: []wire.TreeEntry{{TreePlace: req.After, Hash: uint64(len(req.Leaves))}},
	}
}

func TestPeersAreToldOfTrees(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		p := f.peer(f.hello())
		sums, err := asked(p, wire.MethodTreeSums,
			wire.TreeSumsRequest{Level: wire.TreeLeaves, Nodes: []uint16{3, 9}},
			wire.AppendTreeSumsRequest, wire.DecodeTreeSumsReply)
		want := []wire.TreeSum{{Hash: 3, Keys: 1}, {Hash: 9, Keys: 1}}
		if err != nil || !cmp.Equal(sums.Sums, want) {
			t.Errorf("%+v, %v", sums, err)
		}
		at := wire.TreePlace{Bucket: 1, Key: []byte("k")}
		list, err := asked(p, wire.MethodTreeList,
			wire.TreeListRequest{Leaves: []uint16{1, 2}, After: at, Limit: 1},
			wire.AppendTreeListRequest, wire.DecodeTreeListReply)
		if err != nil || len(list.Entries) != 1 || !cmp.Equal(list.Entries[0].TreePlace, at) {
			t.Errorf("%+v, %v", list, err)
		}
		for _, method := range []string{wire.MethodTreeSums, wire.MethodTreeList} {
			_, err := call(p, method, []byte{0x90})
			wantCode(t, method+" of nothing", err, wire.CodeInvalid)
			_, err = call(f.client(), method, nil)
			wantCode(t, method+" of a client", err, wire.CodeUnknownMethod)
		}
	})
	inBubble(t, shape{forming: true}, func(t *testing.T, f *fixture) {
		_, err := call(f.peer(f.hello()), wire.MethodTreeSums, nil)
		wantCode(t, "of a node that serves nothing", err, wire.CodeNotReady)
	})
}
