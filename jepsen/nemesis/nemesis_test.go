// SPDX-License-Identifier: Apache-2.0

package nemesis

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const everything = Cuts | Losses | Shapes | Disks | Clocks | OldProgram | Failpoints

var points = []string{"a/one", "a/two"}

func drawn(t *testing.T, seed uint64, o Options) *Plan {
	t.Helper()
	p, err := Draw(seed, o)
	if err != nil {
		t.Fatalf("seed %d, %+v: %v", seed, o, err)
	}
	return p
}

func TestKindsAreWhole(t *testing.T) {
	seen := make(map[Kind]bool)
	for _, in := range Kinds() {
		switch {
		case seen[in.Kind]:
			t.Errorf("%s is there twice", in.Kind)
		case in.What == "" || !slices.Contains(Groups(), in.Group):
			t.Errorf("%s: what %q, group %q", in.Kind, in.What, in.Group)
		case in.least <= 0 || in.most < in.least:
			t.Errorf("%s lasts %v to %v", in.Kind, in.least, in.most)
		case (in.draw == nil) != (in.valid == nil):
			t.Errorf("%s draws what nobody checks, or the other way round", in.Kind)
		}
		seen[in.Kind] = true
	}
	if len(seen) < 24 {
		t.Errorf("%d kinds", len(seen))
	}
}

// I1, I4, I5, and how a plan is spread; I2 and I3 are demanded by Validate, whose own test
// shows that it sees them.
func TestDrawnPlansAreValidAndSpread(t *testing.T) {
	kinds := byName()
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := Options{
			Nodes:    LeastNodes + rng.IntN(MostNodes-LeastNodes+1),
			Duration: LeastDuration + time.Duration(rng.Int64N(int64(10*time.Minute))),
			Have:     everything, Points: points,
		}
		p := drawn(t, seed, o)
		for i := range p.Faults {
			f := &p.Faults[i]
			if time.Duration(f.At) < calm || f.End() > o.Duration-calm {
				t.Errorf("seed %d: no calm around %+v", seed, f)
			}
			if n := p.activeAt(time.Duration(f.At)); n > atOnce {
				t.Errorf("seed %d: %d faults at a time", seed, n)
			}
			if kinds[f.Kind].Group == GroupData && f.Nodes[0] != p.Spare {
				t.Errorf("seed %d: %+v takes data of node %v, %d is spare", seed, f, f.Nodes, p.Spare)
			}
		}
		if least := int(o.Duration/time.Second) / 12; len(p.Faults) < least {
			t.Errorf("seed %d: %d faults in %v", seed, len(p.Faults), o.Duration)
		}
		if diff := cmp.Diff(p, drawn(t, seed, o)); diff != "" {
			t.Fatalf("seed %d draws two plans: %s", seed, diff)
		}
	}
}

func (p *Plan) activeAt(at time.Duration) int { return (&drawing{plan: p}).active(at) }

func TestInFiveMinutesEveryKindComes(t *testing.T) {
	for seed := range uint64(100) {
		for _, nodes := range []int{3, 5} {
			p := drawn(t, seed, Options{Nodes: nodes, Duration: 5 * time.Minute, Have: everything, Points: points})
			if used := p.Used(); len(used) < len(Kinds())*3/4 {
				t.Errorf("seed %d, %d nodes: %d kinds of %d in %d faults", seed, nodes, len(used),
					len(Kinds()), len(p.Faults))
			}
			together, quietFor := 0, 0
			for at := time.Duration(0); at < 5*time.Minute; at += time.Second {
				switch n := p.activeAt(at); {
				case n >= 2:
					together++
				case n == 0:
					quietFor++
				}
			}
			if together < 140 || quietFor < 20 {
				t.Errorf("seed %d: several faults in %d seconds, none in %d", seed, together, quietFor)
			}
			if len(p.Faults) < 5*60/5 {
				t.Errorf("seed %d, %d nodes: %d faults, fewer than one in five seconds", seed, nodes,
					len(p.Faults))
			}
			for i := 1; i < len(p.Faults); i++ {
				if gap := time.Duration(p.Faults[i].At - p.Faults[i-1].At); gap > 20*time.Second {
					t.Errorf("seed %d, %d nodes: nothing begins for %v before %v", seed, nodes, gap,
						p.Faults[i].At)
				}
			}
		}
	}
}

