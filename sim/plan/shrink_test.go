// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func example() *Plan {
	return &Plan{
		Version: Version, Seed: 7, Engine: EngineDisk, Chaos: Span(30 * time.Second),
		Cluster: Cluster{Nodes: 3, Replicas: 3, Partitions: 8}, Core: []int{1, 2},
		Link: Link{Delay: Span(time.Millisecond), Jitter: 5, Loss: 0.01}, SeededOrder: true,
		Loads: []Load{{Kind: "register", Sessions: 3, Steps: 100}, {Kind: "set", Sessions: 1, Steps: 9}},
		Knobs: Knobs{Shards: 2, Timeout: Span(time.Second)},
		Faults: []Fault{
			{Kind: Kill, At: Span(time.Second), For: Span(time.Second), Hosts: []int{1}},
			{Kind: Pause, At: Span(2 * time.Second), For: Span(time.Second), Hosts: []int{2}},
			{Kind: ClockStep, At: Span(20 * time.Second), By: Span(time.Hour), Hosts: []int{3}},
		},
	}
}

func TestWithFaultsKeepsThoseAlone(t *testing.T) {
	p := example()
	got := p.WithFaults([]int{0, 2})
	if len(got.Faults) != 2 || got.Faults[0].Kind != Kill || got.Faults[1].Kind != ClockStep {
		t.Errorf("faults %v", got.Faults)
	}
	got.Faults[0].Hosts[0] = 3
	if !reflect.DeepEqual(p, example()) {
		t.Error("the plan itself was changed")
	}
	if none := p.WithFaults(nil); len(none.Faults) != 0 || none.Validate() != nil {
		t.Errorf("without faults: %v, %v", none.Faults, none.Validate())
	}
}

// TestSmallerPlansComeToAnEnd takes every kind of step in turn, until there is none: each
// plan is valid and another one, the first stays as it was, and the last is small.
func TestSmallerPlansComeToAnEnd(t *testing.T) {
	p := example()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	taken := make(map[string]bool)
	const most = 200
	for n := 0; ; n++ {
		steps := p.Smaller()
		if len(steps) == 0 {
			break
		}
		if n == most {
			t.Fatalf("still smaller after %d steps: %v", most, steps)
		}
		for _, s := range steps {
			taken[s.What] = true
			if err := s.Plan.Validate(); err != nil || reflect.DeepEqual(s.Plan, p) {
				t.Fatalf("%s: no other valid plan: %v", s.What, err)
			}
		}
		p = steps[n%len(steps)].Plan
	}
	if len(p.Loads) != 1 || p.Loads[0].Sessions != 1 || p.Loads[0].Steps > fewSteps ||
		p.Knobs != (Knobs{}) || p.SeededOrder || p.Link.Loss != 0 || len(p.Faults) != 3 ||
		time.Duration(p.Chaos) > shortChaos || time.Duration(p.Faults[2].At) > 3*2*shortWait {
		t.Errorf("the smallest is %+v", p)
	}
	for _, f := range p.Faults {
		if time.Duration(f.For) > shortFault {
			t.Errorf("%s still lasts %s", f.Kind, f.For)
		}
	}
	for _, want := range []string{
		"without load set", "half the sessions of load register", "half the steps of load register",
		"half the chaos", "without knobs", "without knob shards", "without knob timeout",
		"without seeded order", "without loss on the links", "fault 1 half as long",
		"all faults twice as early", "half the wait before fault 2",
	} {
		if !taken[want] {
			t.Errorf("no step %q", want)
		}
	}
}

// TestEveryKnobHasAStep: a new field of Knobs needs its line in knobs.
func TestEveryKnobHasAStep(t *testing.T) {
	var names []string
	for _, k := range knobs() {
		names = append(names, k.name)
	}
	all := reflect.TypeOf(Knobs{})
	for i := range all.NumField() {
		name, _, _ := strings.Cut(all.Field(i).Tag.Get("json"), ",")
		if !slices.Contains(names, name) {
			t.Errorf("no step takes knob %s back", name)
		}
		one := example()
		one.Knobs = Knobs{}
		field := reflect.ValueOf(&one.Knobs).Elem().Field(i)
		if field.Kind() == reflect.Bool {
			field.SetBool(true)
		} else {
			field.SetInt(1)
		}
		for _, k := range knobs() {
			if k.name == name && (!k.reset(one) || one.Knobs != (Knobs{})) {
				t.Errorf("the step of knob %s leaves it", name)
			}
		}
	}
}
