// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"fmt"
	"iter"
	"strings"

	"github.com/dyno-kv/dyno/kv"
)

// Entry is what a round knows of one participant, for error texts and for repair.
type Entry struct {
	Target
	Standing Standing
	// Stated are the replica's own words; zero while Standing is open or not asked.
	Stated  kv.Role
	Version kv.PlacementVersion
	Reason  string
}

// String gives node, what it was asked as, and what became of it.
func (e Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "node %d", e.Node)
	switch {
	case e.Role == kv.RoleFallback && e.Slot >= 0:
		fmt.Fprintf(&b, " (hint for slot %d)", e.Slot)
	case e.Role == kv.RoleFallback:
		b.WriteString(" (fallback)")
	}
	fmt.Fprintf(&b, ": %v", e.Standing)
	switch e.Standing {
	case StandingOlderPlacement:
		fmt.Fprintf(&b, " (%d)", e.Version)
	case StandingOtherRole:
		fmt.Fprintf(&b, " (%v)", e.Stated)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, ", %s", e.Reason)
	}
	return b.String()
}

// Entries yields every participant: members in slot order, then fallbacks in the
// order in which they were asked.
func (r *round) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range r.seats {
			s := &r.seats[i]
			role := kv.RoleOwner
			if s.fallback {
				role = kv.RoleFallback
			}
			entry := Entry{
				Target:   Target{Node: s.node, Slot: int(s.slot), Role: role},
				Standing: s.standing, Stated: s.role, Version: s.version, Reason: s.reason,
			}
			if !yield(entry) {
				return
			}
		}
	}
}

// Tally is the round in numbers.
type Tally struct {
	// Need and NeedConfirmed are the spec's.
	Need, NeedConfirmed int
	// Got and GotConfirmed are the slots that count so far.
	Got, GotConfirmed int
	// Asked are the participants that a request was sent to; Open are those of them
	// that may still answer.
	Asked, Open int
}

// Tally counts the write so far.
func (w *Write) Tally() Tally {
	got, confirmed := w.count(certain)
	return w.tally(got, confirmed)
}

// Tally counts the read so far.
func (r *Read) Tally() Tally {
	got, confirmed := r.count(certain)
	return r.tally(got, confirmed)
}

func (r *round) tally(got, confirmed int) Tally {
	t := Tally{Need: r.need, NeedConfirmed: r.needConfirmed, Got: got, GotConfirmed: confirmed}
	for i := range r.seats {
		switch s := r.seats[i].standing; {
		case s.open():
			t.Open++
			t.Asked++
		case s != StandingNotAsked && s != StandingNotSent:
			t.Asked++
		}
	}
	return t
}

// String is the human part of a QUORUM, UNAVAILABLE or TIMEOUT error: need, got, and
// one entry per replica that was asked.
func (w *Write) String() string { return w.text(w.Tally()) }

// String is the human part of a QUORUM, UNAVAILABLE or TIMEOUT error: need, got, and
// one entry per replica that was asked.
func (r *Read) String() string { return r.text(r.Tally()) }

func (r *round) text(t Tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, "need %d", t.Need)
	if t.NeedConfirmed > 0 {
		fmt.Fprintf(&b, " (%d of them confirmed owners)", t.NeedConfirmed)
	}
	fmt.Fprintf(&b, ", got %d", t.Got)
	if t.NeedConfirmed > 0 {
		fmt.Fprintf(&b, " (%d)", t.GotConfirmed)
	}
	for e := range r.Entries() {
		if e.Standing != StandingNotAsked {
			fmt.Fprintf(&b, "; %v", e)
		}
	}
	return b.String()
}
