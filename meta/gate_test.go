// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"testing"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// gateBench is a gate of member 1, whose state has three seats.
type gateBench struct {
	*gate
	t      *testing.T
	engine *storage.Memory
	state  *state.State // nil: it knows nothing yet
	own    state.RaftID
	other  state.RaftID // of member 2
}

func newGateBench(t *testing.T) *gateBench {
	b := &gateBench{t: t, engine: storage.NewMemory(), state: rigState(t, 3, 0)}
	members := b.state.Members()
	b.own, b.other = members[0].Raft, members[1].Raft
	b.reopen()
	return b
}

// reopen is a new process.
func (b *gateBench) reopen() {
	b.t.Helper()
	var err error
	read := func(f func(*state.State)) { f(b.state) }
	b.gate, err = openGate(storage.OpenControl(b.engine, zap.NewNop()), read)
	must(b.t, err)
	b.become(b.own, []state.RaftID{b.own, b.other})
}

// hello lets a seat say hello.
func (b *gateBench) hello(conn connection, from state.RaftID, term uint64, opens ...kv.Open) kv.Verdict {
	b.t.Helper()
	answer, err := b.judge(conn, &wire.MetaHello{
		Raft: uint64(from), For: uint64(b.own), Term: term, Open: opens,
	})
	must(b.t, err)
	if refused := answer.Verdict != kv.VerdictConfirmed; refused == (answer.Detail == "") {
		b.t.Errorf("%v with the detail %q", answer.Verdict, answer.Detail)
	}
	return answer.Verdict
}

// testConn is a connection that ends when it is closed.
type testConn chan struct{}

func newConn() testConn                  { return make(testConn) }
func (c testConn) Done() <-chan struct{} { return c }

// opening is one of member 2, whose first the group knows.
func opening(seq uint64) kv.Open { return kv.Open{Seq: seq, Nonce: 2 + 1000*(seq-1)} }

func TestAGateTakesMessagesOnlyBetweenThoseWhoHaveAcceptedEachOther(t *testing.T) {
	b := newGateBench(t)
	conn, another := newConn(), newConn()
	passes := func(c connection, from state.RaftID, want error) {
		t.Helper()
		if err := b.passes(c, from); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	passes(conn, b.other, errHelloFirst)
	passes(conn, 0, errHelloFirst)
	if v := b.hello(conn, b.other, 1, opening(1)); v != kv.VerdictConfirmed {
		t.Fatal(v)
	}
	passes(conn, b.other, errNotAcceptedYet)
	b.acceptedBy(b.other, b.own+1) // under a raft id that this member does not have
	passes(conn, b.other, errNotAcceptedYet)
	b.acceptedBy(b.other, b.own)
	passes(conn, b.other, nil)
	passes(another, b.other, errHelloFirst)
	passes(conn, b.other+1, errHelloFirst)
	if v := b.hello(another, b.other, 1, opening(1)); v != kv.VerdictConfirmed {
		t.Fatal(v)
	}
	passes(another, b.other, nil)
	passes(conn, b.other, errHelloFirst) // the newest connection is the one
	b.become(0, nil)
	passes(another, b.other, errNoSeatHere)
	b.become(b.own, []state.RaftID{b.own, b.other})
	passes(another, b.other, errHelloFirst)
}

func TestWhoLosesItsSeatHasToSayHelloAgain(t *testing.T) {
	b := newGateBench(t)
	conn, newcomer := newConn(), newConn()
	b.hello(conn, b.other, 1, opening(1))
	b.hello(newcomer, b.other+100, 1, opening(1)) // not one of the configuration yet
	b.acceptedBy(b.other, b.own)
	b.acceptedBy(b.other+100, b.own)
	b.reseat([]state.RaftID{b.own})
	if err := b.passes(conn, b.other); !errors.Is(err, errHelloFirst) {
		t.Errorf("%v, want errHelloFirst", err)
	}
	if err := b.passes(newcomer, b.other+100); err != nil {
		t.Errorf("%v for who has yet to get its seat", err)
	}
}

func TestAGateRemembersOpeningsOverARestart(t *testing.T) {
	b := newGateBench(t)
	conn := newConn()
	if v := b.hello(conn, b.other, 1, opening(1), opening(2)); v != kv.VerdictConfirmed {
		t.Fatal(v)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			b.engine = b.engine.Crash(nil)
			b.reopen()
		}
		forged := kv.Open{Seq: 3, Nonce: 77}
		if v := b.hello(conn, b.other, 1, opening(1), forged); v != kv.VerdictForked {
			t.Errorf("restarted %t: %v for a store that was rolled back, want forked", restart, v)
		}
		if err := b.passes(conn, b.other); restart && !errors.Is(err, errHelloFirst) {
			t.Errorf("%v, want errHelloFirst for who was refused", err)
		}
		if v := b.hello(conn, b.other, 1, opening(1), opening(2), opening(3)); v != kv.VerdictConfirmed {
			t.Errorf("restarted %t: %v for a store that goes on, want confirmed", restart, v)
		}
	}
}

