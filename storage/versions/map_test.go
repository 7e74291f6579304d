// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func all(uint64) bool { return true }

func none(uint64) bool { return false }

func upTo(most uint64) Durable { return func(ts uint64) bool { return ts <= most } }

func (m *Map) put(ts uint64, key, value string) { m.Put(ts, []byte(key), []byte(value), false, all) }

func (m *Map) del(ts uint64, key string) { m.Put(ts, []byte(key), nil, true, all) }

func (m *Map) list(ts uint64) (out []string) {
	for _, e := range m.Some(ts, "", "") {
		out = append(out, e.Key+"="+string(e.Value))
	}
	return out
}

func demand(t *testing.T, m *Map, ts uint64, want ...string) {
	t.Helper()
	if got := m.list(ts); !slices.Equal(got, want) {
		t.Errorf("at %d %q, want %q", ts, got, want)
	}
}

// TestBytesAreThoseOfTheVersionsThatAreKept in every way in which versions come and go.
func TestBytesAreThoseOfTheVersionsThatAreKept(t *testing.T) {
	m := New()
	count := func(what string) {
		t.Helper()
		bytes := int64(0)
		for key, versions := range m.keys {
			for _, v := range versions {
				bytes += int64(len(key) + len(v.value))
			}
		}
		if m.Bytes() != bytes {
			t.Errorf("after %s %d bytes, counted %d", what, bytes, m.Bytes())
		}
	}
	for ts := uint64(1); ts <= 5000; ts++ {
		m.put(ts, fmt.Sprint("k", ts%40), "value")
		m.put(ts, fmt.Sprint("k", ts%40), fmt.Sprint("longer ", ts))
		if ts%7 == 0 {
			m.del(ts, fmt.Sprint("k", ts%41))
		}
	}
	count("puts")
	m.Discard(4900, all)
	count("a discard")
	m.Damage("k1", func([]byte) []byte { return nil })
	count("damage")
	m.Forget("k2")
	count("a lost block")
	m.Crash(upTo(4990))
	count("a crash")
	if twin := m.Clone(); twin.Bytes() != m.Bytes() || twin.Newest() != 4990 || twin.Discarded() != 4900 {
		t.Errorf("a clone has %d bytes, newest %d, discarded %d",
			twin.Bytes(), twin.Newest(), twin.Discarded())
	}
}

// TestWhatIsNotDurableHidesNothing: a crash finds what it was to hide.
func TestWhatIsNotDurableHidesNothing(t *testing.T) {
	for _, many := range []bool{false, true} {
		m := New()
		m.put(1, "k", "durable")
		m.Put(2, []byte("k"), []byte("open"), false, upTo(1))
		for i := range uint64(3000) { // so that a discard is worth it
			m.Put(3+i%2, fmt.Append(nil, i%2), nil, many, upTo(1))
		}
		m.Discard(2, upTo(1))
		m.Put(5, []byte("k"), []byte("newer"), false, upTo(1))
		if got, found := m.Get([]byte("k"), 2); !found || string(got) != "open" {
			t.Errorf("before the crash %q, %t", got, found)
		}
		m.Crash(upTo(1))
		demand(t, m, 9, "k=durable")
		if m.Newest() != 1 || m.Discarded() != 1 {
			t.Errorf("after the crash newest %d, discarded %d", m.Newest(), m.Discarded())
		}
		m.Crash(none)
		demand(t, m, 9)
	}
}

// TestADiscardDropsDeletedKeys but not the newest version, by which Newest is told.
func TestADiscardDropsDeletedKeys(t *testing.T) {
	m := New()
	for ts := uint64(1); ts <= 4000; ts += 2 {
		m.put(ts, fmt.Sprint(ts), "v")
		m.del(ts+1, fmt.Sprint(ts))
	}
	m.put(4001, "alive", "v")
	m.del(4002, "last")
	m.Discard(4002, all)
	if len(m.keys) != 2 {
		t.Errorf("%d keys are kept", len(m.keys))
	}
	demand(t, m, 4002, "alive=v")
	m.Crash(all)
	if m.Newest() != 4002 {
		t.Errorf("the newest version is %d", m.Newest())
	}
}

// TestAMapAndItsCloneAreIndependent, and nobody has a hand in a value.
func TestAMapAndItsCloneAreIndependent(t *testing.T) {
	m := New()
	m.put(1, "a", "1")
	m.put(1, "b", "")
	m.del(1, "c")
	twin := m.Clone()
	m.put(2, "a", "2")
	m.Damage("a", func(v []byte) []byte { v[0] ^= 1; return v })
	twin.Damage("a", func(v []byte) []byte { v[0] ^= 2; return v })
	demand(t, m, 1, "a=1", "b=")
	demand(t, m, 2, "a=3", "b=")
	demand(t, twin, 2, "a=3", "b=")
	m.Some(1, "", "")[0].Value[0] = 'x'
	got, _ := m.Get([]byte("a"), 1)
	got[0] = 'x'
	demand(t, m, 1, "a=1", "b=")
	if keys, sizes := m.Values(); !slices.Equal(keys, []string{"a"}) || sizes[0] != 1 {
		t.Errorf("values: %q, %d", keys, sizes)
	}
	if m.Damage("c", nil) || m.Damage("d", nil) {
		t.Error("damaged what is not there")
	}
	m.Forget("a")
	demand(t, m, 2, "b=")
}

// TestAnIterationGoesOnWhereItsChunkEnds, stops where it is told to, and hands on errors.
func TestAnIterationGoesOnWhereItsChunkEnds(t *testing.T) {
	m := New()
	for i := range 300 {
		m.put(1, fmt.Sprintf("k%03d", i), "v")
	}
	m.put(1, "l", "v")
	calls, broken := 0, error(nil)
	some := func(from string) ([]Entry, error) {
		calls++
		return m.Some(1, "k", from), broken
	}
	n := 0
	err := Iterate([]byte("k"), []byte("a"), some, func(_, _ []byte) bool { n++; return true })
	if n != 300 || calls != 4 || err != nil {
		t.Errorf("%d entries in %d chunks, %v", n, calls, err)
	}
	n = 0
	err = Iterate([]byte("k"), []byte("k100"), some, func(_, _ []byte) bool { n++; return n < 150 })
	if n != 150 || err != nil {
		t.Errorf("visited %d, %v", n, err)
	}
	broken = errors.New("broken")
	if err := Iterate(nil, nil, some, nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
