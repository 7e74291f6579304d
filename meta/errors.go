// SPDX-License-Identifier: Apache-2.0

package meta

import "errors"

var (
	// ErrNoLeader: no leader was found until the deadline, and nothing was proposed. The
	// call changed nothing and never will.
	ErrNoLeader = errors.New("meta: no leader of the group answers; nothing was proposed")
	// ErrUnknown: the command was proposed, perhaps, and its result did not come until the
	// deadline. Commands may be repeated.
	ErrUnknown = errors.New("meta: the command may have been proposed; its result is unknown")
	// ErrOverloaded: a bound of this member is reached. Nothing was proposed.
	ErrOverloaded = errors.New("meta: this member has too many calls open, try again later")
	// ErrSessionExpired: the group does not know the session, or not any more.
	ErrSessionExpired = errors.New("meta: the session has expired")
	// ErrRolledBack: this member is the group's only voter, and its directory was put back to an
	// older state or copied. The process must end; what it would issue may have been issued.
	ErrRolledBack = errors.New("meta: the only voter of the group was rolled back")
	// ErrHalted: this copy of the group's state can not go on; see the log for why.
	ErrHalted = errors.New("meta: this member's copy of the state has halted")
)
