// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
)

// These are the scenarios of storage's conformance suite, which that package keeps to
// itself, on the simulated disk, with every way of ending a process as a restart.

func openDisk(t testing.TB, d *Disk) *node.Stores {
	t.Helper()
	s, err := d.Open(zap.NewNop())
	must(t, err)
	return s
}

// restarts are the ways in which a process ends after which all that was committed must
// be found.
func restarts() map[string]func(t testing.TB, d *Disk, s *node.Stores) {
	return map[string]func(t testing.TB, d *Disk, s *node.Stores){
		"stop": func(t testing.TB, _ *Disk, s *node.Stores) {
			must(t, errors.Join(s.Data.Close(), s.Control.Close(), s.Release()))
		},
		"kill":       func(_ testing.TB, d *Disk, _ *node.Stores) { d.Kill() },
		"power loss": func(_ testing.TB, d *Disk, _ *node.Stores) { d.LosePower(nil) },
		"torn":       func(_ testing.TB, d *Disk, _ *node.Stores) { d.LosePower(source(1, "torn")) },
		"copied": func(t testing.TB, d *Disk, _ *node.Stores) {
			c := d.Copy()
			d.Kill()
			must(t, d.Wipe())
			must(t, d.Restore(c))
		},
	}
}

// onRestarts runs a test with each way of restarting.
func onRestarts(t *testing.T, test func(t *testing.T, e storage.Engine, again func() storage.Engine)) {
	for name, end := range restarts() {
		t.Run(name, func(t *testing.T) {
			d := NewDisk()
			s := openDisk(t, d)
			test(t, s.Data, func() storage.Engine {
				end(t, d, s)
				s = openDisk(t, d)
				return s.Data
			})
		})
	}
}

func set(key, value string) storage.Write {
	return storage.Write{Key: []byte(key), Value: []byte(value)}
}

func del(key string) storage.Write { return storage.Write{Key: []byte(key), Delete: true} }

func get(t testing.TB, e storage.Engine, key string, ts uint64) string {
	t.Helper()
	v, found, err := e.Get([]byte(key), ts)
	must(t, err)
	if !found {
		return "-"
	}
	return string(v)
}

func list(t testing.TB, e storage.Engine, ts uint64, prefix, from string) []string {
	t.Helper()
	var out []string
	must(t, e.Iterate(ts, []byte(prefix), []byte(from), func(k, v []byte) bool {
		out = append(out, string(k)+"="+string(v))
		return true
	}))
	return out
}

func TestEngineReadsTheNewestVersionAtOrBelowTheTimestamp(t *testing.T) {
	onRestarts(t, func(t *testing.T, e storage.Engine, again func() storage.Engine) {
		must(t, e.Commit(5, []storage.Write{set("k", "five")}))
		must(t, e.Commit(7, []storage.Write{set("k", "seven"), set("l", "")}))
		must(t, e.Commit(9, []storage.Write{del("k")}))
		for range 2 {
			for ts, want := range map[uint64]string{
				4: "-", 5: "five", 6: "five", 7: "seven", 8: "seven", 9: "-", 100: "-",
			} {
				if got := get(t, e, "k", ts); got != want {
					t.Errorf("at %d: %q, want %q", ts, got, want)
				}
			}
			if _, found, err := e.Get([]byte("l"), 9); !found || err != nil {
				t.Errorf("found %t, %v; an empty value is there", found, err)
			}
			if got := e.MaxVersion(); got != 9 {
				t.Errorf("newest version is %d, want 9", got)
			}
			e = again()
		}
	})
}

func TestEngineLetsTheLastOfSeveralWritesCount(t *testing.T) {
	onRestarts(t, func(t *testing.T, e storage.Engine, again func() storage.Engine) {
		must(t, e.Commit(1, []storage.Write{set("a", "1"), set("b", "1"), set("a", "2"), del("b")}))
		must(t, e.Commit(2, []storage.Write{del("c"), set("c", "3")}))
		for range 2 {
			if got := list(t, e, 2, "", ""); !slices.Equal(got, []string{"a=2", "c=3"}) {
				t.Errorf("%q", got)
			}
			e = again()
		}
	})
}

func TestEngineGivesValuesAwayAndKeepsNothingLent(t *testing.T) {
	e := openDisk(t, NewDisk()).Data
	key, value := []byte("key"), []byte("value")
	must(t, e.Commit(1, []storage.Write{{Key: key, Value: value}}))
	copy(value, "VALUE")
	copy(key, "KEY")
	first, _, err := e.Get([]byte("key"), 1)
	must(t, err)
	if string(first) != "value" {
		t.Fatalf("%q; the engine kept what it was lent", first)
	}
	copy(first, "xxxxx")
	must(t, e.Iterate(1, nil, nil, func(_, v []byte) bool { copy(v, "yyyyy"); return true }))
	if got := get(t, e, "key", 1); got != "value" {
		t.Errorf("%q; the engine kept what it gave away", got)
	}
}