func TestAGateAsksTheStateOfWhatItDoesNotRememberItself(t *testing.T) {
	b := newGateBench(t)
	conn := newConn()
	if v := b.hello(conn, b.other, 1, kv.Open{Seq: 1, Nonce: 77}); v != kv.VerdictForked {
		t.Errorf("%v for an opening that the group does not know, want forked", v)
	}
	newer := b.other + 100 // the group may have given it out since
	if v := b.hello(conn, newer, 1, opening(9)); v != kv.VerdictConfirmed {
		t.Errorf("%v for a raft id that this member has yet to hear of, want confirmed", v)
	}
	known := b.state
	b.state = nil
	if v := b.hello(conn, b.other, 1, opening(1)); v != kv.VerdictConfirmed {
		t.Errorf("%v where nothing is known yet, want confirmed", v)
	}
	b.state = known
	entry := state.AppendEntry(nil, state.Token{}, state.DropRaft{Raft: b.other})
	_, err := b.state.Apply(b.state.Index()+1, 1, entry)
	must(t, err)
	if v := b.hello(conn, b.other, 1, opening(1)); v != kv.VerdictConfirmed {
		t.Errorf("%v for a seat that is still one, want confirmed", v)
	}
	b.reseat([]state.RaftID{b.own})
	if v := b.hello(conn, b.other, 1, opening(1)); v != kv.VerdictLost {
		t.Errorf("%v for a raft id that was given up, want lost", v)
	}
}

// The group gave the member another raft id, and with it forgot the newest opening under
// the old one, which is still in the configuration (docs/adr/0017).
func TestAGateTakesNoReplacedSeatWhoseStoreItNeverKnew(t *testing.T) {
	for _, met := range []bool{false, true} {
		b := newGateBench(t)
		if met {
			b.hello(newConn(), b.other, 1, opening(1), opening(2))
		}
		for _, c := range []state.Command{
			state.OpenStore{Node: 2, Opens: []kv.Open{opening(1), opening(2)}},
			state.AssignRaft{Node: 2, For: opening(2), Previous: b.other},
		} {
			applied, err := b.state.Apply(b.state.Index()+1, 1,
				state.AppendEntry(nil, state.Token{}, c))
			must(t, err)
			if got := applied.Results[0]; got.Code != state.CodeOK {
				t.Fatalf("%T: %+v", c, got)
			}
		}
		conn := newConn()
		rolledBack := kv.Open{Seq: 2, Nonce: 77}
		if v := b.hello(conn, b.other, 1, opening(1), rolledBack); v == kv.VerdictConfirmed {
			t.Errorf("met %t: a store that was rolled back is taken", met)
		}
		want := kv.VerdictUnknown // it is not told that it is lost: others may need it
		if met {
			want = kv.VerdictConfirmed
		}
		if v := b.hello(conn, b.other, 1, opening(1), opening(2)); v != want {
			t.Errorf("met %t: %v for a store that goes on, want %v", met, v, want)
		}
	}
}

