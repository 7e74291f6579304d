// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
)

// Outcome is how an exchange ended.
type Outcome uint8

const (
	// InSync: nothing differed but what was being written just then.
	InSync Outcome = 1 + iota
	// Repaired: all that differed has been brought together, durably.
	Repaired
	// Unfinished: something differs yet: there was too much of it, a key was being written,
	// or could not be read, or hints are on their way to one of both.
	Unfinished
	// NotComparable: one of both sides has nothing to compare, or must not (M4, M7).
	NotComparable
	// Failed: one of both sides did not answer, or not as it should.
	Failed
	// Stopped: the operator paused the repairs, or the node ends.
	Stopped
)

func (o Outcome) String() string {
	switch o {
	case InSync:
		return "in-sync"
	case Repaired:
		return "repaired"
	case Unfinished:
		return "unfinished"
	case NotComparable:
		return "not-comparable"
	case Failed:
		return "failed"
	case Stopped:
		return "stopped"
	default:
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
}

// settled says that both sides hold all that either held when the exchange began.
func (o Outcome) settled() bool { return o == InSync || o == Repaired }

var (
	// errStopped ends an exchange since the repairs have been paused.
	errStopped = errors.New("exchange: paused")
	// errComing ends an exchange that hand-off makes needless: the same keys would be moved
	// twice, and clients wait for both.
	errComing = errors.New("exchange: hints are on their way")
	// errNotComparable is in the chain of why two sides are not compared.
	errNotComparable = errors.New("not comparable")
)

func notComparable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotComparable, fmt.Sprintf(format, args...))
}

// outcomeOf is how an exchange ends with an error.
func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, errStopped):
		return Stopped
	case errors.Is(err, errComing):
		return Unfinished
	case errors.Is(err, errNotComparable):
		return NotComparable
	default:
		return Failed
	}
}
