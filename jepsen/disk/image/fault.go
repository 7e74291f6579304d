// SPDX-License-Identifier: Apache-2.0

package image

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Faults is what a disk does wrong. The zero value is a healthy disk.
type Faults struct {
	// FailSyncAfter fails the n-th sync from now, once, and marks the pages clean;
	// FailWriteAfter fails the n-th write, once. 0: none.
	// The first page of the read that is the n-th from now, by FailReadAfter, can not be
	// read until it is written anew, or the faults are set again: the kernel reads a second
	// time where it had read ahead.
	FailSyncAfter, FailWriteAfter, FailReadAfter int
	// IgnoreSync says of every sync that it was done, and does nothing.
	IgnoreSync bool
	// Free is how many bytes more can be stored; 0: as many as the capacity lets in;
	// below 0: none.
	Free int64
}

// Counts is what a disk did and what went wrong, since it was made.
type Counts struct {
	Reads, Writes, Syncs                   int64
	FailedReads, FailedWrites, FailedSyncs int64
	NoSpace, IgnoredSyncs                  int64
	Flips                                  int64
	PowerLosses                            int64
	LostBytes, KeptBytes                   int64
	LostFiles, LostNames                   int
}

// Set says what goes wrong from now on, in place of what was said before.
func (im *Image) Set(f Faults) {
	im.faults, im.bad, im.limit = f, spot{}, im.cfg.Capacity/PageSize
	if f.Free != 0 {
		im.limit = min(im.limit, im.used+max(f.Free, 0)/PageSize)
	}
}

// Counts tells what was done and what went wrong.
func (im *Image) Counts() Counts { return im.counts }

// due counts a fault down.
func due(n *int) bool {
	if *n <= 0 {
		return false
	}
	*n--
	return *n == 0
}

// Flip turns n bits, each drawn from all bits of pages that hold something, in files whose
// path matches; in what is seen and in what lasts. It returns how many it turned: none,
// where nothing matches.
func (im *Image) Flip(rng *rand.Rand, n int, match func(path string) bool) int {
	var spots []spot
	im.walk(Root, "", func(path string, n *node) {
		if n.dir || !match(path) {
			return
		}
		for _, i := range slices.Sorted(maps.Keys(n.live.pages)) {
			spots = append(spots, spot{n.id, i})
		}
	})
	if len(spots) == 0 {
		return 0
	}
	for range n {
		s := spots[rng.IntN(len(spots))]
		n := im.nodes[s.id]
		bytes := min(n.live.size-s.page*PageSize, PageSize)
		at, bit := rng.IntN(int(bytes)), byte(1)<<rng.IntN(8)
		im.own(n, &n.live, s.page).data[at] ^= bit
		if n.safe.pages[s.page] != nil && s.page*PageSize+int64(at) < n.safe.size {
			im.own(n, &n.safe, s.page).data[at] ^= bit
		}
	}
	im.counts.Flips += int64(n)
	return n
}

// Files are all files, also those without a name.
func (im *Image) Files() (out []ID) {
	for id, n := range im.nodes {
		if !n.dir {
			out = append(out, id)
		}
	}
	return out
}

// walk visits everything below a directory that is seen, in the order of its names. The
// path of a file at the top is its name.
func (im *Image) walk(dir ID, path string, visit func(path string, n *node)) {
	d := im.nodes[dir]
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		n := im.nodes[d.names[name]]
		at := path + name
		visit(at, n)
		if n.dir {
			im.walk(n.id, at+"/", visit)
		}
	}
}

// Backup is what was seen of a disk at one time. It does not change.
type Backup struct {
	entries []backed
	pages   int64
}

// backed is a file or a directory; up is where in the list its directory stands, -1 at the top.
type backed struct {
	name    string
	up      int
	dir     bool
	mode    uint32
	content content
}

// Backup returns what is seen now. Pages are shared, so it costs little.
func (im *Image) Backup() *Backup {
	b := &Backup{}
	index := map[ID]int{Root: -1}
	im.walk(Root, "", func(_ string, n *node) {
		index[n.id] = len(b.entries)
		b.entries = append(b.entries, backed{
			name: n.at.name, up: index[n.at.dir], dir: n.dir, mode: n.mode,
			content: n.live.clone(),
		})
		b.pages += int64(len(n.live.pages))
	})
	return b
}

// Restore makes the disk what the backup was, in place of all that it holds, and lets it
// last. The backup may be of another disk.
func (im *Image) Restore(b *Backup) error {
	if b.pages > im.cfg.Capacity/PageSize {
		return ErrNoSpace
	}
	im.Wipe()
	ids := make([]ID, len(b.entries))
	for i, e := range b.entries {
		up := Root
		if e.up >= 0 {
			up = ids[e.up]
		}
		info, err := im.Make(up, e.name, e.dir, e.mode)
		if err != nil {
			return err
		}
		ids[i] = info.ID
		n := im.nodes[info.ID]
		n.refs = 0
		im.setSafe(im.nodes[up], e.name, n)
		if !e.dir {
			n.live, n.safe, n.low = e.content.clone(), e.content.clone(), e.content.size
			im.used += n.held()
		}
	}
	return nil
}
