// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

// logBench is a log on a disk that can lose power, beside a model of it.
type logBench struct {
	*logStore
	t       testing.TB
	engine  *storage.Memory
	control *storage.Control
	keeper  *keeper
	model   logModel
	before  logModel // what it was before the step that is under way
}

// logModel is what a log must hold.
type logModel struct {
	raft, term, vote, commit, base uint64
	terms                          []uint64 // of the entries after base
}

func (m *logModel) last() uint64 { return m.base + uint64(len(m.terms)) }

func newLogBench(t testing.TB, limits storage.Limits) *logBench {
	b := &logBench{t: t, engine: storage.NewMemory()}
	b.engine.SetLimits(limits)
	b.reopen()
	must(t, b.begin(7, kv.Open{Seq: 1, Nonce: 1}))
	b.model.raft = 7
	return b
}

func (b *logBench) reopen() {
	b.t.Helper()
	b.control = storage.OpenControl(b.engine, zap.NewNop())
	store, _, err := openLog(b.control, newStopwatch())
	must(b.t, err)
	b.logStore = store
	b.keeper = newKeeper(b.control, zap.NewNop())
	must(b.t, b.keeper.clean(store.head.ID))
}

// holds compares the log with a model; "" where they agree.
func (b *logBench) holds(m *logModel) string {
	s := &b.state
	if s.Raft != m.raft || s.Base != m.base || s.Last != m.last() || s.Term != m.term || s.Vote != m.vote {
		return fmt.Sprintf("state %+v, want %+v", *s, *m)
	}
	for i, want := range m.terms {
		index := m.base + 1 + uint64(i)
		if term, err := b.Term(index); err != nil || term != want {
			return fmt.Sprintf("entry %d is of term %d, %v; want %d", index, term, err, want)
		}
	}
	return ""
}

func entriesOf(first uint64, size int, terms ...uint64) []*pb.Entry {
	var entries []*pb.Entry
	for i, term := range terms {
		entries = append(entries, &pb.Entry{
			Index: new(first + uint64(i)), Term: new(term), Data: make([]byte, size),
		})
	}
	return entries
}

// step changes the log as a draw says, and the model with it.
func (b *logBench) step(draw *rand.Rand) error {
	m := &b.model
	switch draw.IntN(8) {
	case 0: // a vote
		m.term++
		m.vote = draw.Uint64N(5)
		return b.save(b.hard(), nil)
	case 1: // a snapshot of its own
		if m.commit == m.base || m.commit <= b.head.Index {
			return nil
		}
		file := &snapshotFile{data: make([]byte, draw.IntN(1000))}
		file.head.Index = m.commit
		file.head.Term, _ = b.Term(m.commit)
		base := m.base + draw.Uint64N(m.commit-m.base+1)
		m.terms, m.base = slices.Clone(m.terms[base-m.base:]), base
		if err := b.keeper.write(file); err != nil {
			return err
		}
		if err := b.compact(file.head, base); err != nil {
			return err
		}
		return b.sweepAll()
	case 2: // one from another seat
		m.base = m.last() + 1 + draw.Uint64N(20)
		m.terms, m.commit = nil, m.base
		m.term++
		file := &snapshotFile{data: make([]byte, draw.IntN(1000))}
		file.head.Index, file.head.Term = m.base, m.term
		if err := b.keeper.write(file); err != nil {
			return err
		}
		if err := b.install(b.hard(), file.head); err != nil {
			return err
		}
		return b.sweepAll()
	default: // entries, perhaps in the place of others
		from := m.commit + 1 + draw.Uint64N(m.last()-m.commit+1)
		m.terms = slices.Clone(m.terms[:from-m.base-1])
		if draw.IntN(3) == 0 {
			m.term++
		}
		var terms []uint64
		for range 1 + draw.IntN(30) {
			terms = append(terms, m.term)
		}
		m.terms = append(m.terms, terms...)
		entries := entriesOf(from, draw.IntN(300), terms...)
		hs := b.hard()
		if draw.IntN(2) == 0 {
			m.commit += draw.Uint64N(m.last() - m.commit + 1)
			hs = b.hard()
		}
		return b.save(hs, entries)
	}
}

