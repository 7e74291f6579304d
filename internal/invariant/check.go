// SPDX-License-Identifier: Apache-2.0

package invariant

import "fmt"

// Broken is what a failed check panics with.
type Broken struct {
	// Rule is the sentence that was not true.
	Rule string
}

func (b *Broken) Error() string { return "invariant broken: " + b.Rule }

// Check panics where the condition is false and assertions are on. The rule is a
// sentence that is true while all is well: "a quorum never needs more than n".
func Check(condition bool, rule string) {
	if Enabled && !condition {
		panic(&Broken{Rule: rule})
	}
}

// Checkf is Check with a formatted rule. Its arguments are boxed even where the
// condition holds: call it under a guard of [Enabled].
func Checkf(condition bool, rule string, args ...any) {
	if Enabled && !condition {
		panic(&Broken{Rule: fmt.Sprintf(rule, args...)})
	}
}

// Unreachable panics where assertions are on: the caller's cases were exhaustive.
// A plain build goes on, so the caller still returns something safe.
func Unreachable(rule string) { Check(false, rule) }
