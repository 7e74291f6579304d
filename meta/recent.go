// SPDX-License-Identifier: Apache-2.0

package meta

// recentBytes and recentEntries bound what a member keeps of the entries that it applied
// last, for those that tail it: enough for some ten seconds of the busiest group that a
// benchmark has shown. Whoever is further behind takes a snapshot.
const (
	recentBytes   = 8 << 20
	recentEntries = 64 << 10
	// recentOverhead is what an entry costs beside its bytes.
	recentOverhead = 48
)

// committed is one committed entry. Data is never changed.
type committed struct {
	Term uint64
	Data []byte
}

func (c committed) size() int { return len(c.Data) + recentOverhead }

// recent holds the entries that were applied last, without a gap.
type recent struct {
	first   uint64 // index of entries[0]
	entries []committed
	bytes   int
	limit   int // of bytes
}

// reset forgets everything: the next entry is that of index next.
func (r *recent) reset(next uint64) {
	*r = recent{first: next, limit: r.limit}
}

// add takes the entry after the newest, and lets the oldest go where that is too much.
// The newest always stays.
func (r *recent) add(c committed) {
	r.entries = append(r.entries, c)
	r.bytes += c.size()
	drop := 0
	for r.bytes > r.limit && drop < len(r.entries)-1 || len(r.entries)-drop > recentEntries {
		r.bytes -= r.entries[drop].size()
		r.entries[drop] = committed{} // the array lives on for a while, its bytes need not
		drop++
	}
	r.entries = r.entries[drop:]
	r.first += uint64(drop)
}

// term returns the term of the entry at index, where that is one of the recent ones.
func (r *recent) term(index uint64) (term uint64, known bool) {
	if index < r.first || index-r.first >= uint64(len(r.entries)) {
		return 0, false
	}
	return r.entries[index-r.first].Term, true
}

// after returns entries that follow index, at most about so many bytes of them, and one at
// least where there is one. ok is false where the next one is gone. The result must not
// be changed.
func (r *recent) after(index uint64, bytes int) (entries []committed, ok bool) {
	next := index + 1
	if next < r.first {
		return nil, false
	}
	if next-r.first >= uint64(len(r.entries)) {
		return nil, true
	}
	from := int(next - r.first)
	to := from
	for sum := 0; to < len(r.entries); to++ {
		if sum += r.entries[to].size(); sum > bytes && to > from {
			break
		}
	}
	return r.entries[from:to:to], true
}
