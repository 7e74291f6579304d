// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

func TestATailLeavesASeatThatIsSilentOrCutOff(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*rig, *rigNode)
	}{
		{"silent", func(_ *rig, seat *rigNode) { seat.pause() }},
		{"cut off from the leader", func(r *rig, seat *rigNode) {
			seat.seat.setLag(time.Hour)
			r.log.forgetLeader(seat.seat)
		}},
		{"gone", func(r *rig, seat *rigNode) { r.net.Kill(seat.host) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3, 1, nil)
				n := r.nodes[3]
				id := n.open(1, time.Hour)
				n.barrier()
				source := n.Status().Source
				seat := r.nodes[source-1]
				leader := r.nodes[source%3]
				r.log.elect(leader.seat) // it is not the leader that is lost
				r.anyKilled = true
				c.harm(r, seat)
				leader.do(state.SessionClose{ID: id})
				time.Sleep(n.cfg.TailWait + n.cfg.TailGrace + 2*time.Second)
				if n.alive(id) {
					t.Errorf("what was committed did not come, the source was %d and is %d", source,
						n.Status().Source)
				}
				if now := n.Status().Source; now == source && c.name != "cut off from the leader" {
					t.Errorf("the source is %d still", source)
				}
				if seat.seat.paused() {
					seat.resume()
				}
			})
		})
	}
}

func TestATailTakesASnapshotOfANewGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		n.barrier()
		// The group was recovered from a copy that lacks the session, under a new generation.
		r.net.Partition([]string{"n4"}, []string{"n1", "n2", "n3"})
		fresh := rigState(t, 3, 1)
		bump := state.AppendEntry(nil, state.Token{Raft: 1}, state.GenerationBump{Previous: 0})
		_, err := fresh.Apply(fresh.Index()+1, 1, bump)
		must(t, err)
		r.log.mu.Lock()
		r.log.first, r.log.entries = fresh.Index()+1, nil
		r.log.mu.Unlock()
		for _, seat := range r.nodes[:3] {
			must(t, seat.machine.restore(fresh.Index(), fresh.Term(), fresh.Snapshot(nil)))
		}
		if ahead, behind := n.machine.applied(), r.nodes[0].machine.applied(); ahead < behind {
			t.Fatalf("the client is at %d, the group at %d", ahead, behind)
		}
		r.net.Heal()
		time.Sleep(5 * time.Second)
		if n.alive(id) || n.Status().Generation != 1 {
			t.Errorf("generation %d, session alive: %t", n.Status().Generation, n.alive(id))
		}
		// And a seat of the generation before is not followed.
		n.tail.source.Store(0)
		reply := r.nodes[0].serveTail(r.ctx, &wire.MetaTailRequest{After: 9, Generation: 2})
		if reply.Code == wire.MetaOK {
			t.Error("a seat of an older generation lets itself be tailed")
		}
	})
}

// A seat may begin anew in another generation while a tail waits there, below the place
// where the tail stands: what follows then is no continuation of what the tail has.
func TestATailIsNotGivenEntriesOfAGenerationThatBeganMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		leader := r.nodes[0]
		fresh := rigState(t, 3, 0)
		bump := state.AppendEntry(nil, state.Token{Raft: 1}, state.GenerationBump{Previous: 0})
		for fresh.Index() <= leader.machine.applied() {
			_, err := fresh.Apply(fresh.Index()+1, 1, bump)
			must(t, err)
			bump = nil
		}
		asked := make(chan wire.MetaTailReply)
		go func() {
			asked <- leader.serveTail(r.ctx, &wire.MetaTailRequest{
				After: fresh.Index(), RemainingMS: 5000, Bytes: 1000,
			})
		}()
		synctest.Wait()
		r.log.mu.Lock()
		r.log.first, r.log.entries = fresh.Index()+1, nil
		r.log.mu.Unlock()
		for _, seat := range r.nodes {
			must(t, seat.machine.restore(fresh.Index(), fresh.Term(), fresh.Snapshot(nil)))
		}
		leader.open(1, time.Minute)
		if reply := <-asked; len(reply.Entries) > 0 {
			t.Errorf("%+v came for a tail of generation 0, from one of generation %d", reply.Entries,
				leader.Status().Generation)
		}
	})
}

func TestASnapshotLargerThanAMessageComesInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		seat := r.nodes[0]
		id := seat.open(1, time.Hour)
		r.net.Partition([]string{"n4"}, []string{"n1", "n2", "n3"})
		for holder := uint64(1); holder <= 1000; holder++ {
			a := wants(id, holder, string(rune(0x4e00+holder)), 0)
			a.Value = make([]byte, locks.MaxValue)
			seat.acquire(a, 0)
		}
		for _, s := range r.nodes[:3] {
			s.machine.mu.Lock()
			s.machine.recent.reset(s.machine.state.Index() + 1)
			s.machine.mu.Unlock()
		}
		r.net.Heal()
		time.Sleep(10 * time.Second)
		if n := r.nodes[3]; n.hash() != seat.hash() {
			t.Errorf("the client is at %d, the leader at %d", n.machine.applied(), seat.machine.applied())
		}
		time.Sleep(2 * shelfTime)
		for _, s := range r.nodes {
			s.shelf.mu.Lock()
			if s.shelf.bytes != nil {
				t.Errorf("node %d keeps its snapshot for nobody", s.cfg.Node)
			}
			s.shelf.mu.Unlock()
		}
	})
}

func TestAMachineRefusesEntriesThatDoNotFollow(t *testing.T) {
	s := rigState(t, 3, 0)
	m := newMachine(newDesk(1), &views{}, nil)
	entry := func(c state.Command) []byte {
		return state.AppendEntry(nil, state.Token{Raft: 1, Seq: 1}, c)
	}
	if err := m.follow(0, []wire.MetaEntry{{Index: 2, Term: 1}}); !errors.Is(err, errGap) {
		t.Errorf("an entry before any snapshot: %v", err)
	}
	index := s.Index()
	must(t, m.restore(index, s.Term(), s.Snapshot(nil)))
	for name, e := range map[string]wire.MetaEntry{
		"a gap":        {Index: index + 2, Term: 1},
		"an older one": {Index: index + 1, Term: 0},
	} {
		if err := m.follow(0, []wire.MetaEntry{e}); !errors.Is(err, errGap) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.follow(1, []wire.MetaEntry{{Index: index + 1, Term: 1}}); !errors.Is(err, errGap) {
		t.Errorf("another generation: %v", err)
	}
	// What was applied before is skipped, whoever brings it.
	id := locks.SessionID{1}
	open := entry(state.SessionOpen{ID: id, TTL: time.Minute})
	must(t, m.follow(0, []wire.MetaEntry{{Index: index + 1, Term: 1, Data: open}}))
	applied, err := m.apply(index+1, 1, open)
	if err != nil || len(applied.Results) != 0 || m.applied() != index+1 {
		t.Errorf("applied again: %v, %v, at %d", applied, err, m.applied())
	}
	must(t, m.restore(index, s.Term(), s.Snapshot(nil)))
	if m.applied() != index+1 {
		t.Errorf("an old snapshot threw the state back to %d", m.applied())
	}
	// What nobody understands halts it for good.
	if _, err := m.apply(index+2, 1, []byte{99}); !errors.Is(err, ErrHalted) {
		t.Errorf("an unknown entry: %v", err)
	}
	if _, err := m.apply(index+2, 1, nil); !errors.Is(err, ErrHalted) {
		t.Errorf("after it halted: %v", err)
	}
}

func TestRecentEntriesAreBoundedInBytesAndHaveNoGap(t *testing.T) {
	r := recent{limit: 10 * (100 + recentOverhead)}
	r.reset(5)
	if got, ok := r.after(4, 1<<20); len(got) != 0 || !ok {
		t.Errorf("nothing yet: %v, %t", got, ok)
	}
	for i := range uint64(100) {
		r.add(committed{Term: i, Data: make([]byte, 100)})
	}
	if r.bytes > r.limit || len(r.entries) != 10 || r.first != 95 {
		t.Errorf("%d entries of %d bytes from %d on", len(r.entries), r.bytes, r.first)
	}
	if _, ok := r.after(93, 1<<20); ok {
		t.Error("entry 94 is gone, and said to be there")
	}
	for after := uint64(94); after <= 104; after++ {
		got, ok := r.after(after, 3*(100+recentOverhead))
		if want := min(3, int(104-after)); !ok || len(got) != want {
			t.Errorf("after %d: %d entries, not %d", after, len(got), want)
		}
		for i, e := range got {
			if e.Term != after+1+uint64(i)-5 {
				t.Errorf("after %d: entry %d is of term %d", after, i, e.Term)
			}
		}
	}
	if got, _ := r.after(94, 1); len(got) != 1 {
		t.Errorf("a small answer has %d entries", len(got))
	}
	r.add(committed{Data: make([]byte, 1<<20)})
	if len(r.entries) != 1 {
		t.Error("the newest entry must stay, however large")
	}
}

// A client that is given a seat is fed by both for a while; one whose seat is taken tails
// from where it is.
func TestAMemberChangesFromClientToSeatAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.nodes[3]
		id := n.open(1, time.Hour)
		n.barrier()
		for turn := range 4 {
			r.log.setClient(n.seat, turn%2 == 1)
			for holder := uint64(1); holder <= 20; holder++ {
				n.acquire(wants(id, uint64(turn)*20+holder, "jobs", time.Minute), 0)
				time.Sleep(20 * time.Millisecond)
			}
			n.barrier()
			if source := n.Status().Source; (source == 0) != (turn%2 == 0) {
				t.Errorf("turn %d: the source is %d", turn, source)
			}
			if n.hash() != r.nodes[0].hash() {
				t.Errorf("turn %d: the states differ", turn)
			}
		}
	})
}

