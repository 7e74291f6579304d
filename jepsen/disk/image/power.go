// SPDX-License-Identifier: Apache-2.0

package image

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Lost is what a loss of power took.
type Lost struct {
	Bytes int64 // of files, that were written and did not last, in whole sectors
	Kept  int64 // the same, of sectors that were not synced and lasted nevertheless
	Files int   // whose content or length went back, or which are gone
	Names int   // that are gone, or are back
}

// PowerLoss leaves what lasts. With coins, a random half of the sectors that were not synced
// lasts too, and every second time all names and the lengths that were set.
func (im *Image) PowerLoss(coins *rand.Rand) Lost {
	var lost Lost
	if coins != nil && coins.IntN(2) == 0 {
		im.commit()
	}
	for _, id := range slices.Sorted(maps.Keys(im.nodes)) {
		n := im.nodes[id]
		if n.dir {
			continue
		}
		if coins != nil && n.safeAt.dir != 0 {
			lost.Kept += im.tear(n, coins)
		}
		bytes, differs := n.unsafeBytes()
		lost.Bytes += bytes
		if differs {
			lost.Files++
		}
	}
	for _, n := range im.nodes {
		for name, id := range n.names {
			if n.safeNames[name] != id {
				lost.Names++
			}
		}
		for name := range n.safeNames {
			if n.names[name] == 0 {
				lost.Names++
			}
		}
	}
	im.boot()
	im.counts.PowerLosses++
	im.counts.LostBytes += lost.Bytes
	im.counts.KeptBytes += lost.Kept
	im.counts.LostFiles += lost.Files
	im.counts.LostNames += lost.Names
	return lost
}

// commit makes last what a journal does: names, and lengths that were set rather than written
// to. It does so every few seconds, whatever anybody syncs.
func (im *Image) commit() {
	for _, id := range slices.Sorted(maps.Keys(im.nodes)) {
		n := im.nodes[id]
		switch {
		case n == nil: // it had a name that does not last any more, and nothing else
		case n.dir:
			im.syncNames(n)
		default:
			im.cut(n, &n.safe, n.low)
			n.safe.size = max(n.safe.size, min(n.set, n.live.size))
			n.low = n.live.size
		}
	}
}

// sectors goes through the sectors of page i that differ between what is seen and what lasts.
func (n *node) sectors(i int64, visit func(from, to int64)) {
	var none page
	live, safe := n.live.pages[i], n.safe.pages[i]
	if live == safe {
		return
	}
	if live == nil {
		live = &none
	}
	if safe == nil {
		safe = &none
	}
	for from := int64(0); from < PageSize; from += SectorSize {
		to := from + SectorSize
		if [SectorSize]byte(live.data[from:to]) != [SectorSize]byte(safe.data[from:to]) {
			visit(from, to)
		}
	}
}

// tear lets a random half of the sectors last that wait for a sync, and returns their bytes.
func (im *Image) tear(n *node, coins *rand.Rand) (kept int64) {
	for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
		n.sectors(i, func(from, to int64) {
			if coins.IntN(2) == 0 {
				return
			}
			copy(im.own(n, &n.safe, i).data[from:to], n.live.pages[i].data[from:to])
			n.safe.size = max(n.safe.size, min(i*PageSize+to, n.live.size))
			kept += SectorSize
		})
	}
	return kept
}

// unsafeBytes is what a file would lose now.
func (n *node) unsafeBytes() (bytes int64, differs bool) {
	switch {
	case n.at.dir == 0: // removed: nobody misses it
		return 0, n.safeAt.dir != 0
	case n.safeAt.dir == 0:
		return int64(len(n.live.pages)) * PageSize, true
	}
	count := func(i int64) {
		n.sectors(i, func(from, to int64) { bytes += to - from })
	}
	for i := range n.live.pages {
		count(i)
	}
	for i := range n.safe.pages {
		if n.live.pages[i] == nil {
			count(i)
		}
	}
	return bytes, bytes > 0 || n.live.size != n.safe.size
}

// boot begins anew with what lasts.
func (im *Image) boot() {
	old := im.nodes
	im.nodes, im.used = make(map[ID]*node), 0
	root := old[Root]
	im.nodes[Root] = root
	for queue := []*node{root}; len(queue) > 0; queue = queue[1:] {
		d := queue[0]
		safe := d.safeNames
		d.names, d.safeNames, d.refs = make(map[string]ID), make(map[string]ID), 0
		for _, name := range slices.Sorted(maps.Keys(safe)) {
			n := old[safe[name]]
			im.nodes[n.id] = n
			n.at, n.refs = place{d.id, name}, 0
			n.safeAt = n.at
			d.names[name], d.safeNames[name] = n.id, n.id
			if n.dir {
				queue = append(queue, n)
				continue
			}
			n.live = n.safe.clone()
			n.low = n.safe.size
			clear(n.dirty)
			im.used += n.held()
		}
	}
}
