// SPDX-License-Identifier: Apache-2.0

package seats

import (
	"slices"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
)

// decision answers what the rules ask of how things stand.
type decision struct {
	cfg Config
	View
}

func newDecision(cfg Config, v View) *decision { return &decision{cfg: cfg, View: v} }

// wanted is how many voters there shall be.
func (d *decision) wanted() int {
	members := 0
	for i := range d.Members {
		if !d.Members[i].Left {
			members++
		}
	}
	if !d.Formed {
		members = max(members, d.Expect)
	}
	return Wanted(members)
}

// owner returns the member that a raft id belongs to now.
func (d *decision) owner(id state.RaftID) (*state.Member, bool) {
	i := slices.IndexFunc(d.Members, func(m state.Member) bool { return m.Raft == id })
	if i < 0 || id == 0 || d.Members[i].Left {
		return nil, false
	}
	return &d.Members[i], true
}

func (d *decision) owned(id state.RaftID) bool {
	_, ok := d.owner(id)
	return ok
}

// leaving reports whether a seat is that of a member who leaves.
func (d *decision) leaving(s Seat) bool {
	i := slices.IndexFunc(d.Members, func(m state.Member) bool { return m.Raft == s.Raft })
	return i >= 0 && d.Members[i].Left
}

// replaceable reports whether a voter is missing, and another is on its way or could be.
func (d *decision) replaceable() bool {
	if d.good() >= d.wanted() {
		return false
	}
	if d.learners() > 0 {
		return true
	}
	return d.candidates()
}

// candidates reports whether a member without a seat could be given one.
func (d *decision) candidates() bool {
	return slices.ContainsFunc(d.Members, func(m state.Member) bool {
		_, seated := d.seat(m.Raft)
		return d.eligible(&m) || !m.Left && !seated && d.couldBegin(&m) && d.Alive(m.ID)
	})
}

// ready reports whether a seat is a learner that can become a voter.
func (d *decision) ready(s Seat) bool {
	caughtUp := s.Match >= d.First && s.Match+CaughtUp >= d.Last
	return !s.Voter && caughtUp && s.Silent <= d.cfg.HeardWithin && d.owned(s.Raft)
}

// moreToCome reports whether another learner is about to be ready.
func (d *decision) moreToCome() bool {
	catchingUp := func(s Seat) bool {
		return !s.Voter && d.owned(s.Raft) && d.answers(s) && !d.ready(s)
	}
	return slices.ContainsFunc(d.Seats, catchingUp) || d.candidates()
}

// seat returns the seat of a raft id.
func (d *decision) seat(id state.RaftID) (Seat, bool) {
	i := slices.IndexFunc(d.Seats, func(s Seat) bool { return s.Raft == id })
	if i < 0 || id == 0 {
		return Seat{}, false
	}
	return d.Seats[i], true
}

// dead reports whether a seat has been silent for too long.
func (d *decision) dead(s Seat) bool { return s.Raft != d.Self && s.Silent >= d.cfg.DeadAfter }

// answers reports whether a seat has been heard of lately: a majority of such seats can
// commit.
func (d *decision) answers(s Seat) bool {
	return s.Raft == d.Self || s.Silent < d.cfg.RefusedAfter && s.Silent < d.cfg.DeadAfter
}

// voters counts the voters.
func (d *decision) voters() int { return d.count(func(s Seat) bool { return s.Voter }) }

// good counts the voters that are not to be replaced.
func (d *decision) good() int {
	return d.count(func(s Seat) bool { return s.Voter && !d.dead(s) && d.owned(s.Raft) })
}

// learners counts those who are on their way to be voters.
func (d *decision) learners() int {
	return d.count(func(s Seat) bool { return !s.Voter && d.owned(s.Raft) })
}

func (d *decision) count(which func(Seat) bool) int {
	n := 0
	for _, s := range d.Seats {
		if which(s) {
			n++
		}
	}
	return n
}

// answering counts the voters that answer.
func (d *decision) answering() int {
	return d.count(func(s Seat) bool { return s.Voter && d.answers(s) })
}

func majority(voters int) int { return voters/2 + 1 }

func (d *decision) hasMajority() bool { return d.answering() >= majority(d.voters()) }

// safeWithout reports whether a majority answers without a voter. (With one more that
// answers one always does.)
func (d *decision) safeWithout(s Seat) bool {
	answering := d.answering()
	if d.answers(s) {
		answering--
	}
	return d.voters() > 1 && answering >= majority(d.voters()-1)
}

// successor is the voter that is to lead in the place of a leader who goes: the one with
// the longest log.
func (d *decision) successor() (state.RaftID, bool) {
	best := Seat{}
	for _, s := range d.Seats {
		ok := s.Voter && s.Raft != d.Self && d.answers(s) && d.owned(s.Raft)
		if ok && (best.Raft == 0 || s.Match > best.Match) {
			best = s
		}
	}
	return best.Raft, best.Raft != 0
}

// opening is the newest opening of a member's store that may hold raft state.
func (d *decision) opening(m *state.Member) kv.Open {
	if m.Refused {
		return m.RefusedOpen
	}
	return m.Open
}

// couldBegin reports whether a member may yet begin the raft state that its id was made
// for: the opening is still the newest.
func (d *decision) couldBegin(m *state.Member) bool {
	return m.Raft != 0 && d.opening(m) == m.RaftFor()
}

// eligible reports whether a member may be given a seat: it is up, its store has been
// opened, and it has none.
func (d *decision) eligible(m *state.Member) bool {
	if m.Left || !d.Alive(m.ID) || d.opening(m) == (kv.Open{}) {
		return false
	}
	if m.Raft == 0 {
		// Its former raft id may have been given up a moment ago, because it did not answer.
		return true
	}
	_, seated := d.seat(m.Raft)
	return !seated && !d.couldBegin(m)
}

// newZone reports whether no voter, nor one who is to be, is of a member's zone.
func (d *decision) newZone(m *state.Member) bool {
	for _, s := range d.Seats {
		if d.dead(s) {
			continue
		}
		if o, ok := d.owner(s.Raft); ok && o.Zone == m.Zone {
			return false
		}
	}
	return true
}
