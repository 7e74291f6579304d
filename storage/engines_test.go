// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// engineCase is an engine on which tests of the store run; enginetest tests the engine
// itself. reopen ends an engine in an orderly way and
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
