// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/storage"
)

// image is what one engine has on disk: versions of keys, and how far they are synced.
// The disk's mutex guards it. Values are never changed in place, so that copies of an
// image can share them.
type image struct {
	keys   map[string][]version // oldest version first
	sorted []string             // keys in order, without fresh
	fresh  []string             // keys since the last sort

	newest  uint64 // highest timestamp that the operating system was given
	synced  uint64 // highest timestamp that a sync has covered
	hole    uint64 // timestamp whose sync failed: after a power loss replay ends before it
	discard uint64
	garbage int // versions that nobody needs any more, about
	bytes   int64

	// doubt is what an open found behind a failed sync: it is read, and a power loss before
	// until takes it all the same.
	doubt struct {
		from, to uint64
		until    time.Time
	}
}

type version struct {
	ts      uint64
	value   []byte
	deleted bool
}

func newImage() *image { return &image{keys: make(map[string][]version)} }

// put writes one change. It is unsynced until sync covers ts.
func (m *image) put(ts uint64, w storage.Write) {
	key := string(w.Key)
	versions, known := m.keys[key]
	if !known {
		m.fresh = append(m.fresh, key)
	}
	v := version{ts: ts, deleted: w.Delete}
	if !w.Delete {
		v.value = append(make([]byte, 0, len(w.Value)), w.Value...)
	}
	m.bytes += int64(len(key) + len(v.value))
	if n := len(versions); n > 0 && versions[n-1].ts == ts {
		m.bytes -= int64(len(key) + len(versions[n-1].value))
		versions[n-1] = v // of several writes of one key the last counts
		return
	}
	if len(versions) > 0 || v.deleted {
		m.garbage++
	}
	m.keys[key] = append(m.trimmed(key, versions), v)
	m.newest = max(m.newest, ts)
}

// durable reports whether a power loss leaves what was written at ts.
func (m *image) durable(ts uint64) bool {
	if m.doubt.from <= ts && ts <= m.doubt.to && time.Now().Before(m.doubt.until) {
		return false
	}
	return ts <= m.synced && (m.hole == 0 || ts < m.hole)
}

// sync covers everything up to ts; where it fails the pages are clean all the same, as
// Linux has it: later syncs succeed and do not write them (TESTING, result 6).
func (m *image) sync(ts uint64, err error) error {
	if err != nil {
		if m.hole == 0 {
			m.hole = ts
		}
		return err
	}
	m.synced = max(m.synced, ts)
	return nil
}

// replay is what opening does: it syncs what it finds. That writes nothing of what a
// failed sync has left behind, whose pages are clean; it is safe once it has been written
// anew, which takes an engine the time rewrite.
func (m *image) replay(rewrite time.Duration) {
	if m.hole != 0 {
		m.doubt.from, m.doubt.to = m.hole, m.newest
		m.doubt.until = time.Now().Add(rewrite)
	}
	m.synced, m.hole = m.newest, 0
}

// losePower drops what is not durable. A commit that was written and whose sync was not
// over is there whole or not at all, as rng decides (nil: not at all): the engine must
// not show a part of a commit, so a torn tail is dropped with its commit. It returns how
// many bytes are lost.
func (m *image) losePower(rng *rand.Rand) int64 {
	if m.hole == 0 && rng != nil && m.newest > m.synced && rng.IntN(2) == 0 {
		m.synced = m.newest
	}
	before := m.bytes
	m.newest, m.bytes, m.sorted, m.fresh = 0, 0, nil, nil
	for key, versions := range m.keys {
		versions = slices.DeleteFunc(versions, func(v version) bool { return !m.durable(v.ts) })
		if len(versions) == 0 {
			delete(m.keys, key)
			continue
		}
		m.keys[key] = versions
		m.fresh = append(m.fresh, key)
		for _, v := range versions {
			m.newest = max(m.newest, v.ts)
			m.bytes += int64(len(key) + len(v.value))
		}
	}
	m.discard = min(m.discard, m.newest)
	m.settle()
	return before - m.bytes
}

