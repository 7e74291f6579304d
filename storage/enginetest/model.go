// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/storage"
)

// model is what an engine must hold: all that was ever written.
type model map[string][]version // oldest first

type version struct {
	ts      uint64
	value   []byte
	deleted bool
}

// mostWrites bounds the writes of one commit.
const mostWrites = 20

// agreesWithAModel compares the engine with a map of histories under random commits,
// deletions, discards and restarts. It is also TRAPS B3: what was deleted stays deleted,
// whatever compaction does.
func agreesWithAModel(t *testing.T, s *Subject) { agrees(t, s, 400, 8<<10) }

// agreesWithASmallModel does so for longer.
func agreesWithASmallModel(t *testing.T, s *Subject) { agrees(t, s, 1500, 100) }

func agrees(t *testing.T, s *Subject, rounds uint64, value int) {
	value = min(value, s.Limits().Bytes/mostWrites-2*overhead)
	rng, m := rand.New(rand.NewPCG(1, 2)), make(model)
	discard := uint64(0)
	for ts := uint64(1); ts <= rounds; ts++ {
		s.commit(t, ts, m.draw(rng, ts, value)...)
		if rng.IntN(20) == 0 {
			discard = max(discard, ts-min(ts, uint64(rng.IntN(5))))
			s.SetDiscard(discard)
		}
		if rng.IntN(100) == 0 {
			s.again(t)
		}
		if rng.IntN(int(rounds/40)) == 0 {
			m.compare(t, s, discard+uint64(rng.IntN(int(ts-discard)+1)))
		}
	}
	m.compare(t, s, rounds)
	s.again(t)
	m.compare(t, s, rounds)
}

// draw draws the writes of one commit, with values of less than most bytes.
func (m model) draw(rng *rand.Rand, ts uint64, most int) (writes []storage.Write) {
	for range 1 + rng.IntN(mostWrites) {
		key := fmt.Sprintf("k%03d", rng.IntN(300))
		w := storage.Write{Key: []byte(key), Delete: rng.IntN(3) == 0}
		if !w.Delete {
			w.Value = bytes.Repeat([]byte{byte(ts)}, rng.IntN(most))
		}
		writes = append(writes, w)
		m[key] = append(m[key], version{ts: ts, value: w.Value, deleted: w.Delete})
	}
	return writes
}

func (m model) compare(t *testing.T, s *Subject, ts uint64) {
	t.Helper()
	var want []string
	for key, versions := range m {
		if v, found := at(versions, ts); found {
			want = append(want, key+"="+string(v.value))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.list(t, ts, "k", "")); diff != "" {
		t.Fatalf("at %d the engine differs (-want +got):\n%.2000s", ts, diff)
	}
}

// at is the newest version at or below ts, unless it is a deletion.
func at(versions []version, ts uint64) (version, bool) {
	for i := len(versions) - 1; i >= 0; i-- {
		if versions[i].ts <= ts {
			return versions[i], !versions[i].deleted
		}
	}
	return version{}, false
}
