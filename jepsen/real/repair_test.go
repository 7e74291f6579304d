// SPDX-License-Identifier: Apache-2.0

package real

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/client"
	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/jepsen/history"
)

// TestStoresOfRealProcessesUnderFaults is a short look; `make repair-faults` is the long one.
func TestStoresOfRealProcessesUnderFaults(t *testing.T) {
	run, err := Repair(t.Context(), Config{
		Binary: build(t), Dir: t.TempDir(), Nodes: 4, Seed: 7, Duration: 2 * time.Second,
		Tell: func(s string) { t.Log(time.Now().Format("05.000"), s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for bucket, h := range run.Histories {
		r, err := checker.Check(h, checker.DefaultConfig())
		if err != nil || r.Verdict != checker.Valid {
			t.Errorf("%s: %v, %s", bucket, err, r)
		}
		if len(h.Events) == 0 || h.Header.Sloppy != (bucket != strictBucket) {
			t.Errorf("%s: %d faults, %+v", bucket, len(h.Events), h.Header)
		}
		if r := JudgeCopies(run.Copies[bucket]); r.Verdict != checker.Valid {
			t.Errorf("%s: %+v", bucket, r)
		}
	}
}

func TestCopiesThatDifferAreRed(t *testing.T) {
	value := func(texts ...string) (out [][]byte) {
		for _, s := range texts {
			out = append(out, []byte(s))
		}
		return out
	}
	for name, x := range map[string]struct {
		second Copy
		want   checker.Verdict
	}{
		"the same":               {Copy{Values: value("a", "b"), Context: []byte{1}}, checker.Valid},
		"one sibling is missing": {Copy{Values: value("a"), Context: []byte{1}}, checker.Invalid},
		"another value":          {Copy{Values: value("a", "c"), Context: []byte{1}}, checker.Invalid},
		"nothing":                {Copy{Context: []byte{1}}, checker.Invalid},
		"another context": {
			Copy{Values: value("a", "b"), Context: []byte{2}}, checker.Invalid,
		},
	} {
		first := Copy{Key: "k", Node: "n1", Values: value("a", "b"), Context: []byte{1}}
		x.second.Key, x.second.Node = "k", "n2"
		if r := JudgeCopies([]Copy{first, x.second}); r.Verdict != x.want {
			t.Errorf("%s: %+v", name, r)
		}
	}
	purged := []Copy{{Key: "k", Node: "n1", Context: []byte{1}}, {Key: "k", Node: "n2"}}
	if r := JudgeCopies(purged); r.Verdict != checker.Valid {
		t.Errorf("a tombstone that one of two has purged: %+v", r)
	}
	if r := JudgeCopies(nil); r.Verdict != checker.Unknown {
		t.Errorf("no copy: %+v", r)
	}
}

func TestHintsThatAreLeftAreTold(t *testing.T) {
	none := client.HintsStatus{Nodes: []client.HintsNode{{Node: "n1", Counted: true}}}
	if why := leftOf(none); why != "" {
		t.Errorf("nothing is left, and it says %q", why)
	}
	marker := []client.HintsBacklog{{Markers: 1}}
	for want, n := range map[string]client.HintsNode{
		"n1 is not known":        {Node: "n1", Reason: "down"},
		"n2 is not known":        {Node: "n2"},
		"n3 keeps 0 hints and 1": {Node: "n3", Counted: true, Backlog: marker},
	} {
		if why := leftOf(client.HintsStatus{Nodes: []client.HintsNode{n}}); !strings.Contains(why, want) {
			t.Errorf("it says %q, want %q", why, want)
		}
	}
}

// TestWhatIsAcknowledgedOutlastsOneDisk: one node may lose its store at any time, and one be
// down in a bucket that no fallback serves.
func TestWhatIsAcknowledgedOutlastsOneDisk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	w := drawRepair(rng, strictBucket)
	seen, kinds := make(map[string]int), make(map[history.Kind]int)
	for range 2000 {
		s := w.Next(rng)
		if l := s.Levels; max(l.R, l.W, l.PR, l.PW) > 2 || s.Kind.Writes() && l.W != 2 {
			t.Fatalf("step %+v", s)
		}
		seen[s.Key]++
		kinds[s.Kind]++
	}
	if len(seen) != repairKeys || len(kinds) != 3 || kinds[history.Delete] == 0 {
		t.Errorf("%d keys of %d, %v", len(seen), repairKeys, kinds)
	}
}

func TestEachFaultOfStoresComesBeforeOneComesTwice(t *testing.T) {
	d := newStoreDeck(rand.New(rand.NewPCG(1, 1)))
	for round := range 5 {
		var seen []string
		for range len(d.kinds) {
			seen = append(seen, d.draw())
		}
		slices.Sort(seen)
		if n := len(slices.Compact(seen)); n != 6 {
			t.Errorf("round %d: %s", round, fmt.Sprint(seen))
		}
	}
}
