// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// engineCase is an engine under test. reopen ends an engine in an orderly way and
// returns what is found afterwards.
type engineCase struct {
	name   string
	open   func(t testing.TB) Engine
	reopen func(t testing.TB, e Engine) Engine
}

func engineCases() []engineCase {
	return []engineCase{
		{
			name: "memory",
			open: func(testing.TB) Engine { return NewMemory() },
			reopen: func(_ testing.TB, e Engine) Engine {
				return e.(*Memory).Crash(nil) // what is durable is all there is to find
			},
		},
		{
			name: "badger",
			open: func(t testing.TB) Engine {
				return openBadger(t, filepath.Join(ramDir(t), "data"))
			},
			reopen: func(t testing.TB, e Engine) Engine {
				b := e.(*Badger)
				if err := b.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
				return openBadger(t, b.dir.path)
			},
		},
	}
}

// ramDir is a directory in memory where the machine has that: for tests that write much
// and do not ask what a disk does.
func ramDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dyno-storage-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func openBadger(t testing.TB, dir string) *Badger {
	t.Helper()
	b, err := OpenBadger(BadgerConfig{Dir: dir, Memtable: MinMemtable}, zapTest(t))
	if err != nil {
		t.Fatalf("open %s: %v", dir, err)
	}
	return b
}

// onEngines runs a test on every engine.
func onEngines(t *testing.T, test func(t *testing.T, c engineCase, e Engine)) {
	for _, c := range engineCases() {
		t.Run(c.name, func(t *testing.T) {
			e := c.open(t)
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test(t, c, e)
		})
	}
}

func mustCommit(t testing.TB, e Engine, ts uint64, writes ...Write) {
	t.Helper()
	if err := e.Commit(ts, writes); err != nil {
		t.Fatalf("commit at %d: %v", ts, err)
	}
}

func set(key, value string) Write { return Write{Key: []byte(key), Value: []byte(value)} }

func del(key string) Write { return Write{Key: []byte(key), Delete: true} }

// get returns the value, "-" for an absent key.
func get(t testing.TB, e Engine, key string, ts uint64) string {
	t.Helper()
	v, found, err := e.Get([]byte(key), ts)
	if err != nil {
		t.Fatalf("get %s at %d: %v", key, ts, err)
	}
	if !found {
		return "-"
	}
	return string(v)
}

func list(t testing.TB, e Engine, ts uint64, prefix, from string) []string {
	t.Helper()
	var out []string
	err := e.Iterate(ts, []byte(prefix), []byte(from), func(k, v []byte) bool {
		out = append(out, string(k)+"="+string(v))
		return true
	})
	if err != nil {
		t.Fatalf("iterate: %v", err)
	}
	return out
}

func TestEngineReadsTheNewestVersionAtOrBelowTheTimestamp(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		mustCommit(t, e, 5, set("k", "five"))
		mustCommit(t, e, 7, set("k", "seven"), set("l", "l"))
		mustCommit(t, e, 9, del("k"))
		for ts, want := range map[uint64]string{
			4: "-", 5: "five", 6: "five", 7: "seven", 8: "seven", 9: "-", 100: "-",
		} {
			if got := get(t, e, "k", ts); got != want {
				t.Errorf("at %d: %q, want %q", ts, got, want)
			}
		}
		if got := e.MaxVersion(); got != 9 {
			t.Errorf("newest version is %d, want 9", got)
		}
	})
}

func TestEngineTellsAnEmptyValueFromAnAbsentKey(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		mustCommit(t, e, 1, set("empty", ""))
		if _, found, err := e.Get([]byte("empty"), 1); !found || err != nil {
			t.Errorf("found %t, %v; the key is there", found, err)
		}
		if got := list(t, e, 1, "", ""); !slices.Equal(got, []string{"empty="}) {
			t.Errorf("iteration shows %q", got)
		}
	})
}

func TestEngineLetsTheLastOfSeveralWritesCount(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		mustCommit(t, e, 1, set("a", "1"), set("b", "1"), set("a", "2"), del("b"))
		mustCommit(t, e, 2, del("c"), set("c", "3"))
		want := []string{"a=2", "c=3"}
		if got := list(t, e, 2, "", ""); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		e = c.reopen(t, e)
		defer e.Close()
		if got := list(t, e, 2, "", ""); !slices.Equal(got, want) {
			t.Errorf("after a restart %q, want %q", got, want)
		}
	})
}

func TestEngineGivesValuesAway(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		value := []byte("value")
		key := []byte("key")
		mustCommit(t, e, 1, Write{Key: key, Value: value})
		copy(value, "VALUE")
		copy(key, "KEY")
		first, _, err := e.Get([]byte("key"), 1)
		if err != nil || string(first) != "value" {
			t.Fatalf("%q, %v; the engine kept what it was lent", first, err)
		}
		copy(first, "xxxxx")
		if got := get(t, e, "key", 1); got != "value" {
			t.Errorf("%q; the engine kept what it gave away", got)
		}
	})
}

func TestEngineIteratesInOrderWithinThePrefixFromTheStart(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		mustCommit(t, e, 1, set("b2", "x"), set("a", "x"), set("b1", "x"), set("b", "x"), set("c", "x"))
		mustCommit(t, e, 2, del("b1"), set("b3", "y"))
		for _, tc := range []struct {
			ts           uint64
			prefix, from string
			want         []string
		}{
			{1, "b", "", []string{"b=x", "b1=x", "b2=x"}},
			{2, "b", "", []string{"b=x", "b2=x", "b3=y"}},
			{2, "b", "b\x00", []string{"b2=x", "b3=y"}},
			{2, "b", "a", []string{"b=x", "b2=x", "b3=y"}},
			{2, "b", "c", nil},
			{2, "", "", []string{"a=x", "b=x", "b2=x", "b3=y", "c=x"}},
			{0, "", "", nil},
		} {
			if got := list(t, e, tc.ts, tc.prefix, tc.from); !slices.Equal(got, tc.want) {
				t.Errorf("at %d, prefix %q from %q: %q, want %q", tc.ts, tc.prefix, tc.from, got, tc.want)
			}
		}
		n := 0
		if err := e.Iterate(2, nil, nil, func(_, _ []byte) bool { n++; return n < 2 }); err != nil || n != 2 {
			t.Errorf("visited %d (%v), want 2: visit returned false", n, err)
		}
	})
}

