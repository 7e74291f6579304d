// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"bytes"
	"slices"
)

// Discard drops, once it is worth it, what no read from ts on can see.
func (m *Map) Discard(ts uint64, durable Durable) {
	m.discard = max(m.discard, ts)
	if m.garbage < 1024 || m.garbage < len(m.keys)/2 {
		return
	}
	m.garbage = 0
	m.sorted, m.fresh = m.sorted[:0], m.fresh[:0]
	for key, versions := range m.keys {
		versions = m.trimmed(key, versions, durable)
		last := versions[len(versions)-1]
		// The newest version stays, whatever it is: Newest is told from it after a crash.
		gone := last.deleted && last.ts <= m.discard && durable(last.ts) && last.ts < m.newest
		if len(versions) == 1 && gone {
			m.bytes -= last.size(key)
			delete(m.keys, key)
			continue
		}
		m.keys[key] = versions
		m.fresh = append(m.fresh, key)
	}
}

// trimmed drops the versions that no read from the discard timestamp on can see. Versions
// that are not durable hide nothing.
func (m *Map) trimmed(key string, versions []version, durable Durable) []version {
	keep := 0
	for i, v := range versions {
		if v.ts <= m.discard && durable(v.ts) {
			keep = i
		}
	}
	for _, v := range versions[:keep] {
		m.bytes -= v.size(key)
	}
	return slices.Delete(versions, 0, keep)
}

// Crash drops what is not durable.
func (m *Map) Crash(durable Durable) {
	m.newest, m.bytes, m.sorted, m.fresh = 0, 0, nil, nil
	for key, versions := range m.keys {
		versions = slices.DeleteFunc(versions, func(v version) bool { return !durable(v.ts) })
		if len(versions) == 0 {
			delete(m.keys, key)
			continue
		}
		m.keys[key] = versions
		m.fresh = append(m.fresh, key)
		for _, v := range versions {
			m.newest = max(m.newest, v.ts)
			m.bytes += v.size(key)
		}
	}
	m.discard = min(m.discard, m.newest)
}

// Clone returns an independent copy.
func (m *Map) Clone() *Map {
	twin := &Map{
		keys: make(map[string][]version, len(m.keys)), newest: m.newest, discard: m.discard,
		garbage: m.garbage, bytes: m.bytes,
	}
	for key, versions := range m.keys {
		twin.keys[key] = slices.Clone(versions)
		twin.fresh = append(twin.fresh, key)
	}
	return twin
}

// Damage replaces the newest value of a key by what change makes of a copy of it. It
// reports whether there is one.
func (m *Map) Damage(key string, change func([]byte) []byte) bool {
	versions := m.keys[key]
	if len(versions) == 0 || versions[len(versions)-1].deleted {
		return false
	}
	last := &versions[len(versions)-1]
	m.bytes -= last.size(key)
	last.value = change(bytes.Clone(last.value))
	m.bytes += last.size(key)
	return true
}

// Forget removes a key with all its versions, as a lost block would.
func (m *Map) Forget(key string) {
	for _, v := range m.keys[key] {
		m.bytes -= v.size(key)
	}
	delete(m.keys, key)
	m.fresh = slices.DeleteFunc(m.fresh, func(k string) bool { return k == key })
	m.sorted = slices.DeleteFunc(m.sorted, func(k string) bool { return k == key })
}

// Values lists the keys whose newest version has a value that is not empty, in order, and
// how long these values are.
func (m *Map) Values() (keys []string, sizes []int) {
	m.sort()
	for _, key := range m.sorted {
		versions := m.keys[key]
		if size := len(versions[len(versions)-1].value); size > 0 {
			keys, sizes = append(keys, key), append(sizes, size)
		}
	}
	return keys, sizes
}
