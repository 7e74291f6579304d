// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"fmt"

	"github.com/dyno-kv/dyno/kv"
)

// Behind says who of two replicas lacks something of a key.
type Behind uint8

const (
	// BehindNobody: both hold the same, or neither has what the other could use.
	BehindNobody Behind = 1 + iota
	// BehindMine: mine lacks something of theirs.
	BehindMine
	// BehindTheirs: theirs lacks something of mine.
	BehindTheirs
	// BehindBoth: each lacks something of the other.
	BehindBoth
	// BehindUnknown: only the objects tell.
	BehindUnknown
)

func (b Behind) String() string {
	switch b {
	case BehindNobody:
		return "nobody"
	case BehindMine:
		return "mine"
	case BehindTheirs:
		return "theirs"
	case BehindBoth:
		return "both"
	case BehindUnknown:
		return "unknown"
	default:
		return fmt.Sprintf("behind(%d)", uint8(b))
	}
}

// Decide says who lacks something of a key, by both objects, which may stand without
// their values: whoever would change by merging the other one is behind. The zero object
// is a key that is not there. Repair is always a merge, never an overwriting (TRAPS M3).
func Decide(mine, theirs kv.Object) Behind {
	mineIs, theirsIs := !mine.Dominates(theirs), !theirs.Dominates(mine)
	switch {
	case mineIs && theirsIs:
		return BehindBoth
	case mineIs:
		return BehindMine
	case theirsIs:
		return BehindTheirs
	default:
		return BehindNobody
	}
}

// Behind says who lacks something, as far as the lists tell. A replica that can not read
// its record is behind whoever can.
func (d Difference) Behind() Behind {
	switch mine, theirs := d.Mine.Listed().Held, d.Theirs.Listed().Held; {
	case mine == HeldObject && theirs == HeldObject:
		return BehindUnknown
	case theirs == HeldObject:
		return BehindMine
	case mine == HeldObject:
		return BehindTheirs
	default:
		return BehindNobody
	}
}
