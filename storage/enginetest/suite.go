// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"testing"

	"github.com/dyno-kv/dyno/storage"
)

// Subject is an engine under test, which is empty at first.
type Subject struct {
	storage.Engine
	// Restart ends the engine in a way that must lose nothing, and returns what opens
	// afterwards; nil where nothing outlives the engine.
	Restart func(t testing.TB) storage.Engine
}

// Run runs the suite. open returns a new subject and has it cleaned up with the test.
func Run(t *testing.T, open func(t testing.TB) *Subject) {
	for _, check := range []struct {
		name string
		run  func(t *testing.T, s *Subject)
	}{
		{"reads the newest version at or below the timestamp", readsTheNewest},
		{"tells an empty value from an absent key", tellsEmptyFromAbsent},
		{"lets the last of several writes count", lastWriteCounts},
		{"gives values away and keeps nothing lent", keepsNothingLent},
		{"iterates in order within the prefix from the start", iteratesInOrder},
		{"refuses a commit above its limits and stores nothing of it", refusesWhatIsTooBig},
		{"keeps what was committed over a restart", keepsWhatWasCommitted},
		{"agrees with a model", agreesWithAModel},
		{"agrees with a model of small values", agreesWithASmallModel},
	} {
		t.Run(check.name, func(t *testing.T) { check.run(t, open(t)) })
	}
}

// again restarts the engine, where that can be.
func (s *Subject) again(t testing.TB) {
	t.Helper()
	if s.Restart != nil {
		s.Engine = s.Restart(t)
	}
}

// twice runs a check before and after a restart.
func (s *Subject) twice(t testing.TB, check func()) {
	t.Helper()
	check()
	s.again(t)
	check()
}

func (s *Subject) commit(t testing.TB, ts uint64, writes ...storage.Write) {
	t.Helper()
	if err := s.Commit(ts, writes); err != nil {
		t.Fatalf("commit at %d: %v", ts, err)
	}
}

// read returns the value, "-" for an absent key.
func (s *Subject) read(t testing.TB, key string, ts uint64) string {
	t.Helper()
	v, found, err := s.Get([]byte(key), ts)
	if err != nil {
		t.Fatalf("get %s at %d: %v", key, ts, err)
	}
	if !found {
		return "-"
	}
	return string(v)
}

// list returns "key=value" of what an iteration shows.
func (s *Subject) list(t testing.TB, ts uint64, prefix, from string) []string {
	t.Helper()
	var out []string
	err := s.Iterate(ts, []byte(prefix), []byte(from), func(k, v []byte) bool {
		out = append(out, string(k)+"="+string(v))
		return true
	})
	if err != nil {
		t.Fatalf("iterate: %v", err)
	}
	return out
}

func set(key, value string) storage.Write {
	return storage.Write{Key: []byte(key), Value: []byte(value)}
}

func del(key string) storage.Write { return storage.Write{Key: []byte(key), Delete: true} }
