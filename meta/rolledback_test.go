// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// backup is a copy of a member's directory.
type backup struct {
	engine *storage.Memory
	opens  []kv.Open
}

// takeBackup copies the directory of a member that does not run.
func (m *groupMember) takeBackup() backup {
	return backup{engine: m.engine.Crash(nil), opens: append([]kv.Open(nil), m.opens...)}
}

// putBack makes the directory of a member that does not run what it was.
func (m *groupMember) putBack(b backup) { m.engine, m.opens = b.engine.Crash(nil), b.opens }

// halted waits until the process of m has ended by itself, and returns why.
func (m *groupMember) halted(limit time.Duration) error {
	m.rig.t.Helper()
	var err error
	select {
	case err = <-m.ended:
	case <-time.After(limit):
		m.rig.t.Fatalf("node %d runs still: %+v", m.id, m.Status())
	}
	m.present.Store(nil)
	m.stopping()
	m.rigNode = nil
	<-m.served
	return err
}

// fences are what a member was granted, by fence.
type fences map[uint64]string

// grab gets and releases a lock through a member.
func (f fences) grab(t *testing.T, m *groupMember, session byte) {
	t.Helper()
	id := m.open(session, time.Hour)
	got := m.acquire(wants(id, 1, "jobs", time.Minute), 0)
	if got.Code != locks.CodeOK {
		t.Fatalf("node %d: %v", m.id, got)
	}
	if _, twice := f[uint64(got.Fence)]; twice {
		t.Errorf("fence %d was issued twice", got.Fence)
	}
	f[uint64(got.Fence)] = m.host
	m.do(state.Release{Session: id, Holder: 1, Name: "jobs", Fence: got.Fence})
}

// The only voter of a group starts from an older copy of its directory. Its own state
// accepts it; who was told of the time between does not.
func TestAnOnlyVoterThatWasPutBackHaltsBeforeItIssuesAnythingTwice(t *testing.T) {
	for _, c := range []struct {
		name string
		// meanwhile happens while the voter is down, before its older copy starts.
		meanwhile func(r *groupRig, client *groupMember)
		// lost: the voter does not know where the client is.
		lost bool
		// issues: it may lead for a while, for it reaches nobody who knows better.
		issues bool
	}{
		{"a client has the state", func(*groupRig, *groupMember) {}, false, false},
		{"a client was started again", func(_ *groupRig, client *groupMember) {
			client.kill()
			client.restart()
		}, false, false},
		{"only the client reaches the voter", func(*groupRig, *groupMember) {}, true, true},
		{"nobody reaches anybody for a while", func(r *groupRig, client *groupMember) {
			r.net.Partition([]string{"n1"}, []string{client.host})
			time.AfterFunc(10*time.Second, r.net.Heal)
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lost atomic.Bool
				r := newGroupRig(t, 2, func(cfg *Config) {
					self := cfg.Node
					cfg.Address = func(node kv.NodeID) string {
						if self == 1 && lost.Load() {
							return "nowhere:2"
						}
						return fmt.Sprintf("n%d:2", node)
					}
				})
				voter, client := r.members[0], r.members[1]
				issued := fences{}
				issued.grab(t, client, 1)
				must(t, voter.stop())
				old := voter.takeBackup()
				voter.putBack(old)
				voter.restart()
				voter.show()
				issued.grab(t, client, 2)
				issued.grab(t, voter, 3)
				client.barrier()
				must(t, voter.stop())
				newest := voter.takeBackup()
				c.meanwhile(r, client)
				lost.Store(c.lost)
				voter.putBack(old)
				voter.starts += 100 // it draws other nonces
				voter.restart()
				if !c.issues {
					group := voter.Group
					time.Sleep(4 * time.Second)
					if s := group.Status(); s.Term > 0 && group.office.Load() != nil {
						t.Errorf("it leads: %+v", s)
					}
				}
				if err := voter.halted(time.Minute); !errors.Is(err, ErrRolledBack) ||
					!strings.Contains(err.Error(), "meta recover") {
					t.Fatalf("it ended with %v", err)
				}
				r.net.Heal()
				lost.Store(false)
				r.staysOut(voter)
				// Its newest directory is as good as ever, unless others have heard of a second history.
				if !c.issues {
					voter.putBack(newest)
					voter.restart()
					r.await(time.Minute, "it leads again", func() bool { return voter.Status().Leads })
					issued.grab(t, client, 4)
					issued.grab(t, voter, 5)
					must(t, voter.stop())
					voter.putBack(old)
					voter.starts += 100
					voter.restart()
					if err := voter.halted(time.Minute); !errors.Is(err, ErrRolledBack) {
						t.Fatalf("it ended with %v", err)
					}
				}
				r.recoverAlone(voter)
				issued.grab(t, voter, 6)
				issued.grab(t, client, 7)
				if s := client.Status(); s.Generation == 0 {
					t.Errorf("the client did not follow: %+v", s)
				}
				r.alike()
			})
		})
	}
}

// staysOut demands that a voter that has halted takes no part after its next start either,
// though it reaches nobody then.
func (r *groupRig) staysOut(m *groupMember) {
	r.t.Helper()
	var rest []string
	for _, o := range r.others(m) {
		rest = append(rest, o.host)
	}
	r.net.Partition([]string{m.host}, rest)
	m.restart()
	time.Sleep(20 * time.Second)
	if s := m.Status(); s.Leads || s.Refused == "" || s.Applied != 0 {
		r.t.Errorf("after its next start: %+v", s)
	}
	must(r.t, m.stop())
	r.net.Heal()
}

