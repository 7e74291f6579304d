// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"slices"
	"testing"

	"github.com/dyno-kv/dyno/kv"
)

// The tests of this file walk every state that a round can get into, by every order of
// Next, Late and answers, and compare each with the reference. States that differ only
// in the order of what led to them are one; that they behave as one is checked too
// (I2). The walk is a graph of sets, not a tree of permutations, so it stays small.

const testVersion kv.PlacementVersion = 7

// oneInstance gives every node the same instance.
type oneInstance kv.Instance

func (o oneInstance) Instance(kv.NodeID) kv.Instance { return kv.Instance(o) }

const testInstance = oneInstance(3)

// machine is what reads and writes have in common for the walk.
type machine interface {
	Next() (Target, bool)
	Late(Target)
	Add(Reply) Decision
	Decision() Decision
	copy() machine
}

func (w *Write) copy() machine {
	c := *w
	c.seats = append(c.inline[:0:len(c.inline)], w.seats...)
	c.helpers = append(c.spare[:0:len(c.spare)], w.helpers...)
	return &c
}

func (r *Read) copy() machine {
	c := *r
	c.seats = append(c.inline[:0:len(c.inline)], r.seats...)
	return &c
}

// walker explores all states of one spec.
type walker struct {
	t     *testing.T
	write bool
	// answers are the kinds that a member gives; fallbacks give failed for refused.
	members, fallbacks []kind
	lates              bool
	// seen maps a state to its decision and whether Reached can follow.
	seen map[[maxPlaces]kind]visit
}

type visit struct {
	decision Decision
	reaches  bool
}

// visit checks one state and walks on from it; it reports whether Reached can follow.
func (w *walker) visit(m machine, ref reference) bool {
	id := ref.known
	if v, ok := w.seen[id]; ok {
		if v.decision != m.Decision() {
			w.t.Fatalf("I2: state %q is %v by one order and %v by another", id, v.decision,
				m.Decision())
		}
		return v.reaches
	}
	w.check(m, ref)
	reaches := m.Decision() == Reached
	w.seen[id] = visit{decision: m.Decision(), reaches: reaches}
	if next := m.copy(); w.write || m.Decision() == Pending {
		reaches = w.step(m, next, ref) || reaches
	}
	w.seen[id] = visit{decision: m.Decision(), reaches: reaches}
	if m.Decision() == Pending && !reaches {
		w.t.Fatalf("I8: state %q is pending, and no continuation reaches", id)
	}
	return reaches
}

// step takes every next step from a state.
func (w *walker) step(m, next machine, ref reference) (reaches bool) {
	follow := func(to machine, at where, k kind) {
		if d := m.Decision(); d != Pending && to.Decision() != d {
			w.t.Fatalf("I1: from %q, %v became %v", ref.known, d, to.Decision())
		}
		reaches = w.visit(to, ref.with(at, k)) || reaches
	}
	if target, ok := next.Next(); ok {
		at := place(target)
		if ref.at(at.node, at.slot) != idle {
			w.t.Fatalf("from %q, Next names %v again", ref.known, target)
		}
		follow(next, at, asked)
	}
	for i, at := range ref.places {
		k := ref.known[i]
		if k != asked && k != late {
			continue
		}
		target := Target{Node: at.node, Slot: at.slot}
		if k == asked && w.lates {
			to := m.copy()
			to.Late(target)
			follow(to, at, late)
		}
		kinds := w.members
		if slices.Contains(ref.spec.Fallbacks, at.node) {
			kinds = w.fallbacks
		}
		for _, answer := range kinds {
			to := m.copy()
			to.Add(w.reply(at, answer, ref.spec))
			follow(to, at, answer)
		}
	}
	return reaches
}

func place(t Target) where {
	if t.Role == kv.RoleFallback {
		return where{t.Node, t.Slot}
	}
	return where{t.Node, -1}
}

// check compares one state with the reference.
func (w *walker) check(m machine, ref reference) {
	id := ref.known
	reached, reachable := ref.readReached, ref.readReachable
	if w.write {
		reached, reachable = ref.writeReached, ref.writeReachable
	}
	want := Pending
	switch {
	case reached():
		want = Reached
	case !reachable():
		want = Unreachable
	}
	if m.Decision() != want {
		w.t.Fatalf("I11: state %q is %v, reference says %v\n%v", id, m.Decision(), want, m)
	}
	if write, ok := m.(*Write); ok {
		if none := write.Outcome() == OutcomeNone; none != ref.noneCertain() {
			w.t.Fatalf("I7: state %q has outcome %v, reference says none: %v", id,
				write.Outcome(), ref.noneCertain())
		}
	}
}

func (w *walker) reply(at where, k kind, spec Spec) Reply {
	r := Reply{Node: at.node, Slot: at.slot, Role: kv.RoleOwner, Version: testVersion,
		Instance: kv.Instance(testInstance), Confirmed: k == counted, Result: ResultFound}
	if w.write {
		r.Result = ResultStored
	}
	if slices.Contains(spec.Fallbacks, at.node) {
		r.Role = kv.RoleFallback
	}
	switch k {
	case failed:
		r.Result = ResultFailed
	case refused:
		r.Result = ResultRefused
	case fenced:
		r.Result = ResultFenced
	case empty:
		r.Result = ResultNotFound
	}
	return r
}