// A client that starts again before there is a ring, and so with no list of members, asks
// those whom its node has found.
func TestAMemberThatKnowsNobodyAsksWhomItsNodeHasFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := make(chan struct{})
		r := newRig(t, 3, 1, func(c *Config) {
			if c.Node != 4 {
				return
			}
			c.Seats = nil
			c.Address = func(node kv.NodeID) string { return fmt.Sprintf("n%d:2", node) }
			c.Known = func() []kv.NodeID {
				if closed(found) {
					return []kv.NodeID{2}
				}
				return nil
			}
		})
		n := r.nodes[3]
		time.Sleep(10 * time.Second)
		if at := n.machine.applied(); at != 0 {
			t.Fatalf("it is at %d, from nobody", at)
		}
		close(found)
		time.Sleep(time.Second)
		n.open(1, time.Hour)
		n.barrier()
	})
}

// answering answers every call the same.
type answering []byte

func (a answering) call(
	context.Context, kv.NodeID, string, rpc.AppendParams,
) ([]byte, error) {
	return a, nil
}

func TestAMemberHaltsBeforeASnapshotOfANewerRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		n := r.newNode(4)
		r.log.mu.Lock() // members that run look at all seats
		n.seat.client = true
		r.log.mu.Unlock()
		newer := rigState(t, 3, 1).Snapshot(nil)
		newer[0] = 99
		n.caller = answering(wire.AppendMetaTailReply(nil, &wire.MetaTailReply{
			MetaOutcome: wire.MetaOutcome{Code: wire.MetaOK, Leader: 1},
			Part: wire.SnapshotPart{
				Index: 9, Term: 1, Total: uint64(len(newer)), Sum: xxhash.Sum64(newer), Chunk: newer,
			},
		}))
		if err := n.tail.run(r.ctx); !errors.Is(err, ErrHalted) || !errors.Is(err, state.ErrUnknown) {
			t.Errorf("the tail ended with %v", err)
		}
	})
}
