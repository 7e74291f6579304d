// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/meta/state"
	"github.com/dyno-kv/dyno/wire"
)

// A group with one voter commits what that voter stores, and nobody stands in its way: where
// its directory is put back to an older state, its own state accepts it, and it issues again
// what it had issued. Only members that were told of the time between can tell, so they are
// asked (witness.go), and they look at whom they tail (trust.go). What they say ends the
// process: neither of the two histories may go on as if there were no other (docs/adr/0021).

// remedy is what a person has to know of it.
const remedy = "this member is the group's only voter, and its directory was put back to an " +
	"older state or copied: it would issue fences and ids that were issued before. Start it with " +
	"the newest directory; where that is lost, run `dyno meta recover` on this one, which raises " +
	"the generation, so that all it issues is new"

// claim is how far a member that tails this one says that it has come: the entry at an
// index, and its term. 0: it does not say.
type claim struct{ index, term uint64 }

// hearRefusal takes the word of another member that it does not accept this seat.
func (l *loop) hearRefusal(r *refusal) error {
	if l.node == nil || r.own != l.raft {
		return nil // of another life
	}
	switch {
	case !l.sole() && r.witness:
		return nil // who has no seat may not know of the newest changes of them
	case !l.sole():
		l.e.log.Warn("this member's seat is not accepted; it waits for a new raft id",
			zap.Stringer("by-raft-id", r.by), zap.Stringer("verdict", r.verdict),
			zap.String("why", r.why))
		l.leave(r.why)
		return nil
	case l.shows(r.lacks):
		l.e.log.Error("a member refuses the group's only voter, wrongly; start that member again",
			zap.Stringer("by-raft-id", r.by), zap.String("why", r.why))
		return nil
	}
	return l.rolledBack(r.why)
}

// shows reports whether an opening that is said to be missing is none that this store lacks:
// it is there, or it is of a time beyond the oldest that a full list still has.
func (l *loop) shows(lacks []kv.Open) bool {
	opens := l.store.opens
	if len(lacks) == 0 || len(opens) == 0 {
		return false
	}
	forgotten := len(opens) >= wire.MaxOpens && lacks[0].Seq < opens[0].Seq
	return forgotten || slices.Contains(opens, lacks[0])
}

// hearClaim compares what a member has applied with the log. All that a sole voter's
// members apply comes from its log, once it is stored.
func (l *loop) hearClaim(c *claim) error {
	if !l.leads() || !l.sole() || l.applied < l.led.First {
		return nil
	}
	term, err := l.store.Term(c.index)
	switch {
	case c.index > l.store.state.Last:
		return l.rolledBack(fmt.Sprintf("meta: a member has applied entry %d, the log ends at %d",
			c.index, l.store.state.Last))
	case err == nil && c.term != 0 && term != c.term:
		return l.rolledBack(fmt.Sprintf("meta: a member has applied an entry %d of term %d, that of "+
			"the log is of term %d", c.index, c.term, term))
	}
	return nil
}

// rolledBack ends this seat for good. That is durable before the process ends: the next one
// may find nobody who knows better.
func (l *loop) rolledBack(why string) error {
	if err := l.store.refuse(); err != nil {
		return err
	}
	l.e.log.Error(remedy, zap.Stringer("raft-id", l.raft), zap.String("why", why))
	l.leave(why)
	l.publish()
	return fmt.Errorf("%w: %s: %s", ErrRolledBack, remedy, why)
}

// refuse notes that the store takes no part under its raft id any more.
func (s *logStore) refuse() error {
	opens := wire.RaftOpens{Raft: s.state.Raft, List: s.opens, Refused: true}
	err := s.apply(opensRecord(&opens))
	if err == nil {
		s.refused = true
	}
	return err
}

// refusal is a member's word that it does not take this seat.
type refusal struct {
	by      state.RaftID // the seat that says so; 0: one that may have none
	witness bool         // it says so outside of raft
	own     state.RaftID
	verdict kv.Verdict
	why     string
	lacks   []kv.Open // the opening that this store does not show, as it says
}