func TestEngineRefusesACommitAboveItsLimitsAndStoresNothingOfIt(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		limit := e.Limits()
		full := make([]Write, 0, limit.Bytes/limit.Value+1)
		size := 0
		for i := 0; ; i++ {
			w := Write{Key: fmt.Appendf(nil, "k%d", i), Value: make([]byte, limit.Value)}
			if size += w.size(); size > limit.Bytes {
				break
			}
			full = append(full, w)
		}
		mustCommit(t, e, 1, full...) // up to the limit it must be taken
		over := append(full[:len(full):len(full)], set("over", strings.Repeat("x", limit.Value)))
		over = append(over, set("over2", strings.Repeat("x", limit.Value)))
		if err := e.Commit(2, over); !errors.Is(err, ErrTooBig) {
			t.Errorf("commit above the limit: %v, want ErrTooBig", err)
		}
		if got := get(t, e, "over", 2); got != "-" {
			t.Error("a part of a refused commit is stored")
		}
	})
}

func TestEngineKeepsWhatWasCommittedOverARestart(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		big := strings.Repeat("v", 100<<10)
		for ts := uint64(1); ts <= 200; ts++ {
			mustCommit(t, e, ts, set(fmt.Sprintf("k%03d", ts), big), set("last", fmt.Sprint(ts)))
		}
		e = c.reopen(t, e)
		defer e.Close()
		if got := e.MaxVersion(); got != 200 {
			t.Errorf("newest version is %d, want 200", got)
		}
		if got := get(t, e, "last", 200); got != "200" {
			t.Errorf("last is %q, want 200", got)
		}
		for ts := 1; ts <= 200; ts++ {
			if get(t, e, fmt.Sprintf("k%03d", ts), 200) != big {
				t.Fatalf("k%03d is lost", ts)
			}
		}
		mustCommit(t, e, 201, set("more", "x"))
	})
}

// TestEngineAgreesWithAModel compares every engine with a map of histories under
// random commits, deletions, discards and restarts. It is also TRAPS B3: what was
// deleted stays deleted, whatever compaction does.
func TestEngineAgreesWithAModel(t *testing.T) {
	onEngines(t, func(t *testing.T, c engineCase, e Engine) {
		defer func() { _ = e.Close() }()
		rng := rand.New(rand.NewPCG(1, 2))
		history := map[string][]memoryVersion{}
		discard := uint64(0)
		for ts := uint64(1); ts <= 400; ts++ {
			var writes []Write
			for range 1 + rng.IntN(20) {
				key := fmt.Sprintf("k%03d", rng.IntN(300))
				w := Write{Key: []byte(key), Delete: rng.IntN(3) == 0}
				if !w.Delete {
					w.Value = bytes.Repeat([]byte{byte(ts)}, rng.IntN(8<<10))
				}
				writes = append(writes, w)
				history[key] = append(history[key], memoryVersion{ts: ts, value: w.Value, deleted: w.Delete})
			}
			mustCommit(t, e, ts, writes...)
			if rng.IntN(20) == 0 {
				discard = ts - uint64(rng.IntN(5))
				e.SetDiscard(discard)
			}
			if rng.IntN(100) == 0 {
				e = c.reopen(t, e)
			}
			if rng.IntN(10) == 0 {
				compareWithModel(t, e, history, discard+uint64(rng.IntN(int(ts-discard)+1)))
			}
		}
		compareWithModel(t, e, history, 400)
	})
}

func compareWithModel(t *testing.T, e Engine, history map[string][]memoryVersion, ts uint64) {
	t.Helper()
	var want []string
	for key, versions := range history {
		if v, found := at(versions, ts); found {
			want = append(want, key+"="+string(v.value))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, list(t, e, ts, "k", "")); diff != "" {
		t.Fatalf("at %d the engine differs (-want +got):\n%.2000s", ts, diff)
	}
}

// TestAMemoryCrashKeepsExactlyWhatIsDurable is the discarding engine against its own
// description.
func TestAMemoryCrashKeepsExactlyWhatIsDurable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory()
		failAt := rapid.Uint64Range(1, 12).Draw(t, "failAt")
		sync := rapid.Bool().Draw(t, "sync")
		broken := errors.New("EIO")
		if sync {
			m.FailSync(int(failAt), broken)
		} else {
			m.FailWrite(int(failAt), broken)
		}
		for ts := uint64(1); ts <= 10; ts++ {
			err := m.Commit(ts, []Write{set("k", fmt.Sprint(ts))})
			if (ts == failAt) != errors.Is(err, broken) {
				t.Fatalf("commit %d: %v", ts, err)
			}
		}
		m = m.Crash(nil)
		v, _, err := m.Get([]byte("k"), 10)
		if err != nil {
			t.Fatal(err)
		}
		want := "10"
		switch {
		case sync && failAt == 1:
			want = ""
		case sync && failAt <= 10:
			want = fmt.Sprint(failAt - 1) // and nothing that was acknowledged later
		case !sync && failAt == 10:
			want = "9"
		}
		if string(v) != want {
			t.Fatalf("after the crash k is %q, want %q", v, want)
		}
	})
}
