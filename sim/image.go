// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/storage/versions"
)

// image is what one engine has on disk: versions of keys, and how far they are synced.
// The disk's mutex guards it.
type image struct {
	content *versions.Map // with what is not synced
	synced  uint64        // highest timestamp that a sync has covered
	hole    uint64        // timestamp whose sync failed: after a power loss replay ends before it

	// doubt is what an open found behind a failed sync: it is read, and a power loss before
	// until takes it all the same.
	doubt struct {
		from, to uint64
		until    time.Time
	}
}

func newImage() *image { return &image{content: versions.New()} }

// put writes one change. It is unsynced until sync covers ts.
func (m *image) put(ts uint64, w storage.Write) {
	m.content.Put(ts, w.Key, w.Value, w.Delete, m.durable)
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
		m.doubt.from, m.doubt.to = m.hole, m.content.Newest()
		m.doubt.until = time.Now().Add(rewrite)
	}
	m.synced, m.hole = m.content.Newest(), 0
}

// losePower drops what is not durable. A commit that was written and whose sync was not
// over is there whole or not at all, as rng decides (nil: not at all): the engine must
// not show a part of a commit, so a torn tail is dropped with its commit. It returns how
// many bytes are lost.
func (m *image) losePower(rng *rand.Rand) int64 {
	newest := m.content.Newest()
	if m.hole == 0 && rng != nil && newest > m.synced && rng.IntN(2) == 0 {
		m.synced = newest
	}
	before := m.content.Bytes()
	m.content.Crash(m.durable)
	m.settle()
	return before - m.content.Bytes()
}

// copied is the image as another process reads it now: with what is not synced.
func (m *image) copied() *image {
	twin := &image{content: m.content.Clone()}
	twin.settle()
	return twin
}

// settle says that all that is there is on the disk.
func (m *image) settle() { m.synced, m.hole, m.doubt.to = m.content.Newest(), 0, 0 }

// flip turns one bit of the newest value of a key that rng draws. It reports which key
// that is; false where there is no value to damage.
func (m *image) flip(rng *rand.Rand) (string, bool) {
	keys, sizes := m.content.Values()
	if len(keys) == 0 {
		return "", false
	}
	i := rng.IntN(len(keys))
	bit := rng.IntN(8 * sizes[i])
	return keys[i], m.content.Damage(keys[i], func(value []byte) []byte {
		damage(value, []int{bit})
		return value
	})
}

// checkCommit refuses what an engine must not take, after a commit at newest.
func checkCommit(newest, ts uint64, writes []storage.Write, limits storage.Limits) error {
	if ts <= newest {
		return fmt.Errorf("sim: commit at %d after one at %d", ts, newest)
	}
	return limits.Check(writes)
}
