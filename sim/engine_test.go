// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
)

// on runs a test on a disk of every engine that supports the features.
func on(t *testing.T, test func(t *testing.T, disk func() *Disk), features ...Feature) {
	for kind := range engineKinds {
		if slices.ContainsFunc(features, func(f Feature) bool { return !kind.Supports(f) }) {
			continue
		}
		t.Run(kind.String(), func(t *testing.T) {
			test(t, func() *Disk { return DiskOf(t, kind) })
		})
	}
}

// DiskOf returns a disk that ends with the test, with small tables.
func DiskOf(t testing.TB, kind EngineKind) *Disk {
	t.Helper()
	cfg := Config{Engine: kind, SmallMemtables: true}
	if kind == EngineBadgerTmpfs {
		cfg.Dir = ramDir(t)
	}
	d, err := cfg.disk("disk")
	must(t, err)
	t.Cleanup(func() {
		d.Kill() // where a test has left it open
		must(t, d.Close())
	})
	return d
}

// ramDir is a directory in memory where the machine has that.
func ramDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dyno-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func openDisk(t testing.TB, d *Disk) *node.Stores {
	t.Helper()
	s, err := d.Open(zap.NewNop())
	must(t, err)
	return s
}

// Restarts are the ways in which a process ends after which all that was committed must
// be found.
func Restarts() map[string]func(t testing.TB, d *Disk, s *node.Stores) {
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

// TestAnIterationLendsCopies: who changes what it was lent changes nothing else. An engine
// of the product does not have to put up with that.
func TestAnIterationLendsCopies(t *testing.T) {
	e := openDisk(t, NewDisk()).Data
	must(t, e.Commit(1, []storage.Write{set("key", "value")}))
	must(t, e.Iterate(1, nil, nil, func(_, v []byte) bool { copy(v, "yyyyy"); return true }))
	if got := get(t, e, "key", 1); got != "value" {
		t.Errorf("%q; the engine kept what it lent", got)
	}
}

func TestEngineRefusesWhatItMustNotTake(t *testing.T) {
	on(t, func(t *testing.T, disk func() *Disk) {
		d := disk()
		d.SetLimits(storage.Limits{Bytes: 1000, Count: 3, Value: 400})
		e := openDisk(t, d).Data
		if got := e.Limits(); got.Bytes != 1000 || got.Count != 3 || got.Value != 400 {
			t.Errorf("%+v", got)
		}
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
		e.SetDiscard(2)
		if _, _, err := e.Get([]byte("a"), 1); !errors.Is(err, errBelowDiscard) {
			t.Errorf("a read below the discard timestamp: %v", err)
		}
	})
}

// TestEngineDropsWhatIsDiscarded: what is overwritten takes no room for ever.
func TestEngineDropsWhatIsDiscarded(t *testing.T) {
	on(t, func(t *testing.T, disk func() *Disk) {
		e := openDisk(t, disk()).Data
		const rounds, value = 20_000, 100
		for ts := uint64(1); ts <= rounds; ts++ {
			w := set(fmt.Sprintf("k%d", ts%50), strings.Repeat("v", value))
			w.Delete = ts%3 == 0
			must(t, e.Commit(ts, []storage.Write{w}))
			e.SetDiscard(ts)
		}
		if size := e.Size(); size < 20*value || size > rounds*value/4 {
			t.Errorf("the engine takes %d bytes", size)
		}
	})
}
