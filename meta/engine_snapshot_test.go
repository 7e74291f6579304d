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
	"github.com/dyno-kv/dyno/rpc/memnet"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// often takes a snapshot every 16 entries.
func often(c *EngineConfig) { c.SnapshotEntries = 16 }

// records counts what a member's store has of a kind.
func (m *engineMember) records(prefix string) int {
	m.rig.t.Helper()
	n := 0
	control := storage.OpenControl(m.disk.engine, zap.NewNop())
	must(m.rig.t, control.Each(prefix, func(string, []byte) error { n++; return nil }))
	return n
}

func (m *engineMember) head() (head wire.SnapshotHead) {
	m.rig.t.Helper()
	control := storage.OpenControl(m.disk.engine, zap.NewNop())
	must(m.rig.t, load(control, wire.KeySnapshot, wire.DecodeSnapshotHeadRecord, &head))
	return head
}

func TestTheLogStaysShort(t *testing.T) {
	inBubble(t, 3, often, func(t *testing.T, r *engineRig) {
		for n := range uint64(300) {
			r.do(session(n))
		}
		time.Sleep(time.Second)
		for _, m := range r.members {
			if n := m.records(wire.PrefixRaftLog); n > 16+8+1 {
				t.Errorf("%s has %d entries stored", m.host, n)
			}
			if n := m.records(wire.PrefixSnapshotPart); n != 1 {
				t.Errorf("%s has %d parts of snapshots stored, want those of one", m.host, n)
			}
			if h := m.head(); h.Index+16 < m.life.machine.applied() {
				t.Errorf("%s has a snapshot at %d and applied %d", m.host, h.Index, m.life.machine.applied())
			}
		}
		for _, m := range r.members {
			m.kill()
		}
		for _, m := range r.members {
			m.startAlone()
			if at := m.life.machine.applied(); at < 200 {
				t.Errorf("%s begins at %d, want its snapshot", m.host, at)
			}
		}
		r.do(session(1000))
		r.awaitVoters(3)
	})
}

func TestASeatThatLagsGetsASnapshot(t *testing.T) {
	for name, faults := range map[string]memnet.Faults{
		"over a good network": {Delay: time.Millisecond},
		"over a bad network": {
			Delay: time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.05, Reset: 0.02,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, often, func(t *testing.T, r *engineRig) {
				m := r.follower()
				m.deaf.Store(true)
				m.kill()
				for n := range uint64(100) {
					r.do(session(n))
				}
				r.net.SetDefaults(faults)
				m.startAlone()
				r.await(5*time.Minute, "it has caught up", func() bool {
					s := m.life.status.Load()
					return s.Fed && s.Commit > 90 && m.life.machine.applied() == s.Commit
				})
				if m.head().ID == 0 || m.head().Index < 90 {
					t.Errorf("it has %+v: it was not sent a snapshot", m.head())
				}
				r.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
				m.confirm()
				r.awaitVoters(3)
				m.kill() // with a log that began anew
				m.start()
				r.awaitVoters(3)
			})
		})
	}
}

// The log does not reach back to the beginning when the second member comes.
func TestANewLearnerBeginsWithASnapshot(t *testing.T) {
	inBubble(t, 1, often, func(t *testing.T, r *engineRig) {
		for n := range uint64(200) {
			r.do(session(n))
		}
		for i := 2; i <= 3; i++ {
			m := &engineMember{
				rig: r, id: kv.NodeID(i), host: "n" + string(rune('0'+i)),
				disk: newDisk(),
			}
			m.deaf.Store(true)
			r.members = append(r.members, m)
			r.do(m.registration())
			m.start()
			if i == 2 {
				m.deaf.Store(false) // a client until there are three
				continue
			}
		}
		r.members[2].deaf.Store(false)
		r.awaitVoters(3)
		for _, m := range r.members[1:] {
			if h := m.head(); h.Index < 200 {
				t.Errorf("%s has a snapshot at %d", m.host, h.Index)
			}
		}
	})
}

func TestASnapshotOfManyPartsArrivesWhole(t *testing.T) {
	inBubble(t, 3, often, func(t *testing.T, r *engineRig) {
		m := r.follower()
		m.kill()
		m.deaf.Store(true)
		leader := r.leader()
		for batch := range uint64(30) {
			var commands [][]byte
			for n := range uint64(100) {
				c := session(100*batch + n).(state.SessionOpen)
				c.Name = strings.Repeat("x", 200)
				commands = append(commands, state.AppendCommand(nil, c))
			}
			_, _, err := leader.life.propose(t.Context(), commands)
			must(t, err)
		}
		time.Sleep(time.Second)
		if h := leader.head(); h.Parts < 2 || h.Index < 20 {
			t.Fatalf("the leader has %+v, want a snapshot of several parts", h)
		}
		m.startAlone()
		r.await(time.Minute, "it has caught up", func() bool {
			return m.life.machine.applied() == leader.life.machine.applied()
		})
		if h := m.head(); h.Parts < 2 {
			t.Errorf("it has %+v", h)
		}
	})
}

func TestPartsOfAnUnfinishedSnapshotAreSwept(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, r *engineRig) {
		m := r.members[0]
		must(t, m.stop())
		control := storage.OpenControl(m.disk.engine, zap.NewNop())
		for n := range uint64(3) {
			key := wire.SnapshotPartKey(7, n)
			must(t, control.Put(key, wire.AppendSnapshotPartRecord(nil, key, []byte("part"))))
		}
		m.start()
		if n := m.records(wire.PrefixSnapshotPart); n != 1 {
			t.Errorf("%d parts are stored, want one", n)
		}
	})
}

func TestAGroupIsFoundedOnceAndWithWhatIsGivenOrNotAtAll(t *testing.T) {
	founding := state.Founding{
		Cluster: rigCluster(), Replicas: 1, Partitions: 16, Expect: 1,
		First: (&engineMember{host: "n1"}).registration(), Open: kv.Open{Seq: 1, Nonce: 1},
	}
	identity := storage.ControlRecord{Key: wire.KeyIdentity, Record: wire.AppendIdentityRecord(
		nil, &wire.Identity{Cluster: rigCluster(), Node: 1, Name: "n1"})}
	var founded *storage.Memory
	for write := 1; founded == nil; write++ { // every write of the founding may be the last
		engine := storage.NewMemory()
		engine.FailSync(write, errors.New("input/output error"))
		_, err := Found(storage.OpenControl(engine, zap.NewNop()), founding, identity)
		after := storage.OpenControl(engine.Crash(nil), zap.NewNop())
		_, named, readErr := after.Get(wire.KeyIdentity)
		must(t, readErr)
		log, _, openErr := openLog(after, newStopwatch())
		must(t, openErr)
		if founded := err == nil; named != founded || log.exists() != founded {
			t.Fatalf("write %d failed: named %t, log %t, %v", write, named, log.exists(), err)
		}
		if err == nil {
			if write < 3 {
				t.Errorf("founding took %d writes", write-1)
			}
			founded = engine.Crash(nil)
			continue
		}
		if _, err := Found(after, founding, identity); err != nil {
			t.Errorf("again after a failed founding: %v", err)
		}
	}
	if _, err := Found(storage.OpenControl(founded, zap.NewNop()), founding); !errors.Is(err, ErrFounded) {
		t.Errorf("%v, want ErrFounded", err)
	}
	bad := founding
	bad.Expect = 0
	_, err := Found(storage.OpenControl(storage.NewMemory(), zap.NewNop()), bad)
	if !errors.Is(err, state.ErrFounding) {
		t.Errorf("%v, want ErrFounding", err)
	}
}
