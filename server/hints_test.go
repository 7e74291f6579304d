// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/handoff"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// fakeHints are those of two nodes, one of which does not answer. A wait goes one node on
// in each call that lasts as long as the request may, and then is over.
type fakeHints struct{ now func() time.Time }

func (f *fakeHints) Own(q *wire.HandoffStatusRequest) wire.HandoffStatusReply {
	reply := wire.HandoffStatusReply{Counted: true, Bytes: 70}
	if q.MarkHints {
		reply.Hints.Mark = 5
	}
	return reply
}

func (f *fakeHints) Status(context.Context) []handoff.NodeStatus {
	own := f.Own(&wire.HandoffStatusRequest{})
	own.Backlog = []wire.HandoffBacklog{{
		Node: 2, Hints: 3, Markers: 4, Damaged: 1, Bytes: 70,
		Oldest: f.now().Add(-time.Minute).UnixMilli(),
	}}
	return []handoff.NodeStatus{{Node: 1, Status: own}, {Node: 2, Err: errors.New("no answer")}}
}

func (f *fakeHints) Wait(ctx context.Context, p wire.HintsPoint) (
	wire.HintsPoint, []handoff.NodeStatus, bool,
) {
	switch len(p.Nodes) {
	case 2:
		return p, nil, true
	case 3: // what can be read was delivered
		own := f.Own(&wire.HandoffStatusRequest{})
		own.Backlog = []wire.HandoffBacklog{{Node: 2, Damaged: 2}}
		return p, []handoff.NodeStatus{{Node: 1, Status: own}}, false
	}
	<-ctx.Done()
	p.Hints = len(p.Nodes) > 0
	p.Nodes = append(p.Nodes, wire.HintsPointNode{Node: kv.NodeID(len(p.Nodes) + 1)})
	return p, f.Status(ctx), false
}

func TestHintsAreToldOfAndWaitedFor(t *testing.T) {
	inBubble(t, shape{members: 2, hints: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		checkFeatures(t, c, []string{wire.FeatureHints})
		status, err := asked(c, wire.MethodHintsStatus, wire.EmptyRequest{}, wire.AppendEmptyRequest,
			wire.DecodeHintsStatusResult)
		want := wire.HintsStatusResult{Node: "n1", Nodes: []wire.HintsNode{
			{Node: "n1", Counted: true, Bytes: 70, Backlog: []wire.HintsBacklog{
				{Peer: "n2", Hints: 3, Markers: 4, Damaged: 1, Bytes: 70, OldestMS: 60_000},
			}},
			{Node: "n2", Reason: "no answer", Backlog: []wire.HintsBacklog{}},
		}}
		if diff := cmp.Diff(want, status); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		var q wire.HintsWaitRequest
		q.TimeoutMS = 10_000
		for i := range 3 {
			began := time.Now()
			got, err := asked(c, wire.MethodHintsWait, q, wire.AppendHintsWaitRequest,
				wire.DecodeHintsWaitResult)
			took := time.Since(began)
			switch {
			case err != nil || got.Done != (i == 2) || got.Sends != (i == 0) || got.Done != (len(got.Point) == 0):
				t.Fatalf("answer %d: %+v, %v", i, got, err)
			case got.Done:
			case took < 9*time.Second || took >= 10*time.Second || got.Hints != 3 || got.Markers != 4 ||
				got.Damaged != 1 || !cmp.Equal(got.Missing, []string{"n2"}):
				t.Errorf("answer %d after %v: %+v", i, took, got)
			}
			q.Point = got.Point
		}
		q.Point = []byte{0xc0}
		_, err = asked(c, wire.MethodHintsWait, q, wire.AppendHintsWaitRequest, wire.DecodeHintsWaitResult)
		wantCode(t, "a point of somebody's own", err, wire.CodeInvalid)
	})
}

// Hints that can not be read are named by the nodes that keep them.
func TestAWaitNamesWhoKeepsWhatCanNotBeRead(t *testing.T) {
	inBubble(t, shape{members: 2, hints: true}, func(t *testing.T, f *fixture) {
		point := wire.HintsPoint{Hints: true, Nodes: []wire.HintsPointNode{
			{Node: 1, Mark: 9}, {Node: 2, Mark: 9, Done: true}, {Node: 77, Done: true},
		}}
		q := wire.HintsWaitRequest{Point: wire.AppendHintsPoint(nil, &point)}
		got, err := asked(f.client(), wire.MethodHintsWait, q, wire.AppendHintsWaitRequest,
			wire.DecodeHintsWaitResult)
		want := []wire.HintsStuck{{Node: "n1", Damaged: 2}}
		if err != nil || got.Done || got.Damaged != 2 || !cmp.Equal(got.Stuck, want) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestADrainEndsTheWaitForHints(t *testing.T) {
	inBubble(t, shape{hints: true}, func(t *testing.T, f *fixture) {
		c := f.client()
		var q wire.HintsWaitRequest
		q.TimeoutMS = 50_000
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_ = f.server.DrainClients(ctx)
		})
		got, err := asked(c, wire.MethodHintsWait, q, wire.AppendHintsWaitRequest, wire.DecodeHintsWaitResult)
		if err != nil || got.Done || len(got.Point) == 0 || time.Since(began) > 2*time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(began))
		}
	})
}

func TestPeersAreToldOfHints(t *testing.T) {
	inBubble(t, shape{hints: true}, func(t *testing.T, f *fixture) {
		p := f.peer(f.hello())
		got, err := asked(p, wire.MethodHandoffStatus, wire.HandoffStatusRequest{MarkHints: true},
			wire.AppendHandoffStatusRequest, wire.DecodeHandoffStatusReply)
		if err != nil || got.Bytes != 70 || got.Hints.Mark != 5 {
			t.Errorf("%+v, %v", got, err)
		}
		_, err = call(p, wire.MethodHandoffStatus, []byte{0x90})
		wantCode(t, "a request of nothing", err, wire.CodeInvalid)
		_, err = call(f.client(), wire.MethodHandoffStatus, nil)
		wantCode(t, "of a client", err, wire.CodeUnknownMethod)
	})
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		_, err := call(f.client(), wire.MethodHintsStatus, nil)
		wantCode(t, "hints.status of a node without", err, wire.CodeUnknownMethod)
		_, err = asked(f.peer(f.hello()), wire.MethodHandoffStatus, wire.HandoffStatusRequest{},
			wire.AppendHandoffStatusRequest, wire.DecodeHandoffStatusReply)
		wantCode(t, "handoff.status of a node without", err, wire.CodeNotReady)
	})
}

// Only what waits for keys tells how long clients wait for theirs.
func TestWaitsForHintsAreNoWaitsForKeys(t *testing.T) {
	var waited []time.Duration
	inBubble(t, shape{hints: true}, func(t *testing.T, f *fixture) {
		f.server.parts.Waited = func(d time.Duration) { waited = append(waited, d) }
		var q wire.HintsWaitRequest
		q.TimeoutMS = 10_000
		_, err := asked(f.client(), wire.MethodHintsWait, q, wire.AppendHintsWaitRequest,
			wire.DecodeHintsWaitResult)
		must(t, err)
		if len(waited) != 0 {
			t.Errorf("counted %v", waited)
		}
		_, err = get(f.client(), wire.GetRequest{Key: []byte("k")})
		must(t, err)
		if len(waited) != 1 {
			t.Errorf("a read is counted %d times", len(waited))
		}
	})
}