func TestThereIsQuietBetweenStretches(t *testing.T) {
	p := drawn(t, 1, Options{Nodes: 5, Duration: 10 * time.Minute, Have: everything, Points: points})
	for begin := calm + stretch; begin < 8*time.Minute; begin += stretch + quiet {
		for at := begin; at < begin+quiet; at += time.Second {
			if n := p.activeAt(at); n > 0 {
				t.Errorf("%d faults at %v", n, at)
			}
		}
	}
}

func TestOnlyWhatIsWantedAndPossibleIsDrawn(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want func(*Info) bool
	}{
		{"nothing but processes", Options{}, func(in *Info) bool { return in.Needs == 0 }},
		{"a group", Options{Have: everything, Points: points, Groups: []Group{GroupClock}},
			func(in *Info) bool { return in.Group == GroupClock }},
		{"a kind", Options{Have: everything, Points: points, Kinds: []Kind{PowerAll}},
			func(in *Info) bool { return in.Kind == PowerAll }},
		{"both", Options{Have: everything, Points: points, Kinds: []Kind{Kill}, Groups: []Group{GroupLoad}},
			func(in *Info) bool { return in.Kind == Kill || in.Group == GroupLoad }},
		{"without", Options{Have: everything, Points: points, Without: []Kind{Wipe}},
			func(in *Info) bool { return in.Kind != Wipe }},
	} {
		c.o.Nodes, c.o.Duration = 5, 10*time.Minute
		used := drawn(t, 5, c.o).Used()
		for _, in := range Kinds() {
			if got := slices.Contains(used, in.Kind); got != c.want(&in) {
				t.Errorf("%s: %s: %t", c.name, in.Kind, got)
			}
		}
	}
	none := Options{Nodes: 5, Duration: time.Minute, Have: everything, Kinds: []Kind{CrashAt}}
	if _, err := Draw(1, none); !errors.Is(err, ErrInvalid) || !slices.Contains(none.Lacks(), CrashAt) {
		t.Errorf("a crash at a point where there is none: %v", err)
	}
	few := Options{Nodes: 3, Duration: time.Minute, Have: everything, Kinds: []Kind{Ring}}
	if _, err := Draw(1, few); !errors.Is(err, ErrInvalid) || len(few.Lacks()) > 0 {
		t.Errorf("a ring of three: %v, it lacks %v", err, few.Lacks())
	}
	o := Options{Nodes: 5, Duration: time.Minute, Groups: []Group{GroupDisk}}
	if _, err := Draw(1, o); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "power") {
		t.Errorf("a plan of disks without disks: %v", err)
	}
	if lacks := o.Lacks(); !slices.Contains(lacks, PowerAll) || slices.Contains(lacks, Wipe) {
		t.Errorf("it lacks %v", lacks)
	}
}

