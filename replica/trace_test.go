// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/internal/trace"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func TestTracesTellOfDotsAndMerges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told trace.Recorder
		l := begin(t, setup{verdict: kv.VerdictConfirmed, sink: &told})
		req := l.putting("k", "v", vclock.Context{})
		req.Request = requestID(1)
		before := -1
		req.Minted = func(MintReply) { before = len(told.Events()) }
		m := l.mint(req)
		l.mint(req)           // a repeat: no new dot
		l.copy("k", m.Object) // nothing new: not applied
		theirs := foreign(1, "x", kv.Object{}, vclock.Context{})
		l.copy("k", theirs)
		p := uint32(l.target("k").Partition)
		id := requestID(1)
		want := []trace.Event{
			{
				Kind: trace.DotMinted, Emitter: 1, Bucket: 1, Partition: p, Key: []byte("k"),
				Actor: uint64(m.Dot.Actor), Counter: m.Dot.Counter, Request: id[:],
			}, {
				Kind: trace.Applied, Emitter: 1, Bucket: 1, Partition: p, Key: []byte("k"),
				Actor: uint64(theirs.Versions[0].Dot.Actor), Counter: 1,
			},
		}
		if diff := cmp.Diff(want, told.Events()); diff != "" {
			t.Errorf("events:\n%s", diff)
		}
		if before != 1 {
			t.Errorf("%d events were told when the sends went out, want 1", before)
		}
	})
}
