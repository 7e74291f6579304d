// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"slices"
)

// Open is one opening of a store: a number that only rises, and a random one that tells
// two copies of one directory apart. The zero Open is none.
type Open struct {
	Seq, Nonce uint64
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
func JudgeOpens(remembered Open, opens []Open) Verdict {
	switch {
	case remembered == (Open{}):
		return VerdictConfirmed
	case len(opens) == 0:
		return VerdictLost
	case slices.Contains(opens, remembered):
		return VerdictConfirmed
	default:
		return VerdictForked
	}
}
