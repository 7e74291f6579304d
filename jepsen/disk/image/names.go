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
		at: place{dir, name},
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

// setSafe makes a name last. A node stands in one place, so a rename lasts as a whole: what
// stood there goes on to where it is now, and its own older name goes.
func (im *Image) setSafe(d *node, name string, n *node) {
	if d.safeNames[name] != n.id {
		im.leave(d, name)
	}
	if d.safeNames[name] == n.id { // two that changed places come here again
		return
	}
	from := im.nodes[n.safeAt.dir]
	if from != nil {
		delete(from.safeNames, n.safeAt.name)
	}
	d.safeNames[name], n.safeAt = n.id, place{d.id, name}
	if from != nil && from != d {
		im.settle(d) // or it could be found nowhere
	}
}

// leave makes it last that what has a name in d has it no more. It has another one, or none.
func (im *Image) leave(d *node, name string) {
	n := im.nodes[d.safeNames[name]]
	if n == nil {
		return
	}
	delete(d.safeNames, name)
	n.safeAt = place{}
	if up := im.nodes[n.at.dir]; up != nil {
		im.setSafe(up, n.at.name, n)
		if up != d {
			im.settle(up)
		}
		return
	}
	for name := range n.safeNames { // nothing is in it that is seen
		im.leave(n, name)
	}
	im.collect(n)
}

// settle makes the name of n last that it has, or that it has none, and those of the
// directories above it.
func (im *Image) settle(n *node) {
	for n.id != Root {
		up := im.nodes[n.at.dir]
		if up == nil {
			if d := im.nodes[n.safeAt.dir]; d != nil {
				im.leave(d, n.safeAt.name)
			}
			return
		}
		im.setSafe(up, n.at.name, n)
		n = up
	}
}
