// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/locks"
	"github.com/dyno-kv/dyno/meta/state"
)

// save reads a whole snapshot from a member, in pieces of a size.
func (n *rigNode) save(t *testing.T, piece int) (SavedPart, []byte) {
	t.Helper()
	first, err := n.Save(n.rig.ctx, 0, 0, piece)
	must(t, err)
	all := append([]byte(nil), first.Chunk...)
	for uint64(len(all)) < first.Total {
		part, err := n.Save(n.rig.ctx, first.Index, uint64(len(all)), piece)
		must(t, err)
		if part.Index != first.Index || part.Offset != uint64(len(all)) || part.Sum != first.Sum ||
			len(part.Chunk) == 0 || len(part.Chunk) > piece {
			t.Fatalf("at %d of %d: index %d not %d, offset %d, %d bytes", len(all), first.Total,
				part.Index, first.Index, part.Offset, len(part.Chunk))
		}
		all = append(all, part.Chunk...)
	}
	return first, all
}

func TestASavedStateHasAllThatWasCommittedAndCanBeRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 1, nil)
		seat, client := r.nodes[0], r.nodes[3]
		for i := byte(1); i <= 5; i++ {
			id := seat.open(i, time.Hour)
			// The client has perhaps not heard of it: what is saved has it all the same.
			first, bytes := client.save(t, 100)
			restored, err := state.Restore(bytes)
			must(t, err)
			if _, there := restored.Locks().Session(id); !there {
				t.Errorf("session %d is not in what was saved after it", i)
			}
			if restored.Index() != first.Index || restored.Term() != first.Term ||
				restored.Generation() != first.Generation || xxhash.Sum64(bytes) != first.Sum ||
				uint64(len(bytes)) != first.Total {
				t.Errorf("saved %+v, restored index %d, term %d, generation %d", first,
					restored.Index(), restored.Term(), restored.Generation())
			}
		}
	})
}

func TestAStateIsSavedAsOfOneIndexHoweverMuchChangesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[1]
		first, err := n.Save(r.ctx, 0, 0, 64)
		must(t, err)
		all := append([]byte(nil), first.Chunk...)
		for i := byte(1); uint64(len(all)) < first.Total; i++ {
			n.open(i, time.Hour)
			part, err := n.Save(r.ctx, first.Index, uint64(len(all)), 64)
			must(t, err)
			all = append(all, part.Chunk...)
		}
		restored, err := state.Restore(all)
		must(t, err)
		if restored.Index() != first.Index || restored.Locks().Counts().Sessions != 0 {
			t.Errorf("index %d, not %d, with %d sessions", restored.Index(), first.Index,
				restored.Locks().Counts().Sessions)
		}
		// Behind its end there is nothing; and after a while it is not kept.
		end, err := n.Save(r.ctx, first.Index, first.Total+5, 64)
		if err != nil || len(end.Chunk) != 0 || end.Offset != first.Total {
			t.Errorf("behind the end: %+v, %v", end, err)
		}
		time.Sleep(2 * shelfTime)
		next, err := n.Save(r.ctx, first.Index, 64, 64)
		if err != nil || next.Index <= first.Index || next.Offset != 0 {
			t.Errorf("after it was given up: index %d, offset %d, %v", next.Index, next.Offset, err)
		}
		time.Sleep(2 * shelfTime)
		n.saves.mu.Lock()
		defer n.saves.mu.Unlock()
		if n.saves.bytes != nil {
			t.Error("a snapshot is kept for nobody")
		}
	})
}

func TestManyWhoSaveTheStateDoNotKeepItFromBeingApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[0]
		taken, begun := map[uint64]bool{}, time.Now()
		for i := range byte(20) {
			id := n.open(i+1, time.Hour)
			first, bytes := n.save(t, 1<<20)
			restored, err := state.Restore(bytes)
			must(t, err)
			if _, there := restored.Locks().Session(id); !there {
				t.Errorf("session %d is not in what was saved after it", i)
			}
			taken[first.Index] = true
		}
		if took := time.Since(begun); took < time.Duration(len(taken)-1)*saveRest {
			t.Errorf("%d snapshots in %v", len(taken), took)
		}
		// Whoever can not wait for the next is told to come again.
		n.open(50, time.Hour)
		ctx, cancel := context.WithTimeout(r.ctx, saveRest/10)
		defer cancel()
		if _, err := n.Save(ctx, 0, 0, 100); !errors.Is(err, ErrOverloaded) {
			t.Errorf("too early: %v", err)
		}
	})
}

func TestNothingIsSavedWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[1]
		first, _ := n.save(t, 1<<20)
		r.log.depose()
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		if _, err := n.Save(ctx, 0, 0, 100); !errors.Is(err, ErrNoLeader) {
			t.Errorf("without a leader: %v", err)
		}
		// What was begun can be read to its end.
		if _, err := n.Save(ctx, first.Index, 1, 100); err != nil {
			t.Errorf("the rest of one that was taken: %v", err)
		}
	})
}

func TestASavedStateIsOfTheGenerationThatTheGroupHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, 0, nil)
		n := r.nodes[0]
		first, _ := n.save(t, 1<<20)
		time.Sleep(saveRest)
		n.do(state.GenerationBump{Previous: 0})
		// Nobody may be given the snapshot of before, were its index as high.
		n.saves.mu.Lock()
		n.saves.index = 1 << 40
		n.saves.mu.Unlock()
		if next, _ := n.save(t, 1<<20); next.Generation != first.Generation+1 ||
			next.Index <= first.Index || next.Index == 1<<40 {
			t.Errorf("generation %d, index %d, after %d", next.Generation, next.Index, first.Index)
		}
	})
}

func TestASavedStateIsReadWhileMembersTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, 0, nil)
		n := r.nodes[0]
		session := n.open(1, time.Hour)
		for holder := uint64(1); holder <= 600; holder++ {
			a := wants(session, holder, string(rune(0x4e00+holder)), 0)
			a.Value = make([]byte, locks.MaxValue)
			n.acquire(a, 0)
		}
		first, err := n.Save(r.ctx, 0, 0, 100)
		must(t, err)
		if first.Total <= 2<<20 {
			t.Fatalf("a state of %d bytes", first.Total)
		}
		n.open(2, time.Hour)
		n.machine.mu.Lock()
		n.machine.recent.reset(n.machine.state.Index() + 1)
		n.machine.mu.Unlock()
		if tailed := n.shelf.part(0, 0); tailed.Index <= first.Index {
			t.Errorf("a member was given the snapshot of %d", tailed.Index)
		}
		part, err := n.Save(r.ctx, first.Index, 100, 1<<30)
		must(t, err)
		if part.Index != first.Index || part.Offset != 100 || len(part.Chunk) != 1<<20 {
			t.Errorf("index %d, offset %d, %d bytes", part.Index, part.Offset, len(part.Chunk))
		}
	})
}