// copied is the image as another process reads it now: with what is not synced.
func (m *image) copied() *image {
	twin := &image{
		keys: make(map[string][]version, len(m.keys)), newest: m.newest, discard: m.discard,
		garbage: m.garbage, bytes: m.bytes,
	}
	for key, versions := range m.keys {
		twin.keys[key] = slices.Clone(versions)
		twin.fresh = append(twin.fresh, key)
	}
	twin.settle()
	return twin
}

// settle says that all that is there is on the disk.
func (m *image) settle() { m.synced, m.hole, m.doubt.to = m.newest, 0, 0 }

// flip turns one bit of the newest value of a key that rng draws. It reports which key
// that is; false where there is no value to damage.
func (m *image) flip(rng *rand.Rand) (string, bool) {
	m.sort()
	if len(m.sorted) == 0 {
		return "", false
	}
	start := rng.IntN(len(m.sorted))
	for i := range m.sorted {
		key := m.sorted[(start+i)%len(m.sorted)]
		versions := m.keys[key]
		last := &versions[len(versions)-1]
		if last.deleted || len(last.value) == 0 {
			continue
		}
		value := bytes.Clone(last.value)
		bit := rng.IntN(8 * len(value))
		value[bit/8] ^= 1 << (bit % 8)
		last.value = value
		return key, true
	}
	return "", false
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

type entry struct {
	key   string
	value []byte
}

// chunk is the next few entries of an iteration.
func (m *image) chunk(ts uint64, prefix, from string) []entry {
	const size = 128
	m.sort()
	start, _ := slices.BinarySearch(m.sorted, from)
	var chunk []entry
	for _, key := range m.sorted[start:] {
		if !strings.HasPrefix(key, prefix) || len(chunk) == size {
			break
		}
		if v, found := at(m.keys[key], ts); found {
			chunk = append(chunk, entry{key, bytes.Clone(v.value)})
		}
	}
	return chunk
}

func (m *image) sort() {
	if len(m.fresh) == 0 {
		return
	}
	m.sorted = append(m.sorted, m.fresh...)
	m.fresh = nil
	slices.Sort(m.sorted)
}

// discardBelow drops what no read from ts on can see, once it is worth it.
func (m *image) discardBelow(ts uint64) {
	m.discard = max(m.discard, ts)
	if m.garbage < 1024 || m.garbage < len(m.keys)/2 {
		return
	}
	m.garbage = 0
	m.sorted, m.fresh = m.sorted[:0], m.fresh[:0]
	for key, versions := range m.keys {
		versions = m.trimmed(key, versions)
		last := versions[len(versions)-1]
		// The newest commit stays known, whatever it was: MaxVersion is read from here.
		gone := last.deleted && last.ts <= m.discard && m.durable(last.ts) && last.ts < m.newest
		if len(versions) == 1 && gone {
			m.bytes -= int64(len(key) + len(last.value))
			delete(m.keys, key)
			continue
		}
		m.keys[key] = versions
		m.fresh = append(m.fresh, key)
	}
}

// trimmed drops the versions that no read from the discard timestamp on can see. A power
// loss must still find what is durable, so unsynced versions hide nothing.
func (m *image) trimmed(key string, versions []version) []version {
	keep := 0
	for i, v := range versions {
		if v.ts <= m.discard && m.durable(v.ts) {
			keep = i
		}
	}
	for _, v := range versions[:keep] {
		m.bytes -= int64(len(key) + len(v.value))
	}
	return slices.Delete(versions, 0, keep)
}

// checkCommit refuses what an engine must not take, after a commit at newest.
func checkCommit(newest, ts uint64, writes []storage.Write, limits storage.Limits) error {
	const overhead = 48 // that limits count for each write
	if ts <= newest {
		return fmt.Errorf("sim: commit at %d after one at %d", ts, newest)
	}
	size := 0
	for _, w := range writes {
		size += len(w.Key) + len(w.Value) + overhead
		if len(w.Value) > limits.Value {
			return fmt.Errorf("%w: %d bytes", storage.ErrTooBig, len(w.Value))
		}
	}
	if size > limits.Bytes || len(writes) > limits.Count {
		return fmt.Errorf("%w: %d writes of %d bytes", storage.ErrTooBig, len(writes), size)
	}
	return nil
}
