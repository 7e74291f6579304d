// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// stampedAs writes a value under a stamp that the store is to remember.
func (r *rig) stampedAs(key, value string, stamp kv.Stamp) {
	r.t.Helper()
	write := r.write(value)
	mustDo(r.t, r.do(key, func(c Current) Next { return write(c).Stamped(stamp) }))
}

// marks counts the commits of an engine that wrote the mark.
func marks(t testing.TB, e Engine) (n int, last kv.Stamp) {
	t.Helper()
	key := wire.AppendStampMarkKey(nil)
	for ts := uint64(1); ts <= e.MaxVersion(); ts++ {
		record, found, err := e.Get(key, ts)
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			continue
		}
		mark, err := wire.DecodeStampMarkRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		if mark != last {
			n, last = n+1, mark
		}
	}
	return n, last
}

func TestAStoreThatWasKilledKnowsABoundOfItsStamps(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		cfg := testConfig()
		r := start(t, cfg, e)
		if r.StampMark() != 0 {
			t.Fatalf("an empty store has mark %d", r.StampMark())
		}
		highest := kv.StampAt(5_000_000) + 3
		r.stampedAs("a", "x", highest)
		r.stampedAs("b", "y", kv.StampAt(4_000_000)) // another partition, whose clock is behind
		mustDo(t, r.overwrite("c", "no stamp"))
		if r.StampMark() != 0 {
			t.Error("the mark is that of the lives before")
		}
		r = r.restart(cfg, c, e)
		if mark := r.StampMark(); mark < highest || mark > highest+kv.StampAt(2*markStep) {
			t.Errorf("mark %d after stamp %d", mark, highest)
		}
	})
}

// TestTheStampMarkIsWrittenOnceInAWhile: a bounded cost, whatever is written.
func TestTheStampMarkIsWrittenOnceInAWhile(t *testing.T) {
	m := NewMemory()
	r := start(t, testConfig(), m)
	const first, writes = 1_000_000, 500
	for i := range writes { // ten milliseconds apart: five steps
		r.stampedAs("k", "v", kv.StampAt(first+10*int64(i)))
	}
	n, last := marks(t, m)
	if n < 4 || n > 6 {
		t.Errorf("%d writes in 5 s moved the mark %d times, want about 5", writes, n)
	}
	if highest := kv.StampAt(first + 10*(writes-1)); last < highest {
		t.Errorf("mark %d below stamp %d", last, highest)
	}
}

func TestAStampAtTheEndOfTimeIsMarked(t *testing.T) {
	m := NewMemory()
	r := start(t, testConfig(), m)
	last := kv.Stamp(1<<64 - 1)
	r.stampedAs("k", "v", last)
	if _, mark := marks(t, m); mark != last {
		t.Errorf("mark %d, want %d", mark, last)
	}
}

func TestADamagedStampMarkStopsNobody(t *testing.T) {
	m := NewMemory()
	cfg := testConfig()
	r := start(t, cfg, m)
	r.stampedAs("k", "v", 1<<40)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	next := m.Crash(nil)
	next.Damage(wire.AppendStampMarkKey(nil), func(b []byte) []byte { b[len(b)-1]++; return b })
	r = start(t, cfg, next)
	if r.StampMark() != 0 {
		t.Errorf("mark %d from a damaged record", r.StampMark())
	}
	r.last = 100
	r.stampedAs("k", "v", 1<<41)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if r = start(t, cfg, next.Crash(nil)); r.StampMark() < 1<<41 {
		t.Errorf("mark %d was not written anew", r.StampMark())
	}
}
