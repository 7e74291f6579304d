// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/dyno-kv/dyno/jepsen/checker"
	"github.com/dyno-kv/dyno/sim/plan"
	"github.com/dyno-kv/dyno/sim/trial"
)

func TestAFaultIsToldWithItsNumbers(t *testing.T) {
	second := plan.Span(time.Second)
	for _, c := range []struct {
		fault plan.Fault
		want  string
	}{
		{plan.Fault{Kind: plan.Kill, For: 2 * second},
			"the process is killed; the host starts another after 2s"},
		{plan.Fault{Kind: plan.Swizzle, Hosts: []int{3}, For: second},
			"n3 is cut off one after the other, and mended in another order, for 1s"},
		{plan.Fault{Kind: plan.OneWay, Hosts: []int{1, 2}, N: 1, For: second},
			"nothing that the others send reaches n1 n2, for 1s"},
		{plan.Fault{Kind: plan.Loss, Share: 0.256, For: second},
			"26 % of the packets, and of the segments of streams, is lost, for 1s"},
		{plan.Fault{Kind: plan.DiskFull, N: 2048, For: second},
			"2.0 KiB are free for 1s; the low-water mark is above that"},
		{plan.Fault{Kind: plan.Group, N: 2, For: second},
			"the process is killed, and the next one starts while the metadata group hangs, for 1s"},
		{plan.Fault{Kind: plan.DiskSync, N: 1, For: second},
			"the 1st sync from 5.000000 s on fails, if it comes within 1s"},
		{plan.Fault{Kind: plan.CrashAt, N: 22, Point: "room/point", For: second},
			"the process is killed when it passes failpoint room/point for the 22nd time from " +
				"5.000000 s on"},
	} {
		if got := effect(&c.fault, 5*time.Second); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.fault.Kind, got, c.want)
		}
	}
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 11: "11th", 112: "112th"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestEveryKindIsToldWithoutItsParameters: none of their names is left.
func TestEveryKindIsToldWithoutItsParameters(t *testing.T) {
	for _, in := range plan.Kinds() {
		for n := range 3 {
			f := plan.Fault{Kind: in.Kind, Hosts: []int{1}, N: n, For: 1, By: 1, Share: 0.5, Point: "x"}
			if got := effect(&f, 0); got == "" || parameter.MatchString(got) {
				t.Errorf("%s with N %d: %q", in.Kind, n, got)
			}
		}
	}
}

// TestAStoryGoesFromCausesToWhatTheyLedTo, with the faults that were on the way.
func TestAStoryGoesFromCausesToWhatTheyLedTo(t *testing.T) {
	var out strings.Builder
	p := (&app{out: &out}).newPage()
	v := &checker.Violation{
		Path: []string{"2.000000 s: a put", "9.000000 s: a get", "4.000000 s: a delete"},
		From: []int64{2e9, 9e9, 4e9},
	}
	x := &plan.Plan{Faults: []plan.Fault{
		{Kind: plan.Pause, At: 0, For: plan.Span(time.Second / 2), Hosts: []int{1}}, // over before
		{Kind: plan.Pause, At: plan.Span(2 * time.Second), For: 1, Hosts: []int{2}},
		{Kind: plan.Pause, At: plan.Span(2 * time.Second), For: 1, Hosts: []int{3}},
	}}
	p.story(v, faultEntries(x, &trial.Result{ChaosFrom: time.Second, Met: []bool{true, true, false}}))
	const want = `    2.000000 s  a put
    3.000000 s  fault pause, n2: the process stands still for 1ns
    4.000000 s  a delete
    9.000000 s  a get
`
	if out.String() != want || p.err != nil {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
