// SPDX-License-Identifier: Apache-2.0

package image

// Make makes a file or a directory, whose name must be free.
func (im *Image) Make(dir ID, name string, isDir bool, mode uint32) (Info, error) {
	d, err := im.directory(dir)
	switch {
	case err != nil:
		return Info{}, err
	case d.names[name] != 0:
		return Info{}, ErrExists
	case name == "" || len(name) > maxName || im.gone(d):
		return Info{}, ErrInvalid
	case len(im.nodes) >= maxNodes:
		im.counts.NoSpace++
		return Info{}, ErrNoSpace
	}
	n := &node{
		id: im.next, dir: isDir, mode: mode, changed: im.now, refs: 1,
		at: place{dir, name}, safeAt: make(map[place]struct{}),
	}
	if isDir {
		n.names, n.safeNames = make(map[string]ID), make(map[string]ID)
	} else {
		n.dirty = make(map[int64]struct{})
		n.live.pages, n.safe.pages = make(map[int64]*page), make(map[int64]*page)
	}
	im.next++
	im.nodes[n.id] = n
	d.names[name], d.changed = n.id, im.now
	return n.info(), nil
}

// gone reports whether a directory was removed and is only held open.
func (im *Image) gone(d *node) bool { return d.id != Root && d.at.dir == 0 }

// Remove takes a name away, of a file or of an empty directory.
func (im *Image) Remove(dir ID, name string, isDir bool) error {
	d, err := im.directory(dir)
	if err != nil {
		return err
	}
	n := im.nodes[d.names[name]]
	switch {
	case n == nil:
		return ErrNoEntry
	case isDir && !n.dir:
		return ErrNotDir
	case !isDir && n.dir:
		return ErrIsDir
	case len(n.names) > 0:
		return ErrNotEmpty
	}
	im.unname(n)
	return nil
}

// unname takes away the name that is seen.
func (im *Image) unname(n *node) {
	d := im.nodes[n.at.dir]
	delete(d.names, n.at.name)
	d.changed, n.at = im.now, place{}
	im.collect(n)
}

// Rename gives a file or directory another name. What has that name loses it, unless it has
// to be free.
func (im *Image) Rename(from ID, name string, to ID, newName string, free bool) error {
	d, err := im.directory(from)
	if err != nil {
		return err
	}
	e, err := im.directory(to)
	if err != nil {
		return err
	}
	n, old := im.nodes[d.names[name]], im.nodes[e.names[newName]]
	switch {
	case n == nil:
		return ErrNoEntry
	case newName == "" || len(newName) > maxName || im.gone(e) || im.within(e, n):
		return ErrInvalid
	case old == nil:
	case free:
		return ErrExists
	case old == n:
		return nil
	case n.dir && !old.dir:
		return ErrNotDir
	case !n.dir && old.dir:
		return ErrIsDir
	case len(old.names) > 0:
		return ErrNotEmpty
	}
	if old != nil {
		im.unname(old)
	}
	delete(d.names, name)
	e.names[newName], n.at = n.id, place{to, newName}
	d.changed, e.changed = im.now, im.now
	return nil
}

// within reports whether a directory is n or stands below it.
func (im *Image) within(d, n *node) bool {
	for ; d != nil && d.id != Root; d = im.nodes[d.at.dir] {
		if d == n {
			return true
		}
	}
	return d == n
}

// setSafe makes a name last.
func (im *Image) setSafe(d *node, name string, n *node) {
	if d.safeNames[name] == n.id {
		return
	}
	im.dropSafe(d, name)
	d.safeNames[name] = n.id
	n.safeAt[place{d.id, name}] = struct{}{}
}

// dropSafe makes it last that there is no such name.
func (im *Image) dropSafe(d *node, name string) {
	n := im.nodes[d.safeNames[name]]
	delete(d.safeNames, name)
	if n != nil {
		delete(n.safeAt, place{d.id, name})
		im.collect(n)
	}
}

// settle makes the names of n last that it has, and of the directories above it, and those
// not that it has no more.
func (im *Image) settle(n *node) {
	for n.id != Root {
		at := n.at
		up := im.nodes[at.dir]
		if up != nil {
			im.setSafe(up, at.name, n)
		}
		for old := range n.safeAt {
			if old == at {
				continue
			}
			delete(n.safeAt, old)
			delete(im.nodes[old.dir].safeNames, old.name)
		}
		if up == nil {
			im.collect(n)
			return
		}
		n = up
	}
}
