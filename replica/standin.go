// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"errors"
	"fmt"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// A fallback that coordinates mints over the merge of all its hints of the key, with an
// actor of its own (TRAPS C14). A dot claims all earlier ones of its actor (ARCHITECTURE
// 5), so the mint must find all those of the key. It does, for all of them go into the hint
// for one slot, which the shard has before it; and the incarnation ends in the step that
// deletes a hint with one of them (minter.letGo). What the hints for other slots have is
// read before the mint's turn, and may be older than what stands there now: then the
// new version stands beside what it missed, and overwrites nothing that nobody read.

// StandInSlot is the slot of the hints into which a fallback mints, whatever the key. Any
// would do: a hint goes to its slot first, and from there to the others.
const StandInSlot = 0

// readOthers reads what the hints of the key have. Where one can not be read, all but the
// one that is minted into are done without: that one the shard looks at itself.
func (m *mint) readOthers() refusal {
	if m.req.Slot != StandInSlot {
		return refuse("a fallback mints into the hint for slot %d, not %d", StandInSlot, m.req.Slot)
	}
	var err error
	m.others, err = m.r.hintsOf(&m.req.Target, wire.ReadFull)
	if err != nil && !errors.Is(err, storage.ErrUnreadable) {
		code, detail := codeOf(err)
		return refusal{code, detail}
	}
	return refusal{}
}

// withOthers is what the mint is based on: all that this node's hints have of the key.
func (m *mint) withOthers(cur storage.Current) storage.Current {
	m.held = cur.Object
	if isMarker(&cur.Object) {
		// Of a time when this node was an owner: it covers what it does not hold.
		m.r.hints.unkept.Add(1)
		cur.Object, cur.Full = kv.Object{}, true
	}
	if merged := kv.Merge(cur.Object, m.others); !cur.Object.Dominates(merged) {
		cur.Object, cur.Encoded = merged.Collapse(), nil
		cur.Full = merged.HasValues()
	}
	return cur
}

// again answers a retry whose dot is known. A fallback may have it in the hint for another
// slot alone; it counts for the slot that it mints into, so it must stand there as well.
func (m *mint) again(object kv.Object, d vclock.Dot) storage.Next {
	if m.req.Role == kv.RoleOwner || m.held.Context.Contains(d) {
		return storage.Keep()
	}
	return storage.Put(object, nil, nil)
}

// fits reports whether there is room for what a fallback mints; refused, nothing of it is
// stored anywhere.
func (m *mint) fits(object *kv.Object) bool {
	if m.req.Role != kv.RoleFallback ||
		m.r.hints.room(weightOf(m.req.Key, &m.held), weightOf(m.req.Key, object)) {
		return true
	}
	m.r.hints.refused.Add(1)
	m.reply.Code = wire.ReplicaOverloaded
	m.reply.Detail = fmt.Sprintf("this node keeps %d bytes of hints for others, as many as it may",
		m.r.hints.limit)
	return false
}
