// SPDX-License-Identifier: Apache-2.0

package sandbox

// Status says where a program runs.
type Status struct {
	// Inside says that it has namespaces of its own.
	Inside bool
	// User says that it is root in a user namespace, and not outside.
	User bool
	// Lacks says what is missing, in words for people: why it is not inside, or what does not
	// work there. Empty: nothing.
	Lacks string
	// Ended says that this is the outer program, and that the inner one has ended, with
	// ExitCode. The caller ends with that, and does nothing else.
	Ended    bool
	ExitCode int
}
