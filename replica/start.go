// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"slices"

	"github.com/dyno-kv/dyno/wire"
)

// Stop is how the store's previous life ended, as its directory and the machine tell.
type Stop uint8

const (
	// StopNone: there was no previous life; the directory was empty.
	StopNone Stop = 1 + iota
	// StopClean: a clean mark was found.
	StopClean
	// StopKilled: no mark, and the machine has not booted since: the operating system
	// still wrote what the process had handed over.
	StopKilled
	// StopPowerLoss: no mark, and the machine has booted since.
	StopPowerLoss
)

func (s Stop) String() string {
	switch s {
	case StopNone:
		return "none"
	case StopClean:
		return "clean"
	case StopKilled:
		return "killed"
	case StopPowerLoss:
		return "power-loss"
	default:
		return fmt.Sprintf("stop(%d)", uint8(s))
	}
}

// JudgeStop tells how the previous life ended. bootThen is the boot id that the store
// noted when it was opened last, empty where it never was.
func JudgeStop(bootThen, bootNow string, clean bool) Stop {
	switch {
	case bootThen == "":
		return StopNone
	case clean:
		return StopClean
	case bootThen == bootNow:
		return StopKilled
	default:
		return StopPowerLoss
	}
}

// Verdict is what the group says of a store that opens.
type Verdict uint8

const (
	// VerdictUnknown: the group could not be asked. The store serves for r and w, and
	// counts for nothing stricter.
	VerdictUnknown Verdict = 1 + iota
	// VerdictConfirmed: this open follows the one that the group remembers.
	VerdictConfirmed
	// VerdictLost: the directory is empty, but the group knows a store of this name.
	VerdictLost
	// VerdictForked: the store does not know the open that the group remembers: it was
	// rolled back, restored or copied.
	VerdictForked
)

func (v Verdict) String() string {
	switch v {
	case VerdictUnknown:
		return "unknown"
	case VerdictConfirmed:
		return "confirmed"
	case VerdictLost:
		return "lost"
	case VerdictForked:
		return "forked"
	default:
		return fmt.Sprintf("verdict(%d)", uint8(v))
	}
}

// JudgeOpens decides, on the group's behalf, about a store that shows all its opens
// since the last confirmed one, that one included, oldest first. remembered is the
// newest that the group knows; the zero Open where it knows none. The rule is
// ARCHITECTURE 6: accepted if and only if the remembered pair is in the list. An empty
// list is that of an empty directory.
func JudgeOpens(remembered wire.Open, opens []wire.Open) Verdict {
	switch {
	case remembered == (wire.Open{}):
		return VerdictConfirmed
	case len(opens) == 0:
		return VerdictLost
	case slices.Contains(opens, remembered):
		return VerdictConfirmed
	default:
		return VerdictForked
	}
}

// Standing of a store as a whole, which every reply carries in its role.
type storeState uint8

const (
	// stateUnconfirmed serves for r and w, not for pr, pw or fences.
	stateUnconfirmed storeState = 1 + iota
	// stateConfirmed counts for everything.
	stateConfirmed
	// stateRefused is not_ready: the group does not accept this store.
	stateRefused
)

// stateAfter is the row of ARCHITECTURE 6's table that a verdict leads to. An empty
// store of which the group has not been asked serves nothing: it might be the empty
// disk of a member that had stored data.
func stateAfter(v Verdict, fresh bool) storeState {
	switch {
	case v == VerdictConfirmed:
		return stateConfirmed
	case v == VerdictUnknown && !fresh:
		return stateUnconfirmed
	default:
		return stateRefused
	}
}

// keepsIncarnations reports whether minting may go on under the incarnations of the
// clean mark: only after a clean stop, and only if the group has confirmed that this
// is the store which stopped, not a copy of it.
func keepsIncarnations(stop Stop, confirmed bool) bool {
	return stop == StopClean && confirmed
}

// why explains a refusal to the operator.
func (v Verdict) why(fresh bool) string {
	switch v {
	case VerdictUnknown:
		if fresh {
			return "the store is new, and the group could not be asked about it yet"
		}
		return ""
	case VerdictLost:
		return "the directory is empty, but this member has stored data before: " +
			"if its disk is lost it must be replaced"
	case VerdictForked:
		return "the directory was restored from an older copy, or is a copy of one " +
			"that runs elsewhere: it may lack acknowledged writes"
	default:
		return ""
	}
}
