// SPDX-License-Identifier: Apache-2.0

package quorum

import "fmt"

// Decision is what a round knows of its own end. It has three answers, because
// "not yet" is neither of the other two (TRAPS S4).
type Decision uint8

const (
	// Pending: the replies so far leave both ends possible.
	Pending Decision = 1 + iota
	// Reached: enough replies count. Nothing that comes later takes it back.
	Reached
	// Unreachable: whatever the open replicas answer, too few will count. For a
	// write this does not mean that nothing was stored: ask [Write.Outcome].
	Unreachable
)

func (d Decision) String() string {
	switch d {
	case Pending:
		return "pending"
	case Reached:
		return "reached"
	case Unreachable:
		return "unreachable"
	default:
		return fmt.Sprintf("decision(%d)", uint8(d))
	}
}

// Outcome is what a write that did not reach its quorum may have left behind.
type Outcome uint8

const (
	// OutcomeNone: no replica stored anything, for certain.
	OutcomeNone Outcome = 1 + iota
	// OutcomeUnknown: some replica stored the write, or may have, or may yet; it
	// can become visible at any later time.
	OutcomeUnknown
)

func (o Outcome) String() string {
	switch o {
	case OutcomeNone:
		return "none"
	case OutcomeUnknown:
		return "unknown"
	default:
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
}
