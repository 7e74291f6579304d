// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/seats"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// inBubble runs a test on a group of so many members, all of whose seats are filled.
func inBubble(
	t *testing.T, members int, tune func(*EngineConfig), test func(t *testing.T, r *engineRig),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newEngineRig(t, 1, members, tune)
		r.awaitVoters(seats.Wanted(members))
		test(t, r)
	})
}

// session is a command that changes the state each time.
func session(n uint64) state.Command {
	id := locks.SessionID{1, byte(n >> 16), byte(n >> 8), byte(n)}
	return state.SessionOpen{ID: id, Name: fmt.Sprintf("s%d", n), Owner: 1, TTL: time.Minute}
}

func TestAGroupGrowsFromOneVoterToThree(t *testing.T) {
	for members, voters := range map[int]int{1: 1, 2: 1, 3: 3, 5: 3} {
		synctest.Test(t, func(t *testing.T) {
			r := newEngineRig(t, 1, members, nil)
			r.awaitVoters(voters)
			for _, m := range r.members {
				s := m.life.status.Load()
				if client := s.Role == roleClient; client != (s.Raft == 0) || client == s.Fed {
					t.Errorf("%s: %+v", m.host, s)
				}
			}
		})
	}
}

func TestProposalsAreAppliedInOrderAndAnsweredWithTheirOwnResults(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		leader := r.leader()
		var wg sync.WaitGroup
		var mu sync.Mutex
		indexes := make(map[uint64]int)
		for n := range uint64(500) {
			wg.Go(func() {
				result, index, err := leader.propose(state.AssignRaft{Node: kv.NodeID(1000 + n)})
				if err != nil {
					t.Error(err)
					return
				}
				if want := fmt.Sprintf("no member has the number %d", 1000+n); result.Detail != want {
					t.Errorf("%q, want %q", result.Detail, want)
				}
				mu.Lock()
				indexes[index]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if len(indexes) > 100 {
			t.Errorf("500 proposals took %d entries: they are not batched", len(indexes))
		}
		for index, n := range indexes {
			if n > state.MaxCommands {
				t.Errorf("entry %d has %d commands", index, n)
			}
		}
		r.awaitVoters(3)
	})
}

func TestWhatIsTooMuchForAnEntryIsNotProposed(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
		e := r.leader().life.engine
		for name, commands := range map[string][][]byte{
			"nothing":           nil,
			"too many commands": make([][]byte, state.MaxCommands+1),
			"too long a one":    {make([]byte, state.MaxCommand+1)},
		} {
			if _, _, err := e.propose(t.Context(), commands); !errors.Is(err, errDropped) {
				t.Errorf("%s: %v, want errDropped", name, err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := e.propose(ended, [][]byte{state.AppendCommand(nil, session(1))})
		if !errors.Is(err, errUnknown) {
			t.Errorf("%v, want errUnknown after the caller's time", err)
		}
	})
}

func TestAKilledLeaderIsFollowedByAnother(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		old := r.leader()
		r.do(session(1))
		old.kill()
		began := time.Now()
		next := r.awaitLeader(old)
		r.do(session(2))
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("another led after %v, want 4s at most", took)
		}
		old.start()
		r.awaitVoters(3)
		if r.leader() != next {
			t.Error("who comes back disturbs the leader")
		}
	})
}

// TRAPS L7: a leader that is cut off neither proposes nor confirms a read, whatever it
// believes, and says of nothing that it was dropped that may yet be carried out.
func TestL7ALeaderThatIsCutOffAnswersNoRead(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		old := r.leader()
		var others []string
		for _, m := range r.members {
			if m != old {
				others = append(others, m.host)
			}
		}
		r.net.Partition([]string{old.host}, others)
		asks := map[string]func(context.Context) error{
			"proposal": func(context.Context) error { _, _, err := old.propose(session(1)); return err },
			"read":     func(ctx context.Context) error { _, _, err := old.life.readIndex(ctx); return err },
		}
		for _, name := range []string{"proposal", "read"} {
			ask := asks[name]
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := ask(ctx)
			if err == nil {
				t.Errorf("a %s succeeds without a majority", name)
			}
			if errors.Is(err, errDropped) || name == "proposal" && !errors.Is(err, errUnknown) {
				t.Errorf("a %s: %v; it may yet be carried out", name, err)
			}
			cancel()
		}
		next := r.awaitLeader(old)
		if index, _, err := next.life.readIndex(t.Context()); err != nil || index == 0 {
			t.Errorf("the new leader answers %d, %v", index, err)
		}
		if old.life.status.Load().Leads {
			t.Error("the old leader still believes that it leads")
		}
		r.net.Heal()
		r.awaitVoters(3)
	})
}

// A leader that everybody hears and that hears nobody.
func TestALeaderThatHearsNobodyStepsDown(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		old := r.leader()
		var cuts []memnet.Link
		for _, m := range r.members {
			if m != old {
				cuts = append(cuts, memnet.Link{From: m.host, To: old.host})
			}
		}
		r.net.Grudge(cuts...)
		r.awaitLeader(old)
		r.do(session(1))
		r.net.Heal()
		r.awaitVoters(3)
	})
}

