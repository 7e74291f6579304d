// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func options() Options {
	return Options{
		Loads:  []string{"register", "set", "counter"},
		Points: []Point{{Name: "a/sleeps"}, {Name: "a/fails", Fails: true}}, Locks: true,
	}
}

// TestWhatIsDrawnIsValid: also what is written and read back, and twice the same.
func TestWhatIsDrawnIsValid(t *testing.T) {
	drawn := make(map[Kind]int)
	engines, spares, peace := make(map[Engine]int), 0, 0
	grouped, locks, gentle := 0, 0, 0
	for seed := range uint64(2000) {
		p := Draw(seed, options())
		if err := p.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if again := Draw(seed, options()); !reflect.DeepEqual(p, again) {
			t.Fatalf("seed %d draws two plans", seed)
		}
		var b bytes.Buffer
		if err := Write(&b, p); err != nil {
			t.Fatal(err)
		}
		read, err := Read(&b)
		if err != nil || !reflect.DeepEqual(p, read) {
			t.Fatalf("seed %d is read as %+v, %v", seed, read, err)
		}
		for _, f := range p.Faults {
			drawn[f.Kind]++
			if f.Kind == FailAt && f.Point != "a/fails" {
				t.Fatalf("seed %d: %s at %s", seed, f.Kind, f.Point)
			}
		}
		engines[p.Engine]++
		if p.Grouped {
			grouped++
		}
		if p.HasLocks() {
			locks++
		}
		if p.KeepsSessions() {
			gentle++
		}
		if p.Spare > 0 {
			spares++
		}
		if len(p.Faults) == 0 {
			peace++
		}
	}
	for _, in := range Kinds() {
		if drawn[in.Kind] < 50 {
			t.Errorf("%s was drawn %d times", in.Kind, drawn[in.Kind])
		}
	}
	if grouped < 900 || grouped > 1100 || locks < 600 || locks > 900 || gentle < 100 {
		t.Errorf("%d with a metadata group, %d with locks, %d that lose no session",
			grouped, locks, gentle)
	}
	if len(engines) != 3 || spares < 200 || peace < 10 || peace > 200 {
		t.Errorf("engines %v, %d with a spare host, %d without faults", engines, spares, peace)
	}
}

func TestAnEngineAndKindsAreLeftToOptions(t *testing.T) {
	o := options()
	o.Engine, o.Without = EngineTmpfs, []Kind{Kill, Wipe}
	for seed := range uint64(200) {
		p := Draw(seed, o)
		if p.Engine != EngineTmpfs || p.Has(Kill) || p.Has(Wipe) {
			t.Fatalf("seed %d: %s, %v", seed, p.Engine, p.Faults)
		}
	}
	o = Options{}
	for seed := range uint64(200) {
		if p := Draw(seed, o); p.Has(CrashAt) || p.Has(SlowAt) || p.Has(FailAt) || len(p.Loads) > 0 ||
			p.HasLocks() {
			t.Fatalf("seed %d uses failpoints or loads that do not exist", seed)
		}
	}
}