func (b *logBench) hard() *pb.HardState {
	return &pb.HardState{
		Term: new(b.model.term), Vote: new(b.model.vote), Commit: new(b.model.commit),
	}
}

func (b *logBench) sweepAll() error {
	return b.keeper.sweep(b.t.Context(), needed{
		epoch: b.state.Epoch, base: b.state.Base, snapshot: b.head.ID,
	})
}

// A log holds what it was given, over restarts and power loss. A change that does not fit
// one step of the disk may be there in part: the beginning of it.
func TestALogHoldsWhatItWasGivenOverPowerLoss(t *testing.T) {
	tight := storage.Limits{Bytes: 4 << 10, Count: 12, Value: 1 << 20}
	for name, limits := range map[string]storage.Limits{
		"one change at a time": {Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20},
		"changes in parts":     tight,
	} {
		t.Run(name, rapid.MakeCheck(func(rt *rapid.T) {
			seed := rapid.Uint64().Draw(rt, "seed")
			draw := rand.New(rand.NewPCG(seed, 1))
			b := newLogBench(t, limits)
			for range 25 {
				b.before = b.model
				power := draw.IntN(6) == 0
				if power {
					b.engine.FailSync(1+draw.IntN(4), errors.New("power"))
				}
				err := b.step(draw)
				if err != nil && !errors.Is(err, storage.ErrFailed) {
					rt.Fatal(err)
				}
				b.check(rt, err != nil)
				if err != nil || power || draw.IntN(8) == 0 {
					b.engine = b.engine.Crash(nil)
					b.engine.SetLimits(limits)
					b.reopen()
					b.check(rt, err != nil)
					b.adopt()
				}
			}
		}))
	}
}

// check compares the log with the model; after a failure it may also be as before, or hold
// the beginning of what was appended.
func (b *logBench) check(t *rapid.T, failed bool) {
	t.Helper()
	why := b.holds(&b.model)
	if why == "" || failed && (b.holds(&b.before) == "" || b.partly()) {
		return
	}
	t.Fatalf("%s (before: %+v)", why, b.before)
}

func (b *logBench) partly() bool {
	part := b.model
	last := b.state.Last
	if last < part.base || last > part.last() {
		return false
	}
	part.terms = part.terms[:last-part.base]
	return b.holds(&part) == ""
}

// adopt makes the model what the log holds, as raft would after a restart.
func (b *logBench) adopt() {
	s := &b.state
	b.model = logModel{raft: s.Raft, term: s.Term, vote: s.Vote, commit: s.Commit, base: s.Base}
	for _, e := range b.entries {
		b.model.terms = append(b.model.terms, e.GetTerm())
	}
}

func TestALogTellsWhatIsCompactedFromWhatIsNotThere(t *testing.T) {
	b := newLogBench(t, storage.Limits{Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20})
	must(t, b.save(&pb.HardState{Term: new(uint64(2)), Commit: new(uint64(9))}, entriesOf(1, 10, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2)))
	file := &snapshotFile{data: []byte("state")}
	file.head.Index, file.head.Term = 8, 2
	must(t, b.keeper.write(file))
	must(t, b.compact(file.head, 4))
	for index, want := range map[uint64]error{3: raft.ErrCompacted, 4: nil, 10: nil, 11: raft.ErrUnavailable} {
		if _, err := b.Term(index); !errors.Is(err, want) {
			t.Errorf("term of %d: %v, want %v", index, err, want)
		}
	}
	for _, c := range []struct {
		lo, hi, size uint64
		want         error
		n            int
	}{
		{4, 6, 1 << 20, raft.ErrCompacted, 0}, {5, 12, 1 << 20, raft.ErrUnavailable, 0},
		{5, 11, 1 << 20, nil, 6}, {5, 11, 0, nil, 1}, {5, 11, 40, nil, 2},
	} {
		got, err := b.Entries(c.lo, c.hi, c.size)
		if !errors.Is(err, c.want) || len(got) != c.n || cap(got) != len(got) {
			t.Errorf("entries %d to %d, %d bytes: %d of capacity %d, %v; want %d, %v",
				c.lo, c.hi, c.size, len(got), cap(got), err, c.n, c.want)
		}
	}
}