// layouts returns slots on nodes 1, 2, ...; the first moving slots move to 11, 12, ...
func layout(n, moving int, phase kv.Phase) []kv.Slot {
	slots := make([]kv.Slot, n)
	for i := range slots {
		slots[i] = kv.Stable(kv.NodeID(1 + i))
		if i < moving {
			slots[i] = kv.Slot{Owner: kv.NodeID(1 + i), Next: kv.NodeID(11 + i), Phase: phase}
		}
	}
	return slots
}

// every runs a walk for each need and each number of confirmed owners.
func every(t *testing.T, spec Spec, w walker) (states int) {
	for need := 1; need <= len(spec.Slots); need++ {
		for confirmed := 0; confirmed <= need; confirmed++ {
			s, one := spec, w
			s.Need, s.NeedConfirmed = need, confirmed
			s.Version, s.Instances = testVersion, testInstance
			one.t, one.seen = t, map[[maxPlaces]kind]visit{}
			var m machine
			var err error
			if w.write {
				m, err = NewWrite(s)
			} else {
				m, err = NewRead(s)
			}
			if err != nil {
				t.Fatal(err)
			}
			one.visit(m, newReference(s, w.write))
			states += len(one.seen)
		}
	}
	return states
}

func TestWritesDecideAsTheReferenceInEveryOrder(t *testing.T) {
	plain := walker{write: true, members: []kind{counted, unconfirmed, failed}}
	full := walker{write: true, lates: true,
		members:   []kind{counted, unconfirmed, failed, refused, fenced},
		fallbacks: []kind{counted, failed, refused}}
	hints := walker{write: true, members: []kind{counted, failed},
		fallbacks: []kind{counted, failed}}
	tardy := hints
	tardy.lates = true
	old, moved := kv.PhaseWriteBothReadOld, kv.PhaseWriteBothReadNew
	cases := []struct {
		name string
		walk walker
		spec Spec
	}{
		{"one slot, every answer", full, Spec{Slots: layout(1, 0, 0), Sloppy: true,
			Fallbacks: []kv.NodeID{21, 22}}},
		{"two slots, every answer", full, Spec{Slots: layout(2, 0, 0), Sloppy: true,
			Fallbacks: []kv.NodeID{21}}},
		{"three slots, every answer, strict", full, Spec{Slots: layout(3, 0, 0)}},
		{"four slots", plain, Spec{Slots: layout(4, 0, 0)}},
		{"five slots", plain, Spec{Slots: layout(5, 0, 0)}},
		{"three slots, one moving", plain, Spec{Slots: layout(3, 1, old)}},
		{"three slots, two moving", plain, Spec{Slots: layout(3, 2, moved)}},
		{"sloppy, one fallback, late", tardy, Spec{Slots: layout(3, 0, 0), Sloppy: true,
			Fallbacks: []kv.NodeID{21}}},
		{"sloppy, two slots, two fallbacks, late", tardy, Spec{Slots: layout(2, 0, 0),
			Sloppy: true, Fallbacks: []kv.NodeID{21, 22}}},
		{"sloppy, two fallbacks", hints, Spec{Slots: layout(3, 0, 0), Sloppy: true,
			Fallbacks: []kv.NodeID{21, 22}}},
		{"sloppy, moving, one fallback", hints, Spec{Slots: layout(2, 1, old), Sloppy: true,
			Fallbacks: []kv.NodeID{21}}},
		{"sloppy, moving, three slots", hints, Spec{Slots: layout(3, 1, moved), Sloppy: true,
			Fallbacks: []kv.NodeID{21, 22}}},
		{"hints in a strict write", hints, Spec{Slots: layout(3, 0, 0),
			Fallbacks: []kv.NodeID{21}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("%d states", every(t, c.spec, c.walk))
		})
	}
}

func TestReadsDecideAsTheReferenceInEveryOrder(t *testing.T) {
	plain := walker{members: []kind{counted, unconfirmed, failed},
		fallbacks: []kind{counted, empty}}
	full := plain
	full.lates = true
	cases := []struct {
		name string
		walk walker
		spec Spec
	}{
		{"three slots, late", full, Spec{Slots: layout(3, 0, 0)}},
		{"four slots", plain, Spec{Slots: layout(4, 0, 0)}},
		{"five slots", plain, Spec{Slots: layout(5, 0, 0)}},
		{"moving, old member reads", full, Spec{Slots: layout(3, 2, kv.PhaseWriteBothReadOld)}},
		{"moving, new member reads", full, Spec{Slots: layout(3, 2, kv.PhaseWriteBothReadNew)}},
		{"sloppy, late", full, Spec{Slots: layout(3, 0, 0), Sloppy: true,
			Fallbacks: []kv.NodeID{21, 22}}},
		{"sloppy, moving", plain, Spec{Slots: layout(3, 1, kv.PhaseWriteBothReadNew),
			Sloppy: true, Fallbacks: []kv.NodeID{21, 22}}},
		{"fallbacks in a strict read", plain, Spec{Slots: layout(3, 0, 0),
			Fallbacks: []kv.NodeID{21}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("%d states", every(t, c.spec, c.walk))
		})
	}
}
