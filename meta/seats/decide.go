// SPDX-License-Identifier: Apache-2.0

package seats

import (
	"fmt"
	"time"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
)

// CaughtUp is how many entries a learner may be behind the leader to become a voter: what
// is appended while it is told so.
const CaughtUp = 250

// Config says when a seat is given up.
type Config struct {
	// DeadAfter is how long a seat may be silent before another member takes its place.
	DeadAfter time.Duration
	// RefusedAfter is the same where its member's store has been refused: it was rolled
	// back or copied. Not at once, for the store of which a copy showed up may be well.
	RefusedAfter time.Duration
	// HeardWithin is how lately a learner must have been heard to become a voter: from then
	// on the majority may need it.
	HeardWithin time.Duration
}

// Seat is one seat of the configuration as the leader sees it.
type Seat struct {
	Raft  state.RaftID
	Voter bool
	// Silent is how long the leader has heard nothing of it; 0 for itself.
	Silent time.Duration
	// Match is up to where its log is known to agree with the leader's.
	Match uint64
}

// View is how things stand.
type View struct {
	// Self is the leader's own raft id.
	Self state.RaftID
	// First is the leader's first entry of its term, Last its newest entry.
	First, Last uint64
	// Members are all that were ever registered, in order of their numbers.
	Members []state.Member
	// Formed says that the cluster has its first ring; until then Expect counts as members.
	Formed bool
	Expect int
	// Seats is the configuration, in order of raft ids.
	Seats []Seat
	// Alive reports whether a member seems to be up, seat or not.
	Alive func(kv.NodeID) bool
}

// Kind says what a step does.
type Kind uint8

const (
	// None: nothing is to be done.
	None Kind = 1 + iota
	// Assign gives the member Node a new raft id, for the opening For (state.AssignRaft).
	Assign
	// Drop takes the raft id Raft from its member (state.DropRaft).
	Drop
	// AddLearner makes Raft a learner.
	AddLearner
	// Promote makes the learner Raft a voter.
	Promote
	// Remove takes Raft out of the configuration.
	Remove
	// Transfer hands the leadership to the voter Raft.
	Transfer
)

func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Assign:
		return "assign"
	case Drop:
		return "drop"
	case AddLearner:
		return "add-learner"
	case Promote:
		return "promote"
	case Remove:
		return "remove"
	case Transfer:
		return "transfer"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// Step is what the leader does next.
type Step struct {
	Kind     Kind
	Raft     state.RaftID
	Node     kv.NodeID
	For      kv.Open
	Previous state.RaftID
}

// Wanted is how many voters a cluster of so many members has.
func Wanted(members int) int {
	if members < 3 {
		return 1
	}
	return 3
}

// Decide returns the next step.
func Decide(cfg Config, v View) Step {
	d := newDecision(cfg, v)
	if !d.hasMajority() {
		return Step{Kind: None} // nothing could be committed
	}
	for _, rule := range []func() (Step, bool){
		d.removeReplaced, d.renewLost, d.dropLearner, d.promote, d.giveUpVoter, d.addLearner,
		d.assign,
	} {
		if step, ok := rule(); ok {
			return step
		}
	}
	return Step{Kind: None}
}

// removeReplaced takes seats out of the configuration whose raft id is no member's any
// more.
func (d *decision) removeReplaced() (Step, bool) {
	for _, s := range d.Seats {
		if d.owned(s.Raft) {
			continue
		}
		switch {
		case d.leaving(s) && d.replaceable():
			// Its replacement comes first.
		case s.Raft == d.Self:
			if to, ok := d.successor(); ok {
				return Step{Kind: Transfer, Raft: to}, true
			}
		case !s.Voter || d.safeWithout(s):
			return Step{Kind: Remove, Raft: s.Raft}, true
		}
	}
	return Step{}, false
}