func TestInvalidPlansAreRefused(t *testing.T) {
	for name, change := range map[string]func(p *Plan){
		"version":           func(p *Plan) { p.Version = 2 },
		"0 nodes":           func(p *Plan) { p.Cluster.Nodes = 0 },
		"replicas of":       func(p *Plan) { p.Cluster.Replicas = 4 },
		"power of two":      func(p *Plan) { p.Cluster.Partitions = 12 },
		"engine":            func(p *Plan) { p.Engine = "tape" },
		"chaos":             func(p *Plan) { p.Chaos = Span(time.Hour) },
		"spare host 4":      func(p *Plan) { p.Spare = 4 },
		"a core of":         func(p *Plan) { p.Core = nil },
		"core host":         func(p *Plan) { p.Core = []int{1, 9} },
		"is in the core":    func(p *Plan) { p.Spare = p.Core[0] },
		"sessions":          func(p *Plan) { p.Loads = []Load{{Kind: "set"}} },
		"no kind is named":  func(p *Plan) { p.Faults = []Fault{{Kind: "quake"}} },
		"meets nobody":      func(p *Plan) { p.Faults = []Fault{{Kind: Kill}} },
		"host 7 of 3":       func(p *Plan) { p.Faults = []Fault{{Kind: Kill, Hosts: []int{7}}} },
		"for -":             func(p *Plan) { p.Faults = []Fault{{Kind: Kill, Hosts: []int{1}, For: -1}} },
		"share":             func(p *Plan) { p.Faults = []Fault{{Kind: Loss, Share: 2}} },
		"with n":            func(p *Plan) { p.Faults = []Fault{{Kind: Ring, N: maxDrift + 1}} },
		"links of -1ns":     func(p *Plan) { p.Link.Delay = -1 },
		"and 5 lost":        func(p *Plan) { p.Link.Loss = 5 },
		"a sync of":         func(p *Plan) { p.Sync = -1 },
		"there twice":       func(p *Plan) { p.Core = []int{1, 1} },
		"apart":             func(p *Plan) { p.Loads = []Load{{Sessions: 1, Pause: Span(2 * maxPause)}} },
		"chaos of 0s is":    func(p *Plan) { p.Faults = []Fault{{Kind: Ring, At: 1}} },
		"crash-loop with n": func(p *Plan) { p.Faults = []Fault{{Kind: CrashLoop, Hosts: []int{1}}} },
		"strobe with n":     func(p *Plan) { p.Faults = []Fault{{Kind: ClockStrobe, Hosts: []int{1}, N: 1e6}} },
		"group with n":      func(p *Plan) { p.Faults = []Fault{{Kind: Group, Hosts: []int{1}, N: 4}} },
		"disk-read with n":  func(p *Plan) { p.Faults = []Fault{{Kind: DiskRead, Hosts: []int{1}}} },
		"disk-full with n":  func(p *Plan) { p.Faults = []Fault{{Kind: DiskFull, Hosts: []int{1}, N: -1}} },
		"a failpoint":       func(p *Plan) { p.Faults = []Fault{{Kind: SlowAt, Hosts: []int{1}, N: 1}} },
		"clock-step by": func(p *Plan) {
			p.Faults = []Fault{{Kind: ClockStep, Hosts: []int{1}, By: Span(-2 * maxShift)}}
		},
		"clocks that are": func(p *Plan) {
			p.Faults = slices.Repeat([]Fault{{Kind: ClockStep, Hosts: []int{1}, By: Span(maxShift)}}, 99)
		},
		"not the spare one":   func(p *Plan) { p.Faults = []Fault{{Kind: Wipe, Hosts: []int{1}}} },
		"locks without":       func(p *Plan) { p.Loads = []Load{{Kind: Locks, Sessions: 1}} },
		"a group with":        func(p *Plan) { p.Knobs.Tick = Span(time.Minute) },
		"hints after":         func(p *Plan) { p.Knobs.HintBytes = -1 },
		"leader-kill without": func(p *Plan) { p.Faults = []Fault{{Kind: LeaderKill}} },
		"group with a metadata": func(p *Plan) {
			p.Grouped, p.Faults = true, []Fault{{Kind: Group, Hosts: []int{1}, N: 1}}
		},
		"an engine in": func(p *Plan) { p.Engine, p.Faults = EngineMemory, []Fault{{Kind: PowerAll}} },
	} {
		p := sound()
		change(p)
		if err := p.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := sound().Validate(); err != nil {
		t.Error(err)
	}
}

func sound() *Plan {
	return &Plan{
		Version: Version, Cluster: Cluster{Nodes: 3, Replicas: 3, Partitions: 8},
		Engine: EngineDisk, Core: []int{1, 2},
	}
}

func TestWhatIsNoPlanIsNotRead(t *testing.T) {
	for _, text := range []string{
		"", "{}", `{"version":1,"surprise":2}`, "[]", strings.Repeat(" ", maxBytes+1),
		`{"version":1,"chaos":"soon"}`,
	} {
		if p, err := Read(strings.NewReader(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.40q is read as %+v, %v", text, p, err)
		}
	}
	var two bytes.Buffer
	for range 2 {
		if err := Write(&two, sound()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(&two); !errors.Is(err, ErrInvalid) {
		t.Errorf("two plans in one: %v", err)
	}
}

func TestSkewIsHowFarApartClocksGet(t *testing.T) {
	step := func(host int, by time.Duration) Fault {
		return Fault{Kind: ClockStep, By: Span(by), Hosts: []int{host}}
	}
	drift := func(host, n int) Fault {
		return Fault{Kind: ClockDrift, N: n, For: Span(10 * time.Second), Hosts: []int{host}}
	}
	strobe := step(1, -time.Second)
	strobe.Kind, strobe.N = ClockStrobe, 6
	for name, c := range map[string]struct {
		faults      []Fault
		least, most time.Duration
	}{
		"none":            {nil, 0, 0},
		"apart":           {[]Fault{step(1, -time.Hour), step(2, time.Hour)}, 2 * time.Hour, 2 * time.Hour},
		"the same way":    {[]Fault{step(1, time.Hour), step(2, time.Hour)}, time.Hour, time.Hour},
		"one twice":       {[]Fault{step(1, time.Hour), step(1, time.Hour)}, 2 * time.Hour, 2 * time.Hour},
		"forth and back":  {[]Fault{step(1, time.Hour), step(1, -time.Hour)}, time.Hour, 2 * time.Hour},
		"strobe":          {[]Fault{strobe, step(2, time.Second)}, 2 * time.Second, 2 * time.Second},
		"drift":           {[]Fault{drift(1, 500_000)}, 5 * time.Second, time.Minute},
		"drift and steps": {[]Fault{drift(1, -1000), step(1, time.Second)}, time.Second, 2 * time.Second},
	} {
		p := sound()
		p.Faults = c.faults
		if got := p.Skew(); got < c.least || got > c.most {
			t.Errorf("%s: %s, want %s to %s", name, got, c.least, c.most)
		}
	}
}

func TestACloneSharesNothing(t *testing.T) {
	p := Draw(7, options())
	twin := p.Clone()
	if !reflect.DeepEqual(p, twin) {
		t.Fatal("a clone differs")
	}
	for i := range twin.Faults {
		twin.Faults[i].At++
		for j := range twin.Faults[i].Hosts {
			twin.Faults[i].Hosts[j] = 99
		}
	}
	twin.Core[0], twin.Loads[0].Steps = 99, 99
	if !reflect.DeepEqual(p, Draw(7, options())) {
		t.Error("changing a clone changes the plan")
	}
}

func TestSessionsAreKeptWhereFaultsAreShortAndApart(t *testing.T) {
	quiet := func() *Plan {
		p := sound()
		p.Grouped, p.Loads = true, []Load{{Kind: Locks, Sessions: 1}}
		p.Knobs.SessionTTL = Span(12 * time.Second)
		return p
	}
	fault := func(k Kind, at, lasts time.Duration) Fault {
		return Fault{Kind: k, At: Span(at), For: Span(lasts), Hosts: []int{1}}
	}
	for name, c := range map[string]struct {
		change func(*Plan)
		want   bool
	}{
		"in peace":     {func(*Plan) {}, true},
		"a short TTL":  {func(p *Plan) { p.Knobs.SessionTTL = Span(9 * time.Second) }, false},
		"nobody locks": {func(p *Plan) { p.Loads = nil }, false},
		"slow ticks":   {func(p *Plan) { p.Knobs.Tick = Span(time.Second) }, false},
		"one pause":    {func(p *Plan) { p.Faults = []Fault{fault(Pause, 0, time.Second)} }, true},
		"a long cut":   {func(p *Plan) { p.Faults = []Fault{fault(Isolate, 0, 3*time.Second)} }, false},
		"a long pause": {func(p *Plan) { p.Faults = []Fault{fault(Pause, 0, 6*time.Second)} }, true},
		"too long":     {func(p *Plan) { p.Faults = []Fault{fault(Pause, 0, 7*time.Second)} }, false},
		"pauses in turn": {func(p *Plan) {
			p.Faults = []Fault{fault(Pause, 6*time.Second, 5*time.Second),
				fault(LeaderPause, 0, 6*time.Second), fault(LeaderPause, 11*time.Second, time.Second)}
		}, true},
		"pauses that overlap": {func(p *Plan) {
			p.Faults = []Fault{fault(Pause, 0, 6*time.Second),
				fault(LeaderPause, 5500*time.Millisecond, time.Second)}
		}, false},
		"pauses of a pair": {func(p *Plan) {
			p.Cluster.Nodes, p.Faults = 2, []Fault{fault(Pause, 0, 6*time.Second)}
		}, false},
		"two apart": {func(p *Plan) {
			p.Faults = []Fault{fault(Kill, 0, time.Second), fault(LeaderCut, 9*time.Second, time.Second)}
		}, true},
		"two in a row": {func(p *Plan) {
			p.Faults = []Fault{fault(Kill, 0, time.Second), fault(Kill, 4*time.Second, time.Second)}
		}, false},
		"a full disk": {func(p *Plan) { p.Faults = []Fault{fault(DiskFull, 0, time.Second)} }, false},
	} {
		p := quiet()
		c.change(p)
		if got := p.KeepsSessions(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
