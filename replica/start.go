// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
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
func stateAfter(v kv.Verdict, fresh bool) storeState {
	switch {
	case v == kv.VerdictConfirmed:
		return stateConfirmed
	case v == kv.VerdictUnknown && !fresh:
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

// whyRefused explains a refusal to the operator.
func whyRefused(v kv.Verdict, fresh bool) string {
	switch v {
	case kv.VerdictUnknown:
		if fresh {
			return "the store is new, and the group could not be asked about it yet"
		}
		return ""
	case kv.VerdictLost:
		return "the directory is empty, but this member has stored data before: start it with " +
			"its own directory, or with --rejoin if that is lost"
	case kv.VerdictForked:
		return "the directory was restored from an older copy, or another one has taken its " +
			"place: it may lack acknowledged writes. Start the node with its newest directory, or " +
			"with --rejoin if that is lost"
	default:
		return ""
	}
}
