// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/dyno-kv/dyno/storage"
)

// index is what is known of a disk's content without reading it, and where bits of it are
// turned. What a process wrote in the moment in which it was killed may be missing.
type index [parts]partIndex

type partIndex struct {
	sizes map[string]int // length of the newest value of each key that has one
	bytes int64          // of these keys and values
	flips map[string][]int
}

func (x *index) reset() {
	for p := range x {
		x[p] = partIndex{sizes: make(map[string]int), flips: make(map[string][]int)}
	}
}

func (x *index) copied() (twin index) {
	for p := range x {
		twin[p] = partIndex{
			sizes: maps.Clone(x[p].sizes), bytes: x[p].bytes, flips: maps.Clone(x[p].flips),
		}
	}
	return twin
}

// put is told of a commit. What is overwritten is not damaged any more.
func (x *partIndex) put(writes []storage.Write) {
	for _, w := range writes {
		key := string(w.Key)
		if size, known := x.sizes[key]; known {
			x.bytes -= int64(len(key) + size)
			delete(x.sizes, key)
		}
		delete(x.flips, key)
		if !w.Delete {
			x.sizes[key] = len(w.Value)
			x.bytes += int64(len(key) + len(w.Value))
		}
	}
}

// flip turns a bit of the newest value of a key that rng draws, in all that reads it.
func (x *partIndex) flip(rng *rand.Rand) (string, bool) {
	keys := slices.Sorted(maps.Keys(x.sizes))
	if len(keys) == 0 {
		return "", false
	}
	start := rng.IntN(len(keys))
	for i := range keys {
		key := keys[(start+i)%len(keys)]
		if size := x.sizes[key]; size > 0 {
			x.flips[key] = append(slices.Clip(x.flips[key]), rng.IntN(8*size))
			return key, true
		}
	}
	return "", false
}

// damage turns those bits of a value that was read.
func damage(value []byte, bits []int) {
	for _, bit := range bits {
		if at := bit / 8; at < len(value) {
			value[at] ^= 1 << (bit % 8)
		}
	}
}
