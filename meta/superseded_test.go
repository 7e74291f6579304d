// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
)

// ended is the loop of a member whose process has ended: nothing else touches it.
func (m *engineMember) ended() *loop {
	m.rig.t.Helper()
	l := &m.life.engine.loop
	must(m.rig.t, m.stop())
	l.store.control = storage.OpenControl(m.disk.engine, zap.NewNop())
	l.e.keeper.control = l.store.control
	return l
}

// A snapshot that was sent is stored with parts whose numbers are below those of one that
// this member writes meanwhile; the sweep after that takes both for what came before it.
func TestASnapshotIsInstalledOnlyWhileItsPartsAreKept(t *testing.T) {
	inBubble(t, 1, often, func(t *testing.T, r *engineRig) {
		for n := range uint64(20) {
			r.do(session(n))
		}
		l := r.members[0].ended()
		k := l.e.keeper
		for len(k.jobs) > 0 {
			<-k.jobs
		}
		sent := &snapshotFile{data: []byte("of a leader")}
		sent.head.Index, sent.head.Term = l.applied+10, l.store.state.Term
		own := &snapshotFile{data: []byte("of this member")}
		own.head.Index, own.head.Term = l.applied, l.store.state.Term
		setSeats(&own.head, l.seats)
		for _, file := range []*snapshotFile{sent, own} {
			must(t, k.write(file))
		}
		must(t, l.hear(event{received: sent}))
		must(t, l.hear(event{written: own}))
		for len(k.jobs) > 0 {
			must(t, (<-k.jobs).do(t.Context()))
		}
		announced := &pb.Message{Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			Index: new(sent.head.Index), Term: new(sent.head.Term),
		}}}
		here, err := l.hasReceived(announced)
		must(t, err)
		if _, err := readParts(k.control, &sent.head); here && err != nil {
			t.Errorf("a snapshot would be installed of which parts are gone: %v", err)
		}
	})
}

// A tail may bring an entry to a member that has become the leader since it was asked. Who
// waits for that entry is answered all the same, and others get its place.
func TestAProposalThatSomethingElseAppliedIsAnswered(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
		r.do(session(1))
		l := r.members[0].ended()
		entry := l.store.entries[len(l.store.entries)-1]
		token, _, err := state.DecodeEntry(entry.GetData())
		must(t, err)
		p := &proposal{commands: make([][]byte, 1), done: make(chan proposed, 1)}
		l.inFlight[token.Seq] = &batch{proposals: []*proposal{p}, term: entry.GetTerm()}
		l.applied = entry.GetIndex() - 1
		must(t, l.applyEntry(entry))
		if len(l.inFlight) != 0 || len(p.done) != 1 {
			t.Fatalf("%d entries are in flight, %d answers", len(l.inFlight), len(p.done))
		}
		if answer := <-p.done; answer.err != errUnknown {
			t.Errorf("answered %+v, want that the outcome is not known", answer)
		}
	})
}
