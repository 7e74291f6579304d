// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/wire"
)

// fakePurges holds every item, and remembers what it was asked.
type fakePurges struct{ asked []string }

func (f *fakePurges) Take(
	ctx context.Context, method string, req *wire.PurgeRequest,
) wire.PurgeReply {
	f.asked = append(f.asked, method)
	reply := wire.PurgeReply{Code: wire.ReplicaOK, Step: wire.PurgeTaken}
	reply.Role = 1
	if _, bounded := ctx.Deadline(); !bounded {
		reply.Step = wire.PurgeRefused
	}
	reply.Holds = slices.Repeat([]bool{true}, len(req.Items))
	return reply
}

func TestPeersAskForStepsOfPurgeRounds(t *testing.T) {
	inBubble(t, shape{}, func(t *testing.T, f *fixture) {
		p := f.peer(f.hello())
		methods := []string{
			wire.MethodPurgeLook, wire.MethodPurgeConfirm, wire.MethodPurgeAdopt,
			wire.MethodPurgeDelete,
		}
		_, err := asked(p, wire.MethodPurgeLook, wire.PurgeRequest{}, wire.AppendPurgeRequest,
			wire.DecodePurgeReply)
		wantCode(t, "of a node that purges nothing", err, wire.CodeUnknownMethod)
		purges := &fakePurges{}
		d := *f.server.data.Load()
		d.Purges = purges
		f.server.data.Store(&d)
		for _, method := range methods {
			reply, err := asked(p, method, wire.PurgeRequest{
				RemainingMS: 1000, Items: make([]wire.PurgeItem, 2),
			}, wire.AppendPurgeRequest, wire.DecodePurgeReply)
			if err != nil || reply.Step != wire.PurgeTaken || len(reply.Holds) != 2 {
				t.Errorf("%s: %+v, %v", method, reply, err)
			}
			_, err = call(p, method, []byte{0x90})
			wantCode(t, method+" of nothing", err, wire.CodeInvalid)
			_, err = call(f.client(), method, nil)
			wantCode(t, method+" of a client", err, wire.CodeUnknownMethod)
		}
		if !slices.Equal(purges.asked, methods) {
			t.Errorf("asked for %v", purges.asked)
		}
	})
}
