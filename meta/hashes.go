// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"crypto/sha256"
	"fmt"

	"github.com/dyno-kv/dyno/wire"
)

// hashes compares this member's state with that of the leader at certain indexes (TRAPS
// L6). It is owned by the loop.
type hashes struct {
	// own are the newest hashes of this member, the oldest first.
	own []wire.StateHash
	// theirs is the newest of the leader.
	theirs wire.StateHash
}

// keptHashes is how many hashes are kept: a seat that lags by more than so many comparisons
// is not compared at all of them.
const keptHashes = 8

// compareAt compares the states where it is time, after the entry at index.
func (l *loop) compareAt(index uint64) error {
	if index%l.e.cfg.HashEvery != 0 {
		return nil
	}
	at, _, data := l.e.env.machine.snapshot()
	if at != index {
		return nil // a tail has fed the machine further
	}
	own := wire.StateHash{Index: index, Hash: sha256.Sum256(data)}
	h := &l.hashes
	h.own = append(h.own, own)
	h.own = h.own[max(0, len(h.own)-keptHashes):]
	if l.leads() {
		l.e.links.showHash(own)
	}
	return h.check()
}

// told takes the hash of the leader.
func (h *hashes) told(theirs wire.StateHash) error {
	if theirs.Index <= h.theirs.Index {
		return nil
	}
	h.theirs = theirs
	return h.check()
}

// check fails where this member and the leader disagree.
func (h *hashes) check() error {
	for _, own := range h.own {
		if own.Index == h.theirs.Index && own.Hash != h.theirs.Hash {
			return fmt.Errorf("%w: at entry %d", ErrDiverged, own.Index)
		}
	}
	return nil
}

// hush ends the showing of hashes.
func (l *loop) hush() { l.e.links.showHash(wire.StateHash{}) }

// restored forgets hashes of what was before a snapshot.
func (h *hashes) restored() { h.own = nil }
