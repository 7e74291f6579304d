// SPDX-License-Identifier: Apache-2.0

package image

// held is how many pages a file takes.
func (n *node) held() int64 {
	count := len(n.live.pages)
	for i := range n.safe.pages {
		if n.live.pages[i] == nil {
			count++
		}
	}
	return int64(count)
}

func (n *node) holds(i int64) bool { return n.live.pages[i] != nil || n.safe.pages[i] != nil }

// set puts a page into what is seen or what lasts of a file, or takes it out (nil).
func (im *Image) set(n *node, c *content, i int64, p *page) {
	before := n.holds(i)
	if p == nil {
		delete(c.pages, i)
	} else {
		c.pages[i] = p
	}
	switch after := n.holds(i); {
	case after && !before:
		im.used++
	case before && !after:
		im.used--
	}
}

// own returns a page that may be written to.
func (im *Image) own(n *node, c *content, i int64) *page {
	p := c.pages[i]
	switch {
	case p == nil:
		p = new(page)
	case p.shared:
		p = &page{data: p.data}
	default:
		return p
	}
	im.set(n, c, i, p)
	return p
}

// cut shortens what is seen or what lasts of a file, and zeroes what would come back if it
// became longer again.
func (im *Image) cut(n *node, c *content, size int64) {
	if size >= c.size {
		return
	}
	for i := range c.pages {
		if i*PageSize >= size {
			im.set(n, c, i, nil)
		}
	}
	if i := size / PageSize; c.pages[i] != nil {
		clear(im.own(n, c, i).data[size%PageSize:])
	}
	c.size = size
}

// Read reads from a file, and returns how much there was.
func (im *Image) Read(id ID, off int64, buf []byte) (int, error) {
	n, err := im.file(id)
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, ErrInvalid
	}
	im.counts.Reads++
	if due(&im.faults.FailReadAfter) {
		im.bad = spot{id, off / PageSize}
	}
	if b := im.bad; b.id == id && b.page >= off/PageSize && b.page*PageSize < off+int64(len(buf)) {
		im.counts.FailedReads++
		return 0, ErrIO
	}
	if off >= n.live.size {
		return 0, nil
	}
	buf = buf[:min(int64(len(buf)), n.live.size-off)]
	for done := 0; done < len(buf); {
		at := off + int64(done)
		part := buf[done:min(len(buf), done+int(PageSize-at%PageSize))]
		if p := n.live.pages[at/PageSize]; p != nil {
			copy(part, p.data[at%PageSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(buf), nil
}

// Write writes to a file, all or nothing.
func (im *Image) Write(id ID, off int64, data []byte) error {
	n, err := im.file(id)
	if err != nil {
		return err
	}
	if off < 0 || off > maxSize-int64(len(data)) {
		return ErrInvalid
	}
	im.counts.Writes++
	if due(&im.faults.FailWriteAfter) {
		im.counts.FailedWrites++
		return ErrIO
	}
	if len(data) == 0 {
		return nil
	}
	end := off + int64(len(data))
	need := int64(0)
	for i := off / PageSize; i*PageSize < end; i++ {
		if !n.holds(i) {
			need++
		}
	}
	if need > 0 && im.used+need > im.limit {
		im.counts.NoSpace++
		return ErrNoSpace
	}
	for at := off; at < end; {
		i := at / PageSize
		k := copy(im.own(n, &n.live, i).data[at%PageSize:], data[at-off:])
		n.dirty[i] = struct{}{}
		if k == PageSize && im.bad == (spot{id, i}) {
			im.bad = spot{}
		}
		at += int64(k)
	}
	n.live.size, n.changed = max(n.live.size, end), im.now
	return nil
}

// Resize makes a file shorter, or longer by a hole.
func (im *Image) Resize(id ID, size int64) error {
	n, err := im.file(id)
	if err != nil {
		return err
	}
	if size < 0 || size > maxSize {
		return ErrInvalid
	}
	if size < n.live.size {
		im.cut(n, &n.live, size)
		n.low = min(n.low, size)
		for i := range n.dirty {
			if i*PageSize >= size {
				delete(n.dirty, i)
			}
		}
		if i := size / PageSize; n.live.pages[i] != nil {
			n.dirty[i] = struct{}{}
		}
	}
	n.live.size, n.set, n.changed = size, size, im.now
	return nil
}

// Sync makes a file or a directory last.
func (im *Image) Sync(id ID) error {
	n := im.nodes[id]
	if n == nil {
		return ErrNoEntry
	}
	im.counts.Syncs++
	if due(&im.faults.FailSyncAfter) {
		im.counts.FailedSyncs++
		clear(n.dirty)
		return ErrIO
	}
	if im.faults.IgnoreSync {
		im.counts.IgnoredSyncs++
		return nil
	}
	if n.dir {
		im.syncNames(n)
	} else {
		im.syncPages(n)
	}
	if !im.cfg.Strict {
		im.settle(n)
	}
	return nil
}

func (im *Image) syncPages(n *node) {
	im.cut(n, &n.safe, n.low)
	for i := range n.dirty {
		p := n.live.pages[i]
		p.shared = true
		im.set(n, &n.safe, i, p)
	}
	clear(n.dirty)
	n.safe.size, n.low = n.live.size, n.live.size
}

func (im *Image) syncNames(d *node) {
	for name, id := range d.safeNames {
		if d.names[name] != id {
			im.leave(d, name)
		}
	}
	for name, id := range d.names {
		im.setSafe(d, name, im.nodes[id])
	}
}
