// SPDX-License-Identifier: Apache-2.0

//go:build mutant

package mutant

import (
	"strings"
	"testing"
)

func TestOneMutantIsOnAtATime(t *testing.T) {
	on := func() (list []Name) {
		for _, m := range All() {
			if On(m.Name) {
				list = append(list, m.Name)
			}
		}
		return list
	}
	defer Activate("")()
	if got := on(); len(got) != 0 || Active() != "" {
		t.Errorf("on from the start: %v", got)
	}
	first := Activate(AckOneShort)
	second := Activate(NoCollapse)
	if got := on(); len(got) != 1 || got[0] != NoCollapse || Active() != NoCollapse {
		t.Errorf("on: %v, want %s alone", got, NoCollapse)
	}
	second()
	if got := on(); len(got) != 1 || got[0] != AckOneShort {
		t.Errorf("on: %v, want %s alone", got, AckOneShort)
	}
	first()
	if got := on(); len(got) != 0 {
		t.Errorf("still on: %v", got)
	}
}

func TestTheEnvironmentNamesTheFirst(t *testing.T) {
	if got := *begin(string(PutOverwrites)).Load(); got != PutOverwrites {
		t.Errorf("on from the start: %s", got)
	}
	if got := *begin("").Load(); got != "" {
		t.Errorf("on without a name: %s", got)
	}
}

func TestUnknownNamesPanicWithTheList(t *testing.T) {
	for what, do := range map[string]func(){
		"environment": func() { begin("ack-one-shrot") },
		"activate":    func() { Activate("ack-one-shrot") },
	} {
		func() {
			defer func() {
				text, _ := recover().(string)
				if !strings.Contains(text, "ack-one-shrot") || !strings.Contains(text, "no-rejoin") {
					t.Errorf("%s: panic with %q", what, text)
				}
			}()
			do()
		}()
	}
}
