// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// follower returns a voter that does not lead.
func (r *engineRig) follower() *engineMember {
	r.t.Helper()
	for _, m := range r.members {
		if s := m.life.status.Load(); s.Role == roleVoter && !s.Leads {
			return m
		}
	}
	r.t.Fatal("no voter follows")
	return nil
}

// abandon forgets a process whose run has ended, and returns what it did.
func (m *engineMember) abandon() error {
	l := m.life
	err := <-l.ended
	l.ended <- nil
	m.kill()
	return err
}

func TestAFailedWriteEndsTheEngine(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		eio := errors.New("input/output error")
		leader := r.leader()
		leader.disk.engine.FailSync(1, eio)
		if _, _, err := leader.propose(session(1)); !errors.Is(err, errUnknown) {
			t.Errorf("%v, want errUnknown", err)
		}
		if err := leader.abandon(); !errors.Is(err, storage.ErrFailed) || !errors.Is(err, eio) {
			t.Errorf("run returned %v, want the failed write", err)
		}
		r.awaitLeader()
		leader.start()
		r.awaitVoters(3)
	})
}

// TRAPS L4: a leader whose disk stands still says nothing, so that another leads; what it
// wanted meanwhile counts for nothing in the new term.
func TestL4ALeaderThatStandsInAWriteIsReplaced(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		old := r.leader()
		began := time.Now()
		old.disk.engine.SetSyncTime(20 * time.Second)
		if _, _, err := old.propose(session(1)); !errors.Is(err, errUnknown) {
			t.Errorf("%v, want errUnknown", err)
		}
		next := r.awaitLeader(old)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("another led after %v", took)
		}
		r.do(session(2))
		old.disk.engine.SetSyncTime(0)
		r.awaitVoters(3)
		if r.leader() != next {
			t.Error("who stood still leads again")
		}
	})
}

func TestAWriteThatTakesTooLongEndsTheEngine(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		victim := r.follower()
		victim.disk.engine.SetSyncTime(time.Minute)
		r.do(session(1))
		began := time.Now()
		if err := victim.abandon(); !errors.Is(err, ErrStalled) {
			t.Errorf("run returned %v, want ErrStalled", err)
		}
		if took := time.Since(began); took < 20*time.Second || took > 40*time.Second {
			t.Errorf("it ended after %v, want about 30s", took)
		}
		time.Sleep(time.Minute) // the write that it stood in ends, too
	})
}

// reseated waits until a member votes under another raft id than before.
func (r *engineRig) reseated(m *engineMember, old state.RaftID) {
	r.t.Helper()
	learned := false
	r.await(2*time.Minute, "it votes under a new raft id", func() bool {
		s := m.life.status.Load()
		if s.Raft == old && s.Role != roleClient && s.Refused != "" {
			r.t.Error("a refused seat takes part")
		}
		learned = learned || s.Role == roleLearner && s.Raft != old
		return s.Role == roleVoter && s.Raft != old
	})
	if !learned {
		r.t.Error("it votes without having been a learner")
	}
	r.awaitVoters(3)
}

func TestARolledBackStoreIsRefusedAndComesBackUnderANewRaftID(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		m := r.follower()
		id := m.life.status.Load().Raft
		must(t, m.stop())
		backup := m.disk.copied()
		m.disk = backup.copied()
		m.start()
		for n := range uint64(20) {
			r.do(session(n))
		}
		r.awaitVoters(3)
		must(t, m.stop())
		m.disk = backup.copied() // the group and the peers know a later opening
		m.start()
		if m.verdict != kv.VerdictForked {
			t.Errorf("the group says %v of it, want forked", m.verdict)
		}
		r.reseated(m, id)
	})
}

// The copy was made while the process ran, and shows all its openings: only the leader
// knows what it has acknowledged since.
func TestAStoreRolledBackWithinOneOpeningIsFoundOutByWhatItLacks(t *testing.T) {
	inBubble(t, 3, func(c *EngineConfig) { c.DeadAfter = 20 * time.Second },
		func(t *testing.T, r *engineRig) {
			m := r.follower()
			id := m.life.status.Load().Raft
			must(t, m.stop())
			backup := m.disk.copied()
			m.disk = backup.copied()
			m.begin() // the same opening: the copy was made after it
			for n := range uint64(20) {
				r.do(session(n))
			}
			r.awaitVoters(3)
			must(t, m.stop())
			m.disk = backup.copied()
			m.start()
			if m.verdict != kv.VerdictConfirmed {
				t.Fatalf("the group says %v of it", m.verdict)
			}
			r.reseated(m, id)
		})
}

func TestAWipedVoterComesBackUnderANewRaftID(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		m := r.follower()
		id := m.life.status.Load().Raft
		must(t, m.stop())
		m.disk = newDisk()
		r.do(session(1))
		m.start()
		if s := m.life.status.Load(); s.Raft != 0 || s.Role != roleClient {
			t.Errorf("an empty store begins as %+v", s)
		}
		r.reseated(m, id)
	})
}

// A voter that lost its store while another is away: the group must not count what the
// lost one had acknowledged.
func TestARolledBackVoterDoesNotElectALaggard(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		leader := r.leader()
		var m, laggard *engineMember
		for _, other := range r.members {
			if other != leader && laggard == nil {
				laggard = other
			} else if other != leader {
				m = other
			}
		}
		must(t, m.stop())
		backup := m.disk.copied()
		m.disk = backup.copied()
		m.start()
		laggard.kill()
		for n := range uint64(20) {
			r.do(session(n))
		}
		must(t, m.stop())
		m.disk = backup.copied()
		m.startAlone()
		laggard.startAlone() // the rig's log says so where an entry is lost
		r.do(session(100))
		m.confirm()
		laggard.confirm()
		r.awaitVoters(3)
	})
}