// recoverAlone recovers the group from the directory of a member that does not run.
func (r *groupRig) recoverAlone(m *groupMember) {
	r.t.Helper()
	m.engine = m.engine.Crash(nil)
	plan, err := PlanRecovery(storage.OpenControl(m.engine, zap.NewNop()), m.id, m.opens)
	must(r.t, err)
	must(r.t, plan.Commit())
	m.restart()
	r.await(time.Minute, "the survivor leads", func() bool { return m.Status().Leads })
}

// A cluster of three is there, and the first node starts from a copy of when it was alone.
func TestAFounderThatWasPutBackToItsFirstDaysComesBackAsALearner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first backup
		r := newGroupRigWith(t, 3, func(cfg *Config) {
			// As a node that is started with addresses to join finds the others.
			cfg.Known = func() []kv.NodeID { return []kv.NodeID{1, 2, 3} }
			cfg.Address = func(node kv.NodeID) string { return fmt.Sprintf("n%d:2", node) }
		}, func(founder *groupMember) {
			first = founder.takeBackup()
			founder.putBack(first)
		})
		founder := r.members[0]
		r.await(time.Minute, "three vote", func() bool {
			return r.leader() != nil && len(r.leader().Group.engine.standing().Voters) == 3
		})
		must(t, founder.stop())
		r.await(time.Minute, "another leads", func() bool { return r.leader() != nil })
		founder.putBack(first)
		founder.starts += 100
		founder.restart()
		if err := founder.halted(time.Minute); !errors.Is(err, ErrRolledBack) {
			t.Fatalf("it ended with %v", err)
		}
		founder.restart()
		r.await(3*time.Minute, "it has a new seat", func() bool {
			ctx := founder.ctx()
			_, _ = founder.Do(ctx, state.OpenStore{Node: founder.id, Opens: founder.opens})
			s := founder.Status()
			return s.Role == RoleVoter && s.Refused == ""
		})
		r.alike()
	})
}

func TestAnOnlyVoterHaltsWhereAMemberHasAppliedWhatItsLogLacks(t *testing.T) {
	for name, wrong := range map[string]func(*engineStatus) claim{
		"beyond the end":  func(s *engineStatus) claim { return claim{index: s.Last + 1, term: s.Term} },
		"of another term": func(s *engineStatus) claim { return claim{index: s.Last, term: s.Term + 1} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
				r.do(session(1))
				m := r.members[0]
				s := m.life.status.Load()
				m.life.claims(t.Context(), claim{index: s.Last, term: s.Term})
				m.life.claims(t.Context(), claim{index: s.Last})
				time.Sleep(time.Second)
				if !m.life.status.Load().Leads {
					t.Fatal("it leads no more, though nothing is wrong")
				}
				m.life.claims(t.Context(), wrong(s))
				time.Sleep(time.Second)
				if err := m.stop(); !errors.Is(err, ErrRolledBack) {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}

func TestAnOnlyVoterIsNotHaltedByWhoIsWrong(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
		m := r.members[0]
		own := m.life.status.Load().Raft
		for _, f := range []refusal{
			{witness: true, own: own + 1, verdict: kv.VerdictForked},
			{witness: true, own: own, verdict: kv.VerdictForked, lacks: m.disk.opens[:1]},
		} {
			m.life.tell(t.Context(), event{refused: &f})
		}
		time.Sleep(time.Second)
		if s := m.life.status.Load(); !s.Leads || s.Refused != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestATailThatHasAnotherEntryThanTheGroupHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		seat, client := r.nodes[0], r.newNode(4)
		time.Sleep(time.Second)
		index, term, _ := seat.machine.reached()
		ask := wire.MetaTailRequest{After: index, Term: term, RemainingMS: 100, Bytes: 100}
		if got := seat.serveTail(r.ctx, &ask); got.Code != wire.MetaOK {
			t.Fatalf("%+v", got)
		}
		ask.Term++
		got := seat.serveTail(r.ctx, &ask)
		if got.Code != wire.MetaRefused || len(got.Voters) < 3 || got.Raft == 0 {
			t.Fatalf("%+v", got)
		}
		if err := client.diverged(1, &got); !errors.Is(err, ErrHalted) {
			t.Errorf("%v, want ErrHalted", err)
		}
		got.Voters = got.Voters[:1] // of the only voter it is not known which of the two is wrong
		if err := client.diverged(1, &got); err != nil {
			t.Errorf("%v", err)
		}
	})
}

// A founder's newest snapshot is of when it was alone. What its log has added since counts
// before any of it is applied.
func TestAFounderOfAGroupThatWasRecoveredElsewhereIsNotTakenForAnOnlyVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGroupRig(t, 3, nil)
		founder, survivor := r.members[0], r.members[2]
		r.await(time.Minute, "three vote", func() bool {
			return r.leader() != nil && len(r.leader().Group.engine.standing().Voters) == 3
		})
		for _, m := range r.members {
			m.barrier()
		}
		for _, m := range r.members {
			m.kill()
		}
		r.recoverAlone(survivor)
		founder.restart()
		engine := founder.Group.engine.(seated).engine
		if s := engine.status.Load(); s.Sole || len(s.Voters) != 1 {
			t.Fatalf("%+v, want a seat of the first snapshot that does not call itself alone", s)
		}
		r.await(time.Minute, "it has another seat", func() bool {
			_, _ = founder.Do(founder.ctx(), state.OpenStore{Node: founder.id, Opens: founder.opens})
			return founder.Status().Role == RoleVoter && founder.Status().Refused == ""
		})
	})
}