func TestWhatALogHasLentStaysAsItIs(t *testing.T) {
	b := newLogBench(t, storage.Limits{Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20})
	must(t, b.save(nil, entriesOf(1, 10, 1, 1, 1, 1)))
	lent, err := b.Entries(2, 5, 1<<20)
	must(t, err)
	must(t, b.save(nil, entriesOf(3, 10, 2, 2))) // as many: they fit the same array
	for i, e := range lent {
		if e.GetTerm() != 1 || e.GetIndex() != 2+uint64(i) {
			t.Errorf("entry %d of what was lent is %d of term %d now", i, e.GetIndex(), e.GetTerm())
		}
	}
}

func TestTheOpeningsUnderARaftIDAreBounded(t *testing.T) {
	b := newLogBench(t, storage.Limits{Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20})
	for seq := uint64(2); seq < wire.MaxOpens+10; seq++ {
		must(t, b.opened(kv.Open{Seq: seq, Nonce: seq}))
		must(t, b.opened(kv.Open{Seq: seq, Nonce: seq})) // once is enough
	}
	b.reopen()
	if n := len(b.opens); n != wire.MaxOpens || b.opens[n-1].Seq != wire.MaxOpens+9 {
		t.Errorf("%d openings, the last %v; want %d", n, b.opens[n-1], wire.MaxOpens)
	}
}

func TestALogThatBeginsAnewHasNothingOfTheOldOne(t *testing.T) {
	b := newLogBench(t, storage.Limits{Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20})
	must(t, b.save(&pb.HardState{Term: new(uint64(2)), Vote: new(uint64(7))}, entriesOf(1, 10, 1, 2, 2)))
	must(t, b.begin(8, kv.Open{Seq: 2, Nonce: 2}))
	b.model = logModel{raft: 8}
	for range 2 {
		if why := b.holds(&b.model); why != "" {
			t.Error(why)
		}
		b.reopen()
	}
	must(t, b.save(nil, entriesOf(1, 10, 5)))
	must(t, b.end())
	b.reopen()
	if b.exists() || len(b.entries) > 0 || len(b.opens) > 0 {
		t.Errorf("%+v after its end", b.state)
	}
	must(t, b.sweepAll())
	n := 0
	must(t, b.control.Each(wire.PrefixRaftLog, func(string, []byte) error { n++; return nil }))
	if n > 0 {
		t.Errorf("%d entries are left after a sweep", n)
	}
}

// TestASweepTakesNoMoreThanTheStoreDoes: what has been given up may be more than one change.
func TestASweepTakesNoMoreThanTheStoreDoes(t *testing.T) {
	b := newLogBench(t, storage.Limits{Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20})
	terms := slices.Repeat([]uint64{1}, 300)
	must(t, b.save(&pb.HardState{}, entriesOf(1, 10, terms...)))
	for _, limits := range []storage.Limits{
		{Bytes: 1 << 20, Count: 100, Value: 1 << 20}, {Bytes: 8 << 10, Count: 1 << 16, Value: 8 << 10},
	} {
		b.engine.SetLimits(limits)
		must(t, b.keeper.sweep(t.Context(), needed{epoch: b.state.Epoch, base: 150}))
		must(t, b.keeper.sweep(t.Context(), needed{epoch: b.state.Epoch + 1}))
		left := 0
		must(t, b.control.Each(wire.PrefixRaftLog, func(string, []byte) error { left++; return nil }))
		if left > 0 {
			t.Errorf("%+v: %d entries are left", limits, left)
		}
		b.engine.SetLimits(storage.Limits{Bytes: 1 << 20, Count: 1 << 16, Value: 1 << 20})
		must(t, b.begin(8, kv.Open{Seq: 1, Nonce: 1}))
		must(t, b.save(&pb.HardState{}, entriesOf(1, 10, terms...)))
	}
}