func TestAGateBearsWitness(t *testing.T) {
	b := newGateBench(t)
	b.become(0, nil) // a client of the group
	ask := func(from state.RaftID, opens ...kv.Open) wire.MetaHello {
		t.Helper()
		answer, err := b.judge(nil, &wire.MetaHello{Raft: uint64(from), Term: 1, Open: opens})
		must(t, err)
		return answer
	}
	if a := ask(b.other, opening(1), opening(2)); a.Verdict != kv.VerdictConfirmed {
		t.Fatalf("%+v", a)
	}
	b.engine = b.engine.Crash(nil)
	b.reopen()
	b.become(0, nil)
	b.state = nil // a process that was just started
	a := ask(b.other, opening(1), kv.Open{Seq: 2, Nonce: 77})
	if a.Verdict != kv.VerdictForked || len(a.Open) != 1 || a.Open[0] != opening(2) {
		t.Errorf("%+v of a store that was rolled back", a)
	}
	if a := ask(b.other+1, opening(1)); a.Verdict != kv.VerdictConfirmed {
		t.Errorf("%+v of a new raft id", a)
	}
	if a := ask(b.other, opening(1), opening(2)); a.Verdict != kv.VerdictLost {
		t.Errorf("%+v of a raft id that was replaced", a)
	}
	if len(b.greeted) != 0 {
		t.Error("a question lets messages pass")
	}
}

func TestAGateRefusesWhoHasForgottenATerm(t *testing.T) {
	b := newGateBench(t)
	conn := newConn()
	b.heard(b.other, 7)
	if v := b.hello(conn, b.other, 6, opening(1)); v != kv.VerdictForked {
		t.Errorf("%v, want forked", v)
	}
	if v := b.hello(conn, b.other, 7, opening(1)); v != kv.VerdictConfirmed {
		t.Errorf("%v, want confirmed", v)
	}
}

func TestAGateDoesNotJudgeWhatIsNotForIt(t *testing.T) {
	b := newGateBench(t)
	for name, h := range map[string]wire.MetaHello{
		"for another raft id": {Raft: uint64(b.other), For: uint64(b.own + 1), Open: []kv.Open{opening(1)}},
		"without a raft id":   {For: uint64(b.own), Open: []kv.Open{opening(1)}},
		"without openings":    {Raft: uint64(b.other), For: uint64(b.own)},
	} {
		answer, err := b.judge(newConn(), &h)
		if err != nil || answer.Verdict != kv.VerdictUnknown || answer.Detail == "" {
			t.Errorf("%s: %+v, %v; want no verdict", name, answer, err)
		}
	}
	b.become(0, nil)
	if v := b.hello(newConn(), b.other, 1, opening(1)); v != kv.VerdictUnknown {
		t.Errorf("%v from a member without a seat, want no verdict", v)
	}
}

func TestAGateRemembersOnlySoManyAndForgetsTheOldest(t *testing.T) {
	b := newGateBench(t)
	for n := range state.RaftID(maxRemembered + 10) {
		if v := b.hello(newConn(), b.other+100+n, 1, opening(1)); v != kv.VerdictConfirmed {
			t.Fatal(v)
		}
	}
	if len(b.remembered) != maxRemembered {
		t.Errorf("%d openings are remembered, want %d", len(b.remembered), maxRemembered)
	}
	if _, there := b.remembered[b.other+100]; there {
		t.Error("the oldest is remembered")
	}
	if len(b.greeted) > maxGreeted {
		t.Errorf("%d connections are remembered, want %d at most", len(b.greeted), maxGreeted)
	}
}

func TestAGateAcceptsNothingThatItCouldNotMakeDurable(t *testing.T) {
	b := newGateBench(t)
	b.engine.FailSync(1, errors.New("input/output error"))
	conn := newConn()
	_, err := b.judge(conn, &wire.MetaHello{
		Raft: uint64(b.other), For: uint64(b.own), Term: 1, Open: []kv.Open{opening(1)},
	})
	if !errors.Is(err, storage.ErrFailed) {
		t.Errorf("%v, want the failed write", err)
	}
	b.acceptedBy(b.other, b.own)
	if err := b.passes(conn, b.other); !errors.Is(err, errHelloFirst) {
		t.Errorf("%v, want errHelloFirst", err)
	}
}
