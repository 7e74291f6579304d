// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/dyno-kv/dyno/kv"
)

// TestTranscripts plays the rounds of testdata/transcripts. Commands:
//
//	write|read|write-back need=2 [confirmed=1] [sloppy] [atomic] slots=(1,2,3>4:old)
//	    [fallbacks=(5,6)] [self=1] [suspects=(2)]    starts a round
//	next                                             all whom Next names
//	late node=5 [slot=1]
//	expect node=5 slot=1
//	add                                              one answer a line:
//	    NODE RESULT [slot=1] [role=owner] [version=7] [instance=3] [unconfirmed] [why=X]
//	show                                             the error text and what is left
//
// Answers are of version 7 and instance 3 and of confirmed owners unless they say so.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		var p player
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return p.play(t, d)
		})
	})
}

type player struct {
	m    machine
	spec Spec
}

func (p *player) play(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "write", "read", "write-back":
		return p.start(t, d)
	case "next":
		return p.next()
	case "late":
		p.m.Late(Target{Node: nodeArg(t, d, "node"), Slot: slotArg(t, d)})
		return p.m.Decision().String() + "\n"
	case "expect":
		w := p.m.(*Write)
		ok := w.Expect(nodeArg(t, d, "node"), slotArg(t, d), kv.Instance(testInstance))
		return fmt.Sprintln(ok)
	case "add":
		return p.add(t, d.Input)
	case "show":
		return p.show()
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
		return ""
	}
}

func (p *player) start(t *testing.T, d *datadriven.TestData) string {
	s := Spec{Version: testVersion, Instances: testInstance}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "need":
			s.Need = number(t, arg.Vals[0])
		case "confirmed":
			s.NeedConfirmed = number(t, arg.Vals[0])
		case "sloppy":
			s.Sloppy = true
		case "atomic":
			s.Atomic = true
		case "self":
			s.Self = kv.NodeID(number(t, arg.Vals[0]))
		case "fallbacks":
			s.Fallbacks = nodes(t, arg.Vals)
		case "suspects":
			s.Suspects = nodes(t, arg.Vals)
		case "slots":
			for _, v := range arg.Vals {
				s.Slots = append(s.Slots, slot(t, v))
			}
		default:
			t.Fatalf("%s: unknown argument %q", d.Pos, arg.Key)
		}
	}
	var err error
	p.spec = s
	switch d.Cmd {
	case "read":
		p.m, err = NewRead(s)
	case "write":
		p.m, err = NewWrite(s)
	default:
		p.m, err = NewWriteBack(s)
	}
	if err != nil {
		return fmt.Sprintln(err)
	}
	return p.next()
}

func (p *player) next() string {
	var b strings.Builder
	for {
		target, ok := p.m.Next()
		if !ok {
			break
		}
		fmt.Fprintf(&b, "ask node %d as %v", target.Node, target.Role)
		if target.Slot >= 0 {
			fmt.Fprintf(&b, ", slot %d", target.Slot)
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "nobody\n"
	}
	return b.String()
}

func (p *player) add(t *testing.T, input string) string {
	var b strings.Builder
	for line := range strings.Lines(input) {
		fmt.Fprintf(&b, "%v\n", p.m.Add(parseReply(t, strings.Fields(line), p.spec)))
	}
	return b.String()
}

func (p *player) show() string {
	out := fmt.Sprintln(p.m)
	if w, ok := p.m.(*Write); ok {
		out += fmt.Sprintf("outcome %v", w.Outcome())
		if w.Fenced() {
			out += ", fenced"
		}
		for i := range p.spec.Slots {
			if w.Bare(i) {
				out += fmt.Sprintf(", slot %d is bare", i)
			}
		}
		out += "\n"
	}
	return out
}

func parseReply(t *testing.T, words []string, spec Spec) Reply {
	results := map[string]Result{
		"stored": ResultStored, "found": ResultFound, "not-found": ResultNotFound,
		"refused": ResultRefused, "not-sent": ResultNotSent, "fenced": ResultFenced,
		"failed": ResultFailed,
	}
	roles := map[string]kv.Role{
		"owner": kv.RoleOwner, "fallback": kv.RoleFallback, "not-ready": kv.RoleNotReady,
		"not-owner": kv.RoleNotOwner,
	}
	r := Reply{Node: kv.NodeID(number(t, words[0])), Result: results[words[1]],
		Role: kv.RoleFallback, Version: testVersion, Instance: kv.Instance(testInstance),
		Confirmed: true}
	for _, s := range spec.Slots {
		if s.Has(r.Node) {
			r.Role = kv.RoleOwner
		}
	}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "slot":
			r.Slot = number(t, value)
		case "role":
			r.Role = roles[value]
		case "version":
			r.Version = kv.PlacementVersion(number(t, value))
		case "instance":
			r.Instance = kv.Instance(number(t, value))
		case "unconfirmed":
			r.Confirmed = false
		case "why":
			r.Reason = value
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	return r
}

// slot parses "1", "1>2:old" or "1>2:new".
func slot(t *testing.T, text string) kv.Slot {
	owner, rest, moving := strings.Cut(text, ">")
	if !moving {
		return kv.Stable(kv.NodeID(number(t, owner)))
	}
	next, phase, _ := strings.Cut(rest, ":")
	s := kv.Slot{Owner: kv.NodeID(number(t, owner)), Next: kv.NodeID(number(t, next)),
		Phase: kv.PhaseWriteBothReadOld}
	if phase == "new" {
		s.Phase = kv.PhaseWriteBothReadNew
	}
	return s
}

func nodes(t *testing.T, words []string) (list []kv.NodeID) {
	for _, word := range words {
		list = append(list, kv.NodeID(number(t, word)))
	}
	return list
}

func nodeArg(t *testing.T, d *datadriven.TestData, name string) kv.NodeID {
	var n int
	d.ScanArgs(t, name, &n)
	return kv.NodeID(n)
}

func slotArg(t *testing.T, d *datadriven.TestData) int {
	n := -1
	d.MaybeScanArgs(t, "slot", &n)
	return n
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
