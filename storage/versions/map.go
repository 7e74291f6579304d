// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"bytes"
	"slices"
	"strings"
)

// Map holds the versions of keys. Make it with New.
type Map struct {
	keys   map[string][]version // oldest version first, at least one
	sorted []string             // keys in order, without fresh
	fresh  []string             // keys since the last sort

	newest  uint64
	discard uint64
	garbage int // versions that nobody needs any more, about
	bytes   int64
}

type version struct {
	ts      uint64
	value   []byte
	deleted bool
}

// Durable reports whether a crash leaves what was put at ts.
type Durable func(ts uint64) bool

// Entry is a key and its value at some timestamp.
type Entry struct {
	Key   string
	Value []byte
}

// New returns an empty map.
func New() *Map { return &Map{keys: make(map[string][]version)} }

// Put sets or deletes a key at ts, which is not below any earlier one. Of several changes
// of one key at one timestamp the last counts.
func (m *Map) Put(ts uint64, key, value []byte, deleted bool, durable Durable) {
	name := string(key)
	versions, known := m.keys[name]
	if !known {
		m.fresh = append(m.fresh, name)
	}
	v := version{ts: ts, deleted: deleted}
	if !deleted {
		v.value = append(make([]byte, 0, len(value)), value...)
	}
	m.newest = max(m.newest, ts)
	m.bytes += v.size(name)
	if n := len(versions); n > 0 && versions[n-1].ts == ts {
		m.bytes -= versions[n-1].size(name)
		versions[n-1] = v
		return
	}
	if len(versions) > 0 || v.deleted {
		m.garbage++
	}
	m.keys[name] = append(m.trimmed(name, versions, durable), v)
}

func (v version) size(key string) int64 { return int64(len(key) + len(v.value)) }

// Get returns the value of a key as of ts; false where there is none. An empty value is
// not nil.
func (m *Map) Get(key []byte, ts uint64) ([]byte, bool) {
	v, found := at(m.keys[string(key)], ts)
	if !found {
		return nil, false
	}
	return append(make([]byte, 0, len(v.value)), v.value...), true
}

// at is the newest version at or below ts, unless it is a deletion.
func at(versions []version, ts uint64) (version, bool) {
	for i := len(versions) - 1; i >= 0; i-- {
		if versions[i].ts <= ts {
			return versions[i], !versions[i].deleted
		}
	}
	return version{}, false
}

// Some returns the next few entries as of ts, in order, of keys that begin with prefix
// and are not below from. There are no more where it returns none.
func (m *Map) Some(ts uint64, prefix, from string) []Entry {
	const few = 128
	m.sort()
	start, _ := slices.BinarySearch(m.sorted, from)
	var some []Entry
	for _, key := range m.sorted[start:] {
		if !strings.HasPrefix(key, prefix) || len(some) == few {
			break
		}
		if v, found := at(m.keys[key], ts); found {
			some = append(some, Entry{key, bytes.Clone(v.value)})
		}
	}
	return some
}

// Iterate shows the entries that some returns, until visit returns false: some is called
// with the lowest key that may come next, for one chunk after the other, and nothing is
// held while visit runs.
func Iterate(
	prefix, from []byte, some func(from string) ([]Entry, error),
	visit func(key, value []byte) bool,
) error {
	next := max(string(from), string(prefix))
	for {
		chunk, err := some(next)
		if err != nil || len(chunk) == 0 {
			return err
		}
		for _, e := range chunk {
			if !visit([]byte(e.Key), e.Value) {
				return nil
			}
		}
		next = chunk[len(chunk)-1].Key + "\x00"
	}
}

func (m *Map) sort() {
	if len(m.fresh) == 0 {
		return
	}
	m.sorted = append(m.sorted, m.fresh...)
	m.fresh = nil
	slices.Sort(m.sorted)
}

// Newest is the timestamp of the newest version.
func (m *Map) Newest() uint64 { return m.newest }

// Discarded is up to where Discard was called: nobody may read below it.
func (m *Map) Discarded() uint64 { return m.discard }

// Bytes is about how much keys and values there are.
func (m *Map) Bytes() int64 { return m.bytes }
