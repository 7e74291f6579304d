// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc/memnet"
)

// Whatever happens to networks, disks and processes: what was acknowledged is there, in
// the order of its indexes, in every copy; a read that was confirmed is at or above all
// that was acknowledged before it; and each term has one leader (TRAPS L6, L7, L8).
//
// Method: a few minutes of drawn faults under proposals and reads, then everything heals.
// DYNO_LONG=1 plays 300 seeds; one seed again: -run 'TestNoCommittedEntryIsEverLost/seed=7$'.
func TestNoCommittedEntryIsEverLost(t *testing.T) {
	seeds := uint64(12)
	if os.Getenv("DYNO_LONG") == "1" {
		seeds = 300
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playFaults(t, seed) })
		})
	}
}

// trouble is a group under faults, and what its callers know.
type trouble struct {
	*engineRig
	draw *rand.Rand // of the faults
	// running are the processes; those that have ended meanwhile answer that they do not lead.
	running atomic.Pointer[[]*engineLife]

	mu    sync.Mutex // guards what follows
	next  uint64
	acked map[uint64]uint64 // session number -> index
	top   uint64            // highest acknowledged index
}

func playFaults(t *testing.T, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, 99))
	members := 3 + draw.IntN(3)
	r := newEngineRig(t, seed, members, func(c *EngineConfig) {
		c.SnapshotEntries, c.HashEvery = 16+uint64(draw.IntN(100)), 1+uint64(draw.IntN(64))
		c.DeadAfter, c.RefusedAfter = 20*time.Second, 5*time.Second
	})
	r.awaitVoters(3)
	tr := &trouble{engineRig: r, draw: draw, acked: make(map[uint64]uint64)}
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	tr.note()
	for n := range uint64(4) {
		callers.Go(func() { tr.propose(ctx, rand.New(rand.NewPCG(seed, n))) })
	}
	callers.Go(func() { tr.read(ctx) })
	for range 40 {
		tr.fault()
		tr.note()
		time.Sleep(time.Duration(draw.IntN(2500)) * time.Millisecond)
	}
	tr.heal()
	cancel()
	callers.Wait()
	tr.awaitVoters(3)
	tr.check()
}

// note tells the callers who runs.
func (tr *trouble) note() {
	lives := make([]*engineLife, 0, len(tr.members))
	for _, m := range tr.members {
		if m.life != nil {
			lives = append(lives, m.life)
		}
	}
	tr.running.Store(&lives)
}

// anyLeader returns somebody who believes to lead, not always the newest.
func (tr *trouble) anyLeader(rng *rand.Rand) *engineLife {
	var leaders []*engineLife
	for _, l := range *tr.running.Load() {
		if l.status.Load().Leads {
			leaders = append(leaders, l)
		}
	}
	if len(leaders) == 0 {
		return nil
	}
	return leaders[rng.IntN(len(leaders))]
}

func (tr *trouble) propose(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
		l := tr.anyLeader(rng)
		if l == nil {
			continue
		}
		tr.mu.Lock()
		tr.next++
		n := tr.next
		tr.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		// The second command says whose answer it is.
		node := kv.NodeID(10_000 + n)
		results, index, err := l.propose(limited, [][]byte{
			state.AppendCommand(nil, session(n)), state.AppendCommand(nil, state.AssignRaft{Node: node}),
		})
		cancel()
		if err != nil {
			continue
		}
		own := strings.HasSuffix(results[1].Detail, fmt.Sprintf("number %d", node))
		if results[0].Lock.Code != locks.CodeOK || !own {
			tr.t.Errorf("session %d, node %d: %+v", n, node, results)
		}
		tr.mu.Lock()
		tr.acked[n], tr.top = index, max(tr.top, index)
		tr.mu.Unlock()
	}
}

