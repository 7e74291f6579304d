// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dyno-kv/dyno/jepsen/history"
)

// ofAll reports whether a read asked all replicas of a quiet cluster.
func ofAll(h *history.History, op *history.Op) bool {
	return op.Final > 0 && int(max(op.R, op.PR)) >= h.Header.N
}

// diverge drops a value that stays from one of the final reads of a round.
func diverge(rng *rand.Rand, h *history.History) (*history.History, bool) {
	by := writers(h)
	stays := func(v history.Value) bool { return by[v] != nil && by[v].TTL == 0 }
	type round struct {
		key    string
		number uint8
	}
	reads := make(map[round]int)
	for i := range h.Ops {
		if op := &h.Ops[i]; op.Kind == history.Get && op.Outcome == history.OK && ofAll(h, op) {
			reads[round{op.Key, op.Final}]++
		}
	}
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Get && ofAll(h, op) && reads[round{op.Key, op.Final}] > 1 &&
			slices.ContainsFunc(op.Read, stays)
	})
	if i < 0 {
		return nil, false
	}
	gone := h.Ops[i].Read[slices.IndexFunc(h.Ops[i].Read, stays)]
	read := slices.DeleteFunc(slices.Clone(h.Ops[i].Read), func(v history.Value) bool {
		return v == gone // also its twin
	})
	return spoil(h, map[int][]history.Value{i: read})
}

// countTwice shows a total of more than may have been added.
func countTwice(rng *rand.Rand, h *history.History) (*history.History, bool) {
	return miscount(rng, h, true)
}

// forget shows a total of less than was.
func forget(rng *rand.Rand, h *history.History) (*history.History, bool) {
	return miscount(rng, h, false)
}

// miscount puts a final total just above its bounds, or below.
func miscount(rng *rand.Rand, h *history.History, above bool) (*history.History, bool) {
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Total && ofAll(h, op)
	})
	if i < 0 {
		return nil, false
	}
	least, most := int64(0), int64(0)
	for j := range h.Ops {
		op := &h.Ops[j]
		if op.Kind != history.Increment || op.Key != h.Ops[i].Key || op.Outcome == history.Fail {
			continue
		}
		sure := op.Outcome == history.OK && op.Completed < h.Ops[i].Invoked
		if op.Delta < 0 || sure {
			least += op.Delta
		}
		if op.Delta > 0 || sure {
			most += op.Delta
		}
	}
	bad := *h
	bad.Ops = slices.Clone(h.Ops)
	if bad.Ops[i].Total = least - 1; above {
		bad.Ops[i].Total = most + 1
	}
	return &bad, true
}

// outlived is how long after its end a value is shown, at least, beyond what the header's
// label "skew" says that clocks may differ.
const outlived = time.Millisecond

// outlive shows a value in a read that begins after its end.
func outlive(rng *rand.Rand, h *history.History) (*history.History, bool) {
	over := make(map[string][]*history.Op) // what ended for certain, of each key
	for i := range h.Ops {
		if op := &h.Ops[i]; op.TTL > 0 && op.Outcome == history.OK && !op.Doubled() {
			over[op.Key] = append(over[op.Key], op)
		}
	}
	late := outlived
	if skew, err := time.ParseDuration(h.Header.Labels["skew"]); err == nil {
		late += skew
	}
	ended := func(read *history.Op) func(*history.Op) bool {
		return func(put *history.Op) bool {
			return read.Invoked-int64(late) >= put.Completed+put.TTL
		}
	}
	i := pick(rng, h, func(_ int, op *history.Op) bool {
		return op.Kind == history.Get && slices.ContainsFunc(over[op.Key], ended(op))
	})
	if i < 0 {
		return nil, false
	}
	read, puts := &h.Ops[i], over[h.Ops[i].Key]
	old := puts[slices.IndexFunc(puts, ended(read))]
	return spoil(h, map[int][]history.Value{i: with(read.Read, old.Value)})
}
