// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

const (
	// requestWindow is how long a request id is remembered, in milliseconds: far longer
	// than any client retries.
	requestWindow = 10 * 60 * 1000
	// requestsTotal bounds the ids that a node remembers, over all its partitions: about
	// 8 MiB. Where writes come so fast that a partition's share does not last the whole
	// window, the oldest are forgotten; a retry as late as that may leave a twin, which
	// collapses where both are present.
	requestsTotal = 1 << 16
	// requestsFloor is the least share of a partition.
	requestsFloor = 64
)

// minted is what the table remembers of a request: which dot, and of which key.
type minted struct {
	dot     vclock.Dot
	keyHash uint64
	at      int64 // Unix milliseconds
	place   int   // in the table's ring
}

// requestTable maps the request ids of one partition to the dots minted for them.
// It is owned by the partition's shard. The zero value is empty; limit is set at
// construction.
type requestTable struct {
	limit  int
	byID   map[kv.RequestID]minted
	oldest []kv.RequestID // a ring in order of insertion: next is overwritten
	next   int
}

func newRequestTable(partitions int) requestTable {
	return requestTable{limit: max(requestsFloor, requestsTotal/max(1, partitions))}
}

// find returns what was minted for id within the window.
func (t *requestTable) find(id kv.RequestID, now int64) (minted, bool) {
	m, found := t.byID[id]
	if !found || now-m.at > requestWindow {
		return minted{}, false
	}
	return m, true
}

// add remembers what was minted for id; at the bound it forgets the oldest.
func (t *requestTable) add(id kv.RequestID, m minted) {
	if id.IsZero() {
		return
	}
	if t.byID == nil {
		t.byID = make(map[kv.RequestID]minted)
	}
	if len(t.oldest) < t.limit {
		m.place = len(t.oldest)
		t.oldest = append(t.oldest, id)
	} else {
		m.place = t.next
		// An id that was minted again after its window has a younger place, and stays.
		if old := t.oldest[t.next]; t.byID[old].place == t.next {
			delete(t.byID, old)
		}
		t.oldest[t.next] = id
		t.next = (t.next + 1) % t.limit
	}
	t.byID[id] = m
}