func TestAReadIsAtLeastAsNewAsWhatWasCommittedBefore(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		for n := range uint64(20) {
			_, index, err := r.propose(session(n))
			must(t, err)
			m := r.leader()
			read, term, err := m.life.readIndex(t.Context())
			if err != nil || read < index || term != m.life.status.Load().Term {
				t.Fatalf("read at %d of term %d, %v; entry %d was committed", read, term, err, index)
			}
		}
		for _, m := range r.members {
			if m == r.leader() {
				continue
			}
			if _, _, err := m.life.readIndex(t.Context()); !errors.Is(err, errNotLeader) {
				t.Errorf("%s reads: %v, want errNotLeader", m.host, err)
			}
			if _, _, err := m.propose(session(1)); !errors.Is(err, errNotLeader) {
				t.Errorf("%s proposes: %v, want errNotLeader", m.host, err)
			}
		}
	})
}

// TRAPS L7: a new leader does not know what is committed before it has applied an entry of
// its own term; what it is asked before waits.
func TestL7ANewLeaderReadsOnlyAfterItsOwnFirstEntry(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		for range 5 {
			_, index, err := r.propose(session(1))
			must(t, err)
			old := r.leader()
			old.kill()
			var next *engineMember
			for next == nil {
				time.Sleep(time.Millisecond)
				next = r.leader()
			}
			read, _, err := next.life.readIndex(t.Context())
			if first := next.life.status.Load().First; err == nil && (read < index || read < first) {
				t.Errorf("read at %d, entry %d was committed, the leader's first is %d", read, index, first)
			}
			old.start()
			r.awaitVoters(3)
		}
	})
}

// TRAPS L4, L5: whoever arms timers is told of each leadership, with the entry from which
// on it may serve, and of its end before another's can begin here.
func TestL5EachLeadershipIsToldWithItsFirstEntry(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		for range 4 {
			old := r.leader()
			old.life.resign(t.Context())
			r.awaitLeader(old)
			r.do(session(1))
		}
		for _, m := range r.members {
			for i, office := range m.offices() {
				if office.Leads != (i%2 == 0) {
					t.Errorf("%s was told %+v", m.host, m.offices())
				}
				e, ok := r.log.entry(office.First)
				if office.Leads && (!ok || e.term != office.Term || len(e.data) > 0) {
					t.Errorf("%s led in term %d from entry %d on, which is %+v",
						m.host, office.Term, office.First, e)
				}
			}
		}
	})
}

func TestEverythingIsThereAfterARestartOfAllAtOnce(t *testing.T) {
	for _, members := range []int{1, 3} {
		inBubble(t, members, nil, func(t *testing.T, r *engineRig) {
			for n := range uint64(50) {
				r.do(session(n))
			}
			for _, m := range r.members {
				m.kill()
			}
			for _, m := range r.members {
				m.startAlone()
			}
			for _, m := range r.members {
				m.confirm()
			}
			r.awaitVoters(members)
			found := 0
			r.leader().life.machine.read(func(s *state.State) { found = s.Locks().Counts().Sessions })
			if found != 50 {
				t.Errorf("%d sessions after the restart, want 50", found)
			}
		})
	}
}

func TestAMajorityGoesOnAfterARestartWithoutTheThird(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		for _, m := range r.members {
			must(t, m.stop())
		}
		for _, m := range r.members[:2] {
			m.startAlone()
		}
		began := time.Now()
		r.do(session(1))
		// They wait for what the third may know of them, and no longer.
		if took := time.Since(began); took < 2*time.Second || took > 6*time.Second {
			t.Errorf("two of three took %v", took)
		}
	})
}

func TestADeadVoterIsReplacedByAnotherMember(t *testing.T) {
	inBubble(t, 4, nil, func(t *testing.T, r *engineRig) {
		r.awaitVoters(3)
		var victim *engineMember
		for _, m := range r.members {
			if s := m.life.status.Load(); s.Role == roleVoter && !s.Leads {
				victim = m
			}
		}
		victim.kill()
		began := time.Now()
		spare := r.members[3]
		r.await(2*time.Minute, "the spare member votes", func() bool {
			return spare.life.status.Load().Role == roleVoter
		})
		if took := time.Since(began); took < r.cfg.DeadAfter {
			t.Errorf("it was replaced after %v already", took)
		}
		r.awaitVoters(3)
		victim.start() // it is a client now
		r.await(time.Minute, "who comes back is a client", func() bool {
			s := victim.life.status.Load()
			return s.Role == roleClient && s.Raft == 0 && victim.life.machine.applied() > 0
		})
		r.awaitVoters(3)
	})
}

// Nobody sends anything to a seat that was removed while it was cut off; it asks for votes,
// and must learn by that.
func TestAVoterThatWasReplacedWhileCutOffBecomesAClient(t *testing.T) {
	inBubble(t, 4, nil, func(t *testing.T, r *engineRig) {
		victim, spare := r.follower(), r.members[3]
		var others []string
		for _, m := range r.members {
			if m != victim {
				others = append(others, m.host)
			}
		}
		r.net.Partition([]string{victim.host}, others)
		r.await(2*time.Minute, "the spare member votes", func() bool {
			return spare.life.status.Load().Role == roleVoter
		})
		r.awaitVoters(3)
		r.net.Heal()
		r.await(time.Minute, "the former voter is a client", func() bool {
			s := victim.life.status.Load()
			return s.Role == roleClient && s.Raft == 0 && !s.Fed
		})
		r.awaitVoters(3)
	})
}

func TestTwoMembersLoseTheirVotersSeatOnlyWithTheVoter(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, r *engineRig) {
		r.members[1].kill()
		r.do(session(1))
		r.members[0].kill()
		r.members[1].startAlone()
		time.Sleep(time.Minute)
		if r.leader() != nil {
			t.Error("a client of the group leads it")
		}
	})
}
