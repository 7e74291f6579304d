// SPDX-License-Identifier: Apache-2.0

package meta

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/dyno-kv/dyno/internal/trace"
)

// teller tells a tracer what a seat's log promises: which entries are durable, and which are
// committed as far as the seat knows.
type teller struct {
	trace  *trace.Tracer // nil: nobody listens
	voters func() int    // how many the group has now, as far as the seat knows
}

// tellEntries lets a tracer hear of the entries of the engine's log, from those on that it
// has already. It is called before the engine runs.
func (e *engine) tellEntries(t *trace.Tracer) {
	s := e.loop.store
	s.tells = teller{t, func() int { return len(e.loop.seats.GetVoters()) }}
	s.tellStored(s.entries)
}

// tellStored tells of entries that are durable now.
func (s *logStore) tellStored(entries []*pb.Entry) {
	if !s.tells.trace.Enabled() {
		return
	}
	for _, e := range entries {
		s.tells.trace.Emit(trace.Event{
			Kind: trace.EntryStored, Value: e.GetIndex(), Counter: e.GetTerm(),
		})
	}
}

// tellCommitted tells of entries that are committed now, and were not known to be before.
func (s *logStore) tellCommitted(before uint64) {
	if !s.tells.trace.Enabled() {
		return
	}
	// The latest of the voters may have been added after an entry was committed: without it.
	need := max(1, (s.tells.voters()-1)/2+1)
	for index := max(before, s.state.Base) + 1; index <= s.state.Commit; index++ {
		term, err := s.Term(index)
		if err != nil {
			return // beyond the log, which raft does not commit
		}
		s.tells.trace.Emit(trace.Event{
			Kind: trace.EntryCommitted, Value: index, Counter: term, Need: uint16(need),
		})
	}
}