// renewLost gives a member a new raft id whose store can not go on under the old one: it
// was refused, or it is up and its seat is silent. A learner that has never acknowledged
// anything, and whose store has been opened anew since its id was made, never begins: that
// is seen sooner.
func (d *decision) renewLost() (Step, bool) {
	for i := range d.Members {
		m := &d.Members[i]
		s, seated := d.seat(m.Raft)
		if m.Raft == 0 || m.Raft == d.Self || m.Left {
			continue
		}
		unbegun := !s.Voter && s.Match == 0 && s.Silent >= d.cfg.RefusedAfter
		lost := m.RaftRefused && (!seated || s.Silent >= d.cfg.RefusedAfter) ||
			seated && (d.dead(s) || unbegun) && d.Alive(m.ID) && !d.couldBegin(m)
		if lost && d.opening(m) != m.RaftFor() && d.Alive(m.ID) {
			return Step{
				Kind: Assign, Node: m.ID, For: d.opening(m), Previous: m.RaftLast,
			}, true
		}
	}
	return Step{}, false
}

// dropLearner gives up a learner that does not answer, so that another can take its place,
// or one that is not needed any more.
func (d *decision) dropLearner() (Step, bool) {
	enough := d.good() >= d.wanted()
	for _, s := range d.Seats {
		if !s.Voter && d.owned(s.Raft) && (d.dead(s) || enough) {
			return Step{Kind: Drop, Raft: s.Raft}, true
		}
	}
	return Step{}, false
}

// promote makes a voter of a learner that has caught up, where one is missing. From one
// voter to three it goes in one go, if that can be: two voters tolerate no more than one,
// and there are two to fail.
func (d *decision) promote() (Step, bool) {
	missing := d.wanted() - d.good()
	ready := d.count(d.ready)
	if missing <= 0 || ready == 0 || d.voters() == 1 && ready < missing && d.moreToCome() {
		return Step{}, false
	}
	for _, s := range d.Seats {
		if d.ready(s) {
			return Step{Kind: Promote, Raft: s.Raft}, true
		}
	}
	return Step{}, false
}

// giveUpVoter takes the raft id from a voter that is dead, or one too many, once the
// others are enough.
func (d *decision) giveUpVoter() (Step, bool) {
	voters := d.voters()
	if d.good() < d.wanted() || voters <= d.wanted() {
		return Step{}, false
	}
	surplus := Seat{}
	for _, s := range d.Seats {
		if !s.Voter || s.Raft == d.Self || !d.safeWithout(s) {
			continue
		}
		if d.dead(s) {
			return Step{Kind: Drop, Raft: s.Raft}, true
		}
		if d.good() > d.wanted() {
			surplus = s
		}
	}
	return Step{Kind: Drop, Raft: surplus.Raft}, surplus.Raft != 0
}

// addLearner makes a learner of a member that has a raft id and no seat.
func (d *decision) addLearner() (Step, bool) {
	if d.good()+d.learners() >= d.wanted() {
		return Step{}, false
	}
	for i := range d.Members {
		m := &d.Members[i]
		if _, seated := d.seat(m.Raft); m.Raft == 0 || seated || m.Left {
			continue
		}
		if d.couldBegin(m) && d.Alive(m.ID) {
			return Step{Kind: AddLearner, Raft: m.Raft}, true
		}
	}
	return Step{}, false
}

// assign chooses the member for the next seat: from a zone that has no voter if there is
// one, then the first that was registered.
func (d *decision) assign() (Step, bool) {
	if d.good()+d.learners() >= d.wanted() {
		return Step{}, false
	}
	var best *state.Member
	for i := range d.Members {
		m := &d.Members[i]
		if !d.eligible(m) {
			continue
		}
		if best == nil || d.newZone(m) && !d.newZone(best) ||
			d.newZone(m) == d.newZone(best) && m.Registered < best.Registered {
			best = m
		}
	}
	if best == nil {
		return Step{}, false
	}
	return Step{
		Kind: Assign, Node: best.ID, For: d.opening(best), Previous: best.RaftLast,
	}, true
}
