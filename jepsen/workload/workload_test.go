// SPDX-License-Identifier: Apache-2.0

package workload_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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

func draw(t *testing.T, rng *rand.Rand, kind string, o workload.Options) workload.Workload {
	t.Helper()
	w, err := workload.Draw(rng, kind, kind+" ", o)
	must(t, err)
	return w
}

func TestStepsComeFromTheSeedAndAreWithinTheirBounds(t *testing.T) {
	kinds := make(map[history.Kind]int)
	for seed := range uint64(50) {
		o := workload.Options{N: uint8(1 + seed%5), Nodes: int(seed % 4)}
		for _, kind := range workload.Kinds() {
			first, again := source(seed), source(seed)
			w, same := draw(t, first, kind, o), draw(t, again, kind, o)
			for range 100 {
				a, b := w.Next(first), same.Next(again)
				if a != b {
					t.Fatalf("one seed, two steps: %+v and %+v", a, b)
				}
				kinds[a.Kind]++
				demand(t, &a, &o)
			}
			for _, f := range w.Final(3) {
				if f.Final != 3 || f.Levels != (workload.Levels{R: o.N}) || f.Kind.Writes() {
					t.Fatalf("final read of %d replicas: %+v", o.N, f)
				}
			}
		}
	}
	if len(kinds) != 7 {
		t.Errorf("kinds that were drawn: %v", kinds)
	}
}

// demand asks of a step what any step must keep to.
func demand(t *testing.T, a *workload.Step, o *workload.Options) {
	t.Helper()
	l, both := a.Levels, a.Kind == history.Add || a.Kind == history.Increment
	switch {
	case max(l.R, l.W) > o.N || l.PR > l.R || l.PW > l.W || max(l.R, l.W) == 0:
		t.Fatalf("levels of %d replicas: %+v", o.N, a)
	case a.Kind.Writes() != (l.W > 0) || !both && l.R > 0 == (l.W > 0):
		t.Fatalf("levels that a %s has not: %+v", a.Kind, a)
	case a.Atomic && (2*l.R <= o.N || a.Kind != history.Get):
		t.Fatalf("no store has that atomic read: %+v", a)
	case a.Blind && !a.Kind.Writes() || a.Siblings && a.Kind != history.Put:
		t.Fatalf("what no %s has: %+v", a.Kind, a)
	case a.TTL%time.Millisecond != 0 || a.TTL != 0 && a.Kind != history.Put:
		t.Fatalf("a time to live that no %s has: %+v", a.Kind, a)
	case (a.Delta > 0) != (a.Kind == history.Increment) || a.Node < 0 || a.Node > o.Nodes:
		t.Fatalf("out of bounds: %+v", a)
	}
}

// TestPlansBoundWhatIsDrawn: the floor of w, the level of final reads, the mean pause.
func TestPlansBoundWhatIsDrawn(t *testing.T) {
	o := workload.Options{N: 3, Nodes: 3, MinW: 2, FinalR: 2, Pause: time.Second}
	for _, kind := range workload.Kinds() {
		sum, free := time.Duration(0), 0
		for seed := range uint64(20) {
			rng := source(seed)
			w, low := draw(t, rng, kind, o), draw(t, source(seed), kind, workload.Options{N: 3, Nodes: 3})
			for range 50 {
				a := w.Next(rng)
				sum += a.Pause
				if a.Kind.Writes() && a.Levels.W < 2 {
					t.Fatalf("%s: below the floor: %+v", kind, a)
				}
				if b := low.Next(rng); b.Kind.Writes() && b.Levels.W < 2 {
					free++
				}
			}
			for _, f := range w.Final(1) {
				if f.Levels.R != 2 {
					t.Fatalf("%s: final read at other levels: %+v", kind, f)
				}
			}
		}
		if mean := sum / 1000; mean < 900*time.Millisecond || mean > 1100*time.Millisecond {
			t.Errorf("%s: pauses of %v in the mean", kind, mean)
		}
		if free == 0 {
			t.Errorf("%s: without a floor none is needed", kind)
		}
	}
}

