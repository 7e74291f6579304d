// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/dyno-kv/dyno/jepsen/history"
	"github.com/dyno-kv/dyno/jepsen/workload"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin returns a session of process 2 over s, and where it records.
func begin(t *testing.T, s workload.Store) (*workload.Session, *history.Recorder) {
	t.Helper()
	r, err := history.NewRecorder(history.Header{N: 3}, 10_000)
	must(t, err)
	clock := int64(0)
	return workload.NewSession(s, 2, r, func() int64 { clock++; return clock }), r
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func both(rng *rand.Rand, n uint8) []workload.Workload {
	return []workload.Workload{workload.DrawRegister(rng, "r", n), workload.DrawSet(rng, "s", n)}
}

func TestStepsComeFromTheSeedAndAreWithinTheirBounds(t *testing.T) {
	kinds := make(map[history.Kind]int)
	for seed := range uint64(50) {
		n := uint8(1 + seed%5)
		first, again := source(seed), source(seed)
		as, bs := both(first, n), both(again, n)
		for i := range as {
			for range 100 {
				a, b := as[i].Next(first), bs[i].Next(again)
				if a != b {
					t.Fatalf("one seed, two steps: %+v and %+v", a, b)
				}
				l := a.Levels
				kinds[a.Kind]++
				switch {
				case max(l.R, l.W) > n || l.PR > l.R || l.PW > l.W || max(l.R, l.W) == 0:
					t.Fatalf("levels of %d replicas: %+v", n, a)
				case a.Kind.Writes() != (l.W > 0) || a.Kind != history.Add && l.R > 0 == (l.W > 0):
					t.Fatalf("levels that a %s has not: %+v", a.Kind, a)
				case a.Atomic && (2*l.R <= n || a.Kind != history.Get):
					t.Fatalf("no store has that atomic read: %+v", a)
				case a.Blind && !a.Kind.Writes() || a.Siblings && a.Kind != history.Put:
					t.Fatalf("what no %s has: %+v", a.Kind, a)
				}
			}
			for _, f := range as[i].Final(3) {
				if f.Final != 3 || f.Levels != (workload.Levels{R: n}) || f.Kind.Writes() {
					t.Fatalf("final read of %d replicas: %+v", n, f)
				}
			}
		}
	}
	if len(kinds) != 5 {
		t.Errorf("kinds that were drawn: %v", kinds)
	}
}

// TestContextsAreToldAsTheyWereSent compares what the history says that a write was to
// overwrite with what the store was asked to.
func TestContextsAreToldAsTheyWereSent(t *testing.T) {
	blind, over, several := 0, 0, 0
	for seed := range uint64(40) {
		s, rng := newToy(), source(seed)
		one, r := begin(t, s)
		load := workload.DrawRegister(rng, "k", 3)
		for range 200 {
			must(t, one.Do(context.Background(), load.Next(rng)))
		}
		i, seen := 0, make(map[history.Value]bool)
		for _, op := range r.History().Ops {
			if !op.Kind.Writes() {
				continue
			}
			sent := named(t, s.covered[i])
			if got := puts(op.Context, r.History()); !slices.Equal(sent, got) {
				t.Fatalf("seed %d: %s, it was sent over %v", seed, &op, sent)
			}
			if op.Blind != (s.covered[i] == nil) || seen[op.Value] || op.Value.Client != 3 {
				t.Fatalf("seed %d: blind %t, twice %t: %s", seed, op.Blind, seen[op.Value], &op)
			}
			seen[op.Value] = true
			i++
			switch {
			case op.Blind:
				blind++
			case len(op.Context) > 1:
				several++
			default:
				over++
			}
		}
		if i != len(s.covered) {
			t.Errorf("seed %d: %d writes were recorded, %d made", seed, i, len(s.covered))
		}
	}
	if min(blind, over, several) < 100 {
		t.Errorf("%d writes were blind, %d over one value, %d over several", blind, over, several)
	}
}

// named are the values of payloads; a delete has an empty one, which names none.
func named(t *testing.T, payloads []string) []history.Value {
	t.Helper()
	var out []history.Value
	for _, p := range payloads {
		if p == "" {
			continue
		}
		v, err := history.OpenPayload([]byte(p))
		must(t, err)
		out = append(out, v)
	}
	slices.SortFunc(out, history.Value.Compare)
	return out
}

// puts are those of values that puts wrote, each once.
func puts(values []history.Value, h *history.History) []history.Value {
	var out []history.Value
	for _, v := range values {
		for i := range h.Ops {
			if h.Ops[i].Kind == history.Put && h.Ops[i].Value == v {
				out = append(out, v)
			}
		}
	}
	slices.SortFunc(out, history.Value.Compare)
	return slices.Compact(out)
}

func TestASetHoldsWhatWasAdded(t *testing.T) {
	s, rng := newToy(), source(7)
	one, r := begin(t, s)
	load := workload.DrawSet(rng, "set", 3)
	added := make(map[string][]history.Value)
	for range 300 {
		must(t, one.Do(context.Background(), load.Next(rng)))
	}
	for _, step := range load.Final(1) {
		must(t, one.Do(context.Background(), step))
	}
	finals := 0
	for _, op := range r.History().Ops {
		if op.Kind == history.Add {
			added[op.Key] = append(added[op.Key], op.Value)
		} else if !slices.Equal(op.Read, added[op.Key]) {
			t.Fatalf("%s, there is %v", &op, added[op.Key])
		}
		finals += int(op.Final)
	}
	if finals != len(load.Keys) || len(added) != len(load.Keys) {
		t.Errorf("%d final reads of %d sets, %d were added to", finals, len(load.Keys), len(added))
	}
}

// TestOutcomesAreTold: what may have been done is not told as done, nor as not done.
func TestOutcomesAreTold(t *testing.T) {
	for _, got := range []history.Outcome{history.Fail, history.Info} {
		s := newToy()
		one, r := begin(t, s)
		do := func(k history.Kind) history.Op {
			must(t, one.Do(context.Background(), workload.Step{Kind: k, Key: "k " + k.String()}))
			ops := r.History().Ops
			return ops[len(ops)-1]
		}
		first := do(history.Put)
		s.instead = func(*workload.Request) *workload.Answer {
			return &workload.Answer{Outcome: got, Moved: true, Node: "n1", Error: "why"}
		}
		for _, k := range []history.Kind{history.Get, history.Members, history.Add} {
			if op := do(k); op.Outcome != history.Fail || op.Error != "why" || op.Node != "n1" {
				t.Errorf("a read that was %s: %s", got, &op)
			}
		}
		if s.puts != 1 {
			t.Error("an add without its read has written")
		}
		for _, k := range []history.Kind{history.Put, history.Delete} {
			if op := do(k); op.Outcome != got || !op.Moved {
				t.Errorf("a write that was %s: %s", got, &op)
			}
		}
		s.instead = nil
		if op := do(history.Put); !slices.Equal(op.Context, []history.Value{first.Value}) {
			t.Errorf("after a write that was %s, the next is over %v", got, op.Context)
		}
	}
}

// TestValuesThatNobodyWroteEndTheRun: also a set of which only the last byte is gone.
func TestValuesThatNobodyWroteEndTheRun(t *testing.T) {
	const set = "2\n1.1\n3.12\n"
	good := map[history.Kind]string{
		history.Get:     string(history.Value{Client: 3, Seq: 1}.Payload(20)),
		history.Members: set, history.Add: set,
	}
	for kind, whole := range good {
		for size := range len(whole) + 1 {
			s := newToy()
			one, r := begin(t, s)
			s.instead = func(*workload.Request) *workload.Answer {
				return &workload.Answer{Outcome: history.OK, Values: [][]byte{[]byte(whole[:size])}}
			}
			err := one.Do(context.Background(), workload.Step{Kind: kind, Key: "k"})
			switch want := size == len(whole); {
			case want && (err != nil || len(r.History().Ops) != 1):
				t.Errorf("%s of %q: %v", kind, whole[:size], err)
			case !want && !errors.Is(err, history.ErrValue):
				t.Errorf("%s of %q: %v", kind, whole[:size], err)
			}
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := source(1)
		for _, load := range both(rng, 3) {
			s := newToy()
			one, r := begin(t, s)
			must(t, workload.Run(t.Context(), one, load, rng, 30))
			if n := len(r.History().Ops); n != 30 {
				t.Errorf("%d operations of 30", n)
			}
			ctx, cancel := context.WithCancel(t.Context())
			s.instead = func(*workload.Request) *workload.Answer {
				cancel()
				return &workload.Answer{Outcome: history.Fail}
			}
			must(t, workload.Run(ctx, one, load, rng, 30))
			if n := len(r.History().Ops); n == 30 || n > 35 {
				t.Errorf("%d operations of 30 before the end and one after", n)
			}
		}
	})
}

func TestStepsOfNoKindAndFullRecordersAreErrors(t *testing.T) {
	one, _ := begin(t, newToy())
	if err := one.Do(context.Background(), workload.Step{Kind: history.Total, Key: "k"}); err == nil {
		t.Error("a step that no session does was done")
	}
	r, err := history.NewRecorder(history.Header{N: 3}, 1)
	must(t, err)
	one = workload.NewSession(newToy(), 0, r, func() int64 { return 1 })
	step := workload.Step{Kind: history.Get, Key: "k"}
	must(t, one.Do(context.Background(), step))
	if err := one.Do(context.Background(), step); !errors.Is(err, history.ErrTooLong) {
		t.Errorf("an operation without room: %v", err)
	}
}
