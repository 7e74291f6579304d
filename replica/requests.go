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

// requestKey is a request of one key. A client that uses an id again for another key has
// made another request.
type requestKey struct {
	id      kv.RequestID
	keyHash uint64
}

// minted is what the table remembers of a request.
type minted struct {
	dot   vclock.Dot
	at    int64 // Unix milliseconds
	place int   // in the table's ring
}

// requestTable maps the requests of one partition to the dots minted for them.
// It is owned by the partition's shard. The zero value is empty; limit is set at
// construction.
type requestTable struct {
	limit  int
	byKey  map[requestKey]minted
	oldest []requestKey // a ring in order of insertion: next is overwritten
	next   int
}

func newRequestTable(partitions int) requestTable {
	return requestTable{limit: max(requestsFloor, requestsTotal/max(1, partitions))}
}

// find returns the dot that was minted for a request within the window.
func (t *requestTable) find(key requestKey, now int64) (vclock.Dot, bool) {
	m, found := t.byKey[key]
	if !found || now-m.at > requestWindow {
		return vclock.Dot{}, false
	}
	return m.dot, true
}

// add remembers what was minted for a request; at the bound it forgets the oldest.
func (t *requestTable) add(key requestKey, dot vclock.Dot, at int64) {
	if key.id.IsZero() {
		return
	}
	if t.byKey == nil {
		t.byKey = make(map[requestKey]minted)
	}
	m := minted{dot: dot, at: at}
	if len(t.oldest) < t.limit {
		m.place = len(t.oldest)
		t.oldest = append(t.oldest, key)
	} else {
		m.place = t.next
		// A request that was minted again after its window has a younger place, and stays.
		if old := t.oldest[t.next]; t.byKey[old].place == t.next {
			delete(t.byKey, old)
		}
		t.oldest[t.next] = key
		t.next = (t.next + 1) % t.limit
	}
	t.byKey[key] = m
}