func TestDrawRefusesWhatItCanNotDraw(t *testing.T) {
	good := workload.Options{N: 3, Nodes: 3}
	if _, err := workload.Draw(source(1), "sets", "k", good); err == nil {
		t.Error("an unknown kind was drawn")
	}
	for i, spoil := range []func(o *workload.Options){
		func(o *workload.Options) { o.N = 0 },
		func(o *workload.Options) { o.N = history.MaxLevel + 1 },
		func(o *workload.Options) { o.Nodes = -1 },
		func(o *workload.Options) { o.MinW = 4 },
		func(o *workload.Options) { o.FinalR = 4 },
		func(o *workload.Options) { o.Pause = -1 },
		func(o *workload.Options) { o.Pause = 2 * time.Hour },
	} {
		o := good
		spoil(&o)
		if _, err := workload.Draw(source(1), "set", "k", o); err == nil {
			t.Errorf("options %d were taken: %+v", i, o)
		}
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
		for _, k := range []history.Kind{
			history.Get, history.Members, history.Total, history.Add, history.Increment,
		} {
			if op := do(k); op.Outcome != history.Fail || op.Error != "why" || op.Node != "n1" {
				t.Errorf("a read that was %s: %s", got, &op)
			}
		}
		if s.puts != 1 {
			t.Error("an add or increment without its read has written")
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

// TestValuesThatNobodyWroteEndTheRun: also a set or a counter of which only the last byte
// is gone.
func TestValuesThatNobodyWroteEndTheRun(t *testing.T) {
	const set, counter = "2\n1.1\n3.12\n", "2\n1.1 7\n4.12 305\n"
	good := map[history.Kind]string{
		history.Get:     string(history.Value{Client: 3, Seq: 1}.Payload(20)),
		history.Members: set, history.Add: set, history.Total: counter, history.Increment: counter,
	}
	refused := func(kind history.Kind, value string) error {
		s := newToy()
		one, r := begin(t, s)
		s.instead = func(*workload.Request) *workload.Answer {
			return &workload.Answer{Outcome: history.OK, Values: [][]byte{[]byte(value)}}
		}
		err := one.Do(context.Background(), workload.Step{Kind: kind, Key: "k"})
		if (err == nil) != (len(r.History().Ops) == 1) {
			t.Errorf("%s of %q: %v, and %d operations", kind, value, err, len(r.History().Ops))
		}
		return err
	}
	for kind, whole := range good {
		for size := range len(whole) {
			if err := refused(kind, whole[:size]); !errors.Is(err, history.ErrValue) {
				t.Errorf("%s of %q: %v", kind, whole[:size], err)
			}
		}
		if err := refused(kind, whole); err != nil {
			t.Errorf("%s of %q: %v", kind, whole, err)
		}
	}
	for _, bad := range []string{
		"1\n1.1 7\n2.1 7\n", "2\n2.1 7\n1.1 7\n", "2\n1.1 7\n1.2 7\n", "1\n1.1 0\n", "1\n1.1 -7\n",
		"1\n1.1 07\n", "1\n1.1\n", "-1\n", "0", "1\n0.1 7\n", "2\n1.1 9223372036854775807\n2.1 1\n",
	} {
		if err := refused(history.Total, bad); !errors.Is(err, history.ErrValue) {
			t.Errorf("total of %q: %v", bad, err)
		}
	}
	if err := refused(history.Increment, "1\n3.12 305\n"); !errors.Is(err, history.ErrValue) {
		t.Errorf("a part of its own that the session has not written: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := source(1)
		for _, kind := range workload.Kinds() {
			load := draw(t, rng, kind, workload.Options{N: 3, Nodes: 3})
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
	if err := one.Do(context.Background(), workload.Step{Key: "k"}); err == nil {
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
