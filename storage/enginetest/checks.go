// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/storage"
)

func readsTheNewest(t *testing.T, s *Subject) {
	s.commit(t, 5, set("k", "five"))
	s.commit(t, 7, set("k", "seven"), set("l", "l"))
	s.commit(t, 9, del("k"))
	s.twice(t, func() {
		for ts, want := range map[uint64]string{
			4: "-", 5: "five", 6: "five", 7: "seven", 8: "seven", 9: "-", 100: "-",
		} {
			if got := s.read(t, "k", ts); got != want {
				t.Errorf("at %d: %q, want %q", ts, got, want)
			}
		}
		if got := s.MaxVersion(); got != 9 {
			t.Errorf("newest version is %d, want 9", got)
		}
	})
}

func tellsEmptyFromAbsent(t *testing.T, s *Subject) {
	s.commit(t, 1, set("empty", ""))
	s.twice(t, func() {
		if v, found, err := s.Get([]byte("empty"), 1); !found || err != nil || len(v) > 0 {
			t.Errorf("%q, found %t, %v; the key is there", v, found, err)
		}
		if got := s.list(t, 1, "", ""); !slices.Equal(got, []string{"empty="}) {
			t.Errorf("iteration shows %q", got)
		}
	})
}

func lastWriteCounts(t *testing.T, s *Subject) {
	s.commit(t, 1, set("a", "1"), set("b", "1"), set("a", "2"), del("b"))
	s.commit(t, 2, del("c"), set("c", "3"))
	s.twice(t, func() {
		want := []string{"a=2", "c=3"}
		if got := s.list(t, 2, "", ""); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func keepsNothingLent(t *testing.T, s *Subject) {
	value := []byte("value")
	key := []byte("key")
	s.commit(t, 1, storage.Write{Key: key, Value: value})
	copy(value, "VALUE")
	copy(key, "KEY")
	first, _, err := s.Get([]byte("key"), 1)
	if err != nil || string(first) != "value" {
		t.Fatalf("%q, %v; the engine kept what it was lent", first, err)
	}
	copy(first, "xxxxx")
	s.twice(t, func() {
		if got := s.read(t, "key", 1); got != "value" {
			t.Errorf("%q; the engine kept what it gave away", got)
		}
	})
}

func iteratesInOrder(t *testing.T, s *Subject) {
	s.commit(t, 1, set("b2", "x"), set("a", "x"), set("b1", "x"), set("b", "x"), set("c", "x"))
	s.commit(t, 2, del("b1"), set("b3", "y"))
	s.twice(t, func() {
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
			if got := s.list(t, tc.ts, tc.prefix, tc.from); !slices.Equal(got, tc.want) {
				t.Errorf("at %d, prefix %q from %q: %q, want %q", tc.ts, tc.prefix, tc.from, got, tc.want)
			}
		}
		n := 0
		err := s.Iterate(2, nil, nil, func(_, _ []byte) bool { n++; return n < 2 })
		if err != nil || n != 2 {
			t.Errorf("visited %d (%v), want 2: visit returned false", n, err)
		}
	})
}

func refusesWhatIsTooBig(t *testing.T, s *Subject) {
	limit := s.Limits()
	full := make([]storage.Write, 0, limit.Bytes/limit.Value+1)
	size := 0
	for i := 0; ; i++ {
		w := storage.Write{Key: fmt.Appendf(nil, "k%d", i), Value: make([]byte, limit.Value)}
		if size += len(w.Key) + len(w.Value) + overhead; size > limit.Bytes {
			break
		}
		full = append(full, w)
	}
	s.commit(t, 1, full...) // up to the limit it must be taken
	over := append(full[:len(full):len(full)], set("over", strings.Repeat("x", limit.Value)))
	over = append(over, set("over2", strings.Repeat("x", limit.Value)))
	if err := s.Commit(2, over); !errors.Is(err, storage.ErrTooBig) {
		t.Errorf("commit above the limit: %v, want ErrTooBig", err)
	}
	s.twice(t, func() {
		if got := s.read(t, "over", 2); got != "-" {
			t.Error("a part of a refused commit is stored")
		}
	})
}

// overhead is what limits count for each write beside key and value.
const overhead = 48

func keepsWhatWasCommitted(t *testing.T, s *Subject) {
	big := strings.Repeat("v", min(100<<10, s.Limits().Value-overhead))
	for ts := uint64(1); ts <= 200; ts++ {
		s.commit(t, ts, set(fmt.Sprintf("k%03d", ts), big), set("last", fmt.Sprint(ts)))
	}
	s.twice(t, func() {
		if got := s.MaxVersion(); got != 200 {
			t.Errorf("newest version is %d, want 200", got)
		}
		if got := s.read(t, "last", 200); got != "200" {
			t.Errorf("last is %q, want 200", got)
		}
		for ts := 1; ts <= 200; ts++ {
			if s.read(t, fmt.Sprintf("k%03d", ts), 200) != big {
				t.Fatalf("k%03d is lost", ts)
			}
		}
	})
	s.commit(t, 201, set("more", "x"))
}
