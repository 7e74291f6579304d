// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

func TestAnEntryOfAnEarlierProcessAnswersNobody(t *testing.T) {
	p := &proposal{commands: make([][]byte, 1), done: make(chan proposed, 1)}
	l := &loop{raft: 7, inFlight: map[uint64]*batch{1: {term: 3, proposals: []*proposal{p}}}}
	applied := state.Applied{
		Token: state.Token{Raft: 7, Seq: 1}, Results: []state.Result{{Code: state.CodeOK}},
	}
	l.finish(9, 2, &applied) // of a term in which an earlier process of this seat led
	applied.Token.Raft = 8
	l.finish(9, 3, &applied)
	if len(p.done) > 0 {
		t.Fatal("a proposal was answered by another's entry")
	}
	applied.Token.Raft = 7
	l.finish(10, 3, &applied)
	if d := <-p.done; d.index != 10 || len(d.results) != 1 || d.err != nil {
		t.Errorf("%+v", d)
	}
}

// D1: only appends of a leader whose term and vote are stored go out before what comes
// with them is stored.
func TestNothingButAppendsOfThisTermGoesOutBeforeItIsStored(t *testing.T) {
	l := &loop{store: &logStore{state: wire.RaftState{Term: 3, Vote: 7}}}
	messages := []*pb.Message{
		{Type: pb.MsgVoteResp.Enum()}, {Type: pb.MsgApp.Enum()}, {Type: pb.MsgAppResp.Enum()},
		{Type: pb.MsgHeartbeat.Enum()}, {Type: pb.MsgApp.Enum()}, {Type: pb.MsgSnap.Enum()},
	}
	hard := func(term, vote, commit uint64) *pb.HardState {
		return &pb.HardState{Term: new(term), Vote: new(vote), Commit: new(commit)}
	}
	for name, c := range map[string]struct {
		hs    *pb.HardState
		early int
	}{
		"nothing else":     {nil, 2},
		"a commit":         {hard(3, 7, 9), 2},
		"another term":     {hard(4, 7, 9), 0},
		"another vote":     {hard(3, 8, 9), 0},
		"a term, no voter": {hard(4, 0, 0), 0},
	} {
		early, late := l.split(&raft.Ready{HardState: c.hs, Messages: messages})
		if len(early) != c.early || len(early)+len(late) != len(messages) {
			t.Errorf("%s: %d go out early, %d late; want %d early", name, len(early), len(late), c.early)
		}
		for _, m := range early {
			if m.GetType() != pb.MsgApp {
				t.Errorf("%s: %v goes out early", name, m.GetType())
			}
		}
	}
}

// TRAPS L7, for a single voter too, of which the library asks nothing.
func TestL7ReadsWaitForTheLeadersFirstEntry(t *testing.T) {
	r := &readRequest{ctx: t.Context(), done: make(chan readAnswer, 1)}
	l := &loop{readers: []*readRequest{r}, applied: 5, led: leadership{Leads: true, First: 6}}
	if err := l.confirm(make(chan *readRequest)); err != nil || len(l.rounds) > 0 {
		t.Errorf("a round begins before the leader's first entry is applied: %v", err)
	}
}

// An earlier opening may have begun the raft id, voted, and been rolled back since.
func TestOnlyTheOpeningForWhichARaftIDWasMadeBeginsIt(t *testing.T) {
	m, _ := rigState(t, 3, 0).Member(2)
	for name, c := range map[string]struct {
		open kv.Open
		left bool
		want bool
	}{
		"that opening":          {open: opening(1), want: true},
		"a later one":           {open: opening(2)},
		"of another store":      {open: kv.Open{Seq: 1, Nonce: 77}},
		"of a member that left": {open: opening(1), left: true},
	} {
		l := &loop{e: &engine{env: engineEnv{open: c.open}}}
		member := m
		member.Left = c.left
		if got := l.wanted(&member); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	m.Raft = 0
	l := &loop{e: &engine{env: engineEnv{open: opening(1)}}}
	if l.wanted(&m) {
		t.Error("a member without a raft id begins one")
	}
}

func TestASeatGoesOnUntilItIsNoMoreOfTheConfiguration(t *testing.T) {
	m, _ := rigState(t, 3, 0).Member(2)
	own := m.Raft
	for name, c := range map[string]struct {
		now, last state.RaftID
		runs      bool
		seats     []uint64
		want      bool
	}{
		"still its own":             {own, own, true, []uint64{uint64(own)}, false},
		"known here is old":         {0, own - 1, false, nil, false},
		"replaced, and still one":   {own + 1, own + 1, true, []uint64{uint64(own)}, false},
		"replaced, and removed":     {own + 1, own + 1, true, []uint64{9}, true},
		"dropped, and does not run": {0, own, false, []uint64{uint64(own)}, true},
	} {
		l := &loop{
			store: &logStore{state: wire.RaftState{Raft: uint64(own)}},
			seats: &pb.ConfState{Voters: c.seats},
		}
		if c.runs {
			l.node = new(raft.RawNode)
		}
		if got := l.givenUp(&state.Member{Raft: c.now, RaftLast: c.last}); got != c.want {
			t.Errorf("%s: given up %t, want %t", name, got, c.want)
		}
	}
}