func TestAPlanLessSomeFaultsIsValidAndCanBeKept(t *testing.T) {
	for seed := range uint64(100) {
		p := drawn(t, seed, Options{Nodes: 5, Duration: time.Minute, Have: everything, Points: points})
		rng := rand.New(rand.NewPCG(seed, 2))
		less := p.Without(rng.Perm(len(p.Faults))[:rng.IntN(len(p.Faults))]...)
		var b bytes.Buffer
		if err := Write(&b, less); err != nil {
			t.Fatal(err)
		}
		again, err := Read(&b)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(less, again); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

func TestWhatIsNoPlanIsRefused(t *testing.T) {
	ok := func() *Plan {
		return &Plan{
			Version: Version, Nodes: 5, Spare: 1, Duration: Span(time.Minute), Faults: []Fault{
				{Kind: Kill, At: Span(5 * second), For: Span(5 * second), Nodes: []int{0}},
				{Kind: Loss, At: Span(6 * second), For: Span(5 * second), Share: 0.1},
			},
		}
	}
	if err := ok().Validate(); err != nil {
		t.Fatal(err)
	}
	more := func(p *Plan, f Fault) { f.For = Span(2 * second); p.Faults = append(p.Faults, f) }
	for name, spoil := range map[string]func(*Plan){
		"version":    func(p *Plan) { p.Version++ },
		"nodes":      func(p *Plan) { p.Nodes = 2 },
		"many nodes": func(p *Plan) { p.Nodes = 10 },
		"duration":   func(p *Plan) { p.Duration = Span(time.Second) },
		"spare":      func(p *Plan) { p.Spare = 5 },
		"kind":       func(p *Plan) { p.Faults[0].Kind = "rain" },
		"order":      func(p *Plan) { p.Faults[0].At = Span(7 * second) },
		"before":     func(p *Plan) { p.Faults[0].At = -1 },
		"end":        func(p *Plan) { p.Duration = Span(10*second + 1) },
		"too long":   func(p *Plan) { p.Faults[0].For = Span(11 * second) },
		"no time":    func(p *Plan) { p.Faults[0].For = 0 },
		"no node":    func(p *Plan) { p.Faults[0].Nodes = nil },
		"other node": func(p *Plan) { p.Faults[0].Nodes = []int{5} },
		"a point":    func(p *Plan) { p.Faults[0].Point = "a/one" },
		"no point": func(p *Plan) {
			more(p, Fault{Kind: CrashAt, At: Span(20 * second), Nodes: []int{0}, N: 1})
		},
		"a long point": func(p *Plan) {
			more(p, Fault{
				Kind: CrashAt, At: Span(20 * second), Nodes: []int{0}, N: 1, Point: strings.Repeat("x", 101),
			})
		},
		"many passes": func(p *Plan) {
			more(p, Fault{Kind: CrashAt, At: Span(20 * second), Nodes: []int{0}, N: 513, Point: "a/one"})
		},
		"two nodes":    func(p *Plan) { p.Faults[0].Nodes = []int{0, 1} },
		"a share":      func(p *Plan) { p.Faults[0].Share = 0.5 },
		"no share":     func(p *Plan) { p.Faults[1].Share = 0 },
		"a long share": func(p *Plan) { p.Faults[1].Share = 1.1 },
		"twice (I2)":   func(p *Plan) { more(p, Fault{Kind: Pause, At: Span(6 * second), Nodes: []int{0}}) },
		"everybody (I2)": func(p *Plan) {
			more(p, Fault{Kind: KillAll, At: Span(6 * second)})
		},
		"the leader (I2)": func(p *Plan) { more(p, Fault{Kind: LeaderKill, At: Span(6 * second)}) },
		"three of five (I3)": func(p *Plan) {
			more(p, Fault{Kind: PowerMinority, At: Span(6 * second), Nodes: []int{1, 2}})
		},
		"not the spare (I4)": func(p *Plan) {
			more(p, Fault{Kind: Wipe, At: Span(20 * second), Nodes: []int{0}})
		},
		"a ring of three": func(p *Plan) {
			p.Nodes = 3
			more(p, Fault{Kind: Ring, At: Span(20 * second)})
		},
		"swizzled order": func(p *Plan) {
			more(p, Fault{Kind: Swizzle, At: Span(6 * second), Nodes: []int{3, 2}})
		},
		"a whole side": func(p *Plan) {
			more(p, Fault{Kind: Halves, At: Span(6 * second), Nodes: []int{0, 1, 2, 3, 4}})
		},
	} {
		p := ok()
		spoil(p)
		if err := p.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{
		"", "[]", `{"version":1,"rain":1}`, `{"version":1} {}`, `{"version":1}`,
		strings.Repeat(" ", maxBytes+1),
	} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}