func TestEngineIteratesInOrderWithinThePrefixFromTheStart(t *testing.T) {
	e := openDisk(t, NewDisk()).Data
	var first []storage.Write
	for _, key := range []string{"b2", "a", "b1", "b", "c"} {
		first = append(first, set(key, "x"))
	}
	must(t, e.Commit(1, first))
	must(t, e.Commit(2, []storage.Write{del("b1"), set("b3", "y")}))
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
		{0, "", "", nil},
	} {
		if got := list(t, e, tc.ts, tc.prefix, tc.from); !slices.Equal(got, tc.want) {
			t.Errorf("at %d, %q from %q: %q, want %q", tc.ts, tc.prefix, tc.from, got, tc.want)
		}
	}
	n := 0
	must(t, e.Iterate(2, nil, nil, func(_, _ []byte) bool { n++; return n < 2 }))
	if n != 2 {
		t.Errorf("visited %d, want 2: visit returned false", n)
	}
}

func TestEngineRefusesWhatItMustNotTake(t *testing.T) {
	d := NewDisk()
	d.SetLimits(storage.Limits{Bytes: 1000, Count: 3, Value: 400})
	e := openDisk(t, d).Data
	must(t, e.Commit(2, []storage.Write{
		set("a", strings.Repeat("x", 400)), set("b", strings.Repeat("x", 400)),
	}))
	many := []storage.Write{set("c", ""), set("d", ""), set("e", ""), set("f", "")}
	for name, writes := range map[string][]storage.Write{
		"value": {set("c", strings.Repeat("x", 401))}, "count": many,
		"bytes": {
			set("c", strings.Repeat("x", 400)), set("d", strings.Repeat("x", 400)),
			set("e", strings.Repeat("x", 60)), // with the overhead of three writes
		},
	} {
		if err := e.Commit(3, writes); !errors.Is(err, storage.ErrTooBig) {
			t.Errorf("%s above the limit: %v, want ErrTooBig", name, err)
		}
	}
	if err := e.Commit(2, many[:1]); err == nil {
		t.Error("a commit at the timestamp of another was taken")
	}
	if got := list(t, e, 9, "", ""); len(got) != 2 {
		t.Errorf("a part of a refused commit is stored: %q", got)
	}
}

// TestEngineAgreesWithAModel compares the disk with a map of histories under random
// commits, deletions, discards and restarts of every kind.
func TestEngineAgreesWithAModel(t *testing.T) {
	onRestarts(t, func(t *testing.T, e storage.Engine, again func() storage.Engine) {
		rng := source(1, "model")
		history := map[string][]version{}
		discard := uint64(0)
		for ts := uint64(1); ts <= 1500; ts++ {
			var writes []storage.Write
			for range 1 + rng.IntN(20) {
				key := fmt.Sprintf("k%03d", rng.IntN(300))
				w := storage.Write{Key: []byte(key), Delete: rng.IntN(3) == 0}
				if !w.Delete {
					w.Value = bytes.Repeat([]byte{byte(ts)}, rng.IntN(100))
				}
				writes = append(writes, w)
				history[key] = append(history[key], version{ts: ts, value: w.Value, deleted: w.Delete})
			}
			must(t, e.Commit(ts, writes))
			if rng.IntN(20) == 0 {
				discard = max(discard, ts-uint64(rng.IntN(min(5, int(ts)))))
				e.SetDiscard(discard)
			}
			if rng.IntN(100) == 0 {
				e = again()
			}
			if rng.IntN(50) == 0 {
				compare(t, e, history, discard+uint64(rng.IntN(int(ts-discard)+1)))
			}
		}
		compare(t, e, history, 1500)
		if most := int64(1500 * 20 * 50); e.Size() <= 0 || e.Size() > most/4 {
			t.Errorf("the engine takes %d bytes: it discards nothing", e.Size())
		}
	})
}

func compare(t *testing.T, e storage.Engine, history map[string][]version, ts uint64) {
	t.Helper()
	var want []string
	for key, versions := range history {
		if v, found := at(versions, ts); found {
			want = append(want, key+"="+string(v.value))
		}
	}
	slices.Sort(want)
	if got := list(t, e, ts, "k", ""); !slices.Equal(got, want) {
		t.Fatalf("at %d the engine has %d entries, the model %d, or they differ",
			ts, len(got), len(want))
	}
}