func (tr *trouble) read(ctx context.Context) {
	rng := rand.New(rand.NewPCG(5, 5))
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		l := tr.anyLeader(rng)
		if l == nil {
			continue
		}
		tr.mu.Lock()
		before := tr.top
		tr.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		index, _, err := l.readIndex(limited)
		cancel()
		if err == nil && index < before {
			tr.t.Errorf("a read was confirmed at %d, entry %d was acknowledged before", index, before)
		}
	}
}

// fault lets something happen.
func (tr *trouble) fault() {
	m := tr.members[tr.draw.IntN(len(tr.members))]
	if leader := tr.leader(); leader != nil && tr.draw.IntN(2) == 0 {
		m = leader
	}
	switch kind := tr.draw.IntN(12); {
	case m.life == nil:
		m.startAlone()
	case kind < 3:
		m.kill()
	case kind == 3:
		must(tr.t, m.stop())
	case kind == 4:
		tr.net.SetDefaults(memnet.Faults{
			Delay: time.Millisecond, Jitter: time.Duration(tr.draw.IntN(200)) * time.Millisecond,
			Loss: 0.1 * tr.draw.Float64(), Reset: 0.02 * tr.draw.Float64(),
			Slow: 0.02, SlowBy: time.Second,
		})
	case kind < 7:
		tr.cut()
	case kind == 7:
		tr.net.Heal()
	case kind == 8:
		tr.net.Pause(m.host)
	case kind == 9:
		tr.net.Resume(m.host)
	case kind == 10:
		m.disk.engine.SetSyncTime(time.Duration(tr.draw.IntN(3000)) * time.Millisecond)
	default:
		m.life.resign(m.life.ctx)
	}
}

// cut draws a set of directions that carry nothing.
func (tr *trouble) cut() {
	var cuts []memnet.Link
	for _, a := range tr.members {
		for _, b := range tr.members {
			if a != b && tr.draw.IntN(4) == 0 {
				cuts = append(cuts, memnet.Link{From: a.host, To: b.host})
			}
		}
	}
	tr.net.Grudge(cuts...)
}

// heal ends all faults, and then, once, one member's store is rolled back or lost.
func (tr *trouble) heal() {
	tr.net.Heal()
	tr.net.SetDefaults(memnet.Faults{Delay: time.Millisecond})
	for _, m := range tr.members {
		tr.net.Resume(m.host)
		m.disk.engine.SetSyncTime(0)
		if m.life == nil {
			m.startAlone()
		}
	}
	tr.note()
	for _, m := range tr.members {
		m.confirm()
	}
	tr.awaitVoters(3)
	m := tr.members[tr.draw.IntN(len(tr.members))]
	must(tr.t, m.stop())
	backup := m.disk.copied()
	m.disk = backup.copied()
	m.start()
	tr.awaitVoters(3)
	must(tr.t, m.stop())
	if tr.draw.IntN(2) == 0 {
		m.disk = disk{engine: backup.copied().engine, opens: backup.opens}
	} else {
		m.disk = newDisk()
	}
	m.start()
	tr.note()
	time.Sleep(time.Minute)
}

// check compares what was acknowledged with what is there.
func (tr *trouble) check() {
	terms := make(map[uint64]*engineMember)
	for _, m := range tr.members {
		for _, office := range m.offices() {
			if other := terms[office.Term]; office.Leads && other != nil && other != m {
				tr.t.Errorf("%s and %s have led in term %d", m.host, other.host, office.Term)
			}
			if office.Leads {
				terms[office.Term] = m
			}
		}
		m.life.machine.read(func(s *state.State) {
			for n, index := range tr.acked {
				if _, there := s.Locks().Session(session(n).(state.SessionOpen).ID); !there {
					tr.t.Errorf("%s lacks session %d, acknowledged at %d", m.host, n, index)
				}
			}
		})
	}
	tr.t.Logf("%d proposals, %d acknowledged, %d terms", tr.next, len(tr.acked), len(terms))
	if len(tr.acked) == 0 {
		tr.t.Error("nothing was acknowledged: the faults are too many to find anything")
	}
}