func TestACopyOfADirectoryIsRefused(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		m := r.follower()
		must(t, m.stop())
		backup := m.disk.copied()
		m.disk = backup.copied()
		m.start()
		r.awaitVoters(3)
		for _, other := range r.members {
			if other == m {
				continue
			}
			_, found, err := storage.OpenControl(other.disk.engine, zap.NewNop()).Get(wire.KeyRaftPeers)
			if err != nil || !found {
				t.Fatalf("%s remembers nothing: %v", other.host, err)
			}
			gate := other.life.gate
			answer, detail := gate.verdict(m.life.status.Load().Raft, &wire.MetaHello{
				Term: 99, Open: append(backup.opens, kv.Open{Seq: 9, Nonce: 9999}),
			}, 0, true)
			if answer != kv.VerdictForked || !strings.Contains(detail, "copied") {
				t.Errorf("%s says %v: %s", other.host, answer, detail)
			}
		}
	})
}

func TestADamagedLogDoesNotStart(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
		for n := range uint64(10) {
			r.do(session(n))
		}
		m := r.members[0]
		must(t, m.stop())
		control := storage.OpenControl(m.disk.engine, zap.NewNop())
		var log wire.RaftState
		must(t, load(control, wire.KeyRaftState, wire.DecodeRaftStateRecord, &log))
		entry := wire.RaftEntryKey(log.Epoch, log.Base+2)
		cutOff := func(b []byte) []byte { return b[:len(b)-1] }
		intact := m.disk
		for name, damage := range map[string]func(*storage.Memory){
			"an entry is damaged":    func(e *storage.Memory) { e.Damage([]byte(entry), cutOff) },
			"the state is damaged":   func(e *storage.Memory) { e.Damage([]byte(wire.KeyRaftState), cutOff) },
			"a part is damaged":      func(e *storage.Memory) { e.Damage([]byte(wire.SnapshotPartKey(1, 0)), cutOff) },
			"the head is missing":    without(t, wire.KeySnapshot),
			"an entry is missing":    without(t, entry),
			"the last is missing":    without(t, wire.RaftEntryKey(log.Epoch, log.Last)),
			"a part is missing":      without(t, wire.SnapshotPartKey(1, 0)),
			"the openings are gone":  without(t, wire.KeyRaftOpens),
			"another's parts are in": func(e *storage.Memory) { swapPart(t, e) },
		} {
			m.disk = intact.copied()
			damage(m.disk.engine)
			if err := m.tryBegin(); !errors.Is(err, ErrDamagedLog) {
				t.Errorf("%s: %v, want ErrDamagedLog", name, err)
			}
		}
		m.disk = intact.copied()
		m.start()
	})
}

func without(t *testing.T, key string) func(*storage.Memory) {
	return func(e *storage.Memory) {
		t.Helper()
		must(t, storage.OpenControl(e, zap.NewNop()).Delete(key))
	}
}

func swapPart(t *testing.T, e *storage.Memory) {
	t.Helper()
	key := wire.SnapshotPartKey(1, 0)
	rec := wire.AppendSnapshotPartRecord(nil, key, []byte("of another snapshot"))
	must(t, storage.OpenControl(e, zap.NewNop()).Put(key, rec))
}

func TestABrokenMachineEndsTheEngine(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, r *engineRig) {
		m := r.follower()
		m.life.machine.mu.Lock()
		m.life.machine.fail = m.life.machine.state.Index() + 5
		m.life.machine.mu.Unlock()
		for n := range uint64(10) {
			r.do(session(n))
		}
		if err := m.abandon(); !errors.Is(err, errTestMachine) {
			t.Errorf("run returned %v, want the machine's error", err)
		}
		r.do(session(20))
	})
}

// TRAPS L6: a state that went another way is found at the next comparison.
func TestL6AStateThatDiffersHaltsItsMember(t *testing.T) {
	every := func(c *EngineConfig) { c.HashEvery = 32 }
	inBubble(t, 3, every, func(t *testing.T, r *engineRig) {
		m := r.follower()
		m.life.machine.mu.Lock()
		m.life.machine.skew = m.life.machine.state.Index() + 3
		m.life.machine.mu.Unlock()
		for n := range uint64(40) {
			r.do(session(n))
		}
		err := m.abandon()
		if !errors.Is(err, ErrDiverged) {
			t.Errorf("run returned %v, want ErrDiverged", err)
		}
		for n := range uint64(40) {
			r.do(session(100 + n))
		}
	})
}

func TestGuardMakesAnErrorOfTheLibrarysPanic(t *testing.T) {
	log := newRaftLogger(zap.NewNop())
	for name, call := range map[string]func(){
		"panics":      func() { panic("no") },
		"logs panic":  func() { log.Panicf("tocommit(%d) is out of range", 9) },
		"logs fatal":  func() { log.Fatal("no") },
		"runtime":     func() { _ = make([]int, 0)[len(name(t)):][1] },
		"logs panics": func() { log.Panic("no") },
	} {
		if err := guard(call); !errors.Is(err, ErrBrokenRaft) {
			t.Errorf("%s: %v, want ErrBrokenRaft", name, err)
		}
	}
	if err := guard(func() {}); err != nil {
		t.Error(err)
	}
}

func name(t *testing.T) string { return t.Name()[:0] }
