// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"maps"
	"slices"
)

const (
	// PageSize is what is written back at once, SectorSize what a disk writes at once.
	PageSize   = 4096
	SectorSize = 512
	// DefaultCapacity is that of a disk whose Config does not say.
	DefaultCapacity = 1 << 30
	// maxNodes bounds files and directories; maxSize the length of a file with holes.
	maxNodes = 1 << 16
	maxSize  = 1 << 40
	// maxName is that of most file systems.
	maxName = 255
)

// What an Image refuses; package disk has a number of the kernel for each.
var (
	ErrNoEntry  = errors.New("image: there is no such file")
	ErrExists   = errors.New("image: the name is taken")
	ErrIsDir    = errors.New("image: it is a directory")
	ErrNotDir   = errors.New("image: it is no directory")
	ErrNotEmpty = errors.New("image: the directory is not empty")
	ErrNoSpace  = errors.New("image: the disk is full")
	ErrIO       = errors.New("image: the disk failed, as it was told to")
	ErrInvalid  = errors.New("image: the request makes no sense")
)

// ID names a file or a directory, also one that has no name any more.
type ID uint64

// Root is the directory at the top.
const Root ID = 1

// Config is what a disk is.
type Config struct {
	// Strict: names need a sync of their directory.
	Strict bool
	// Capacity bounds the bytes of all files; 0 is DefaultCapacity.
	Capacity int64
}

// page is never written to once it is shared.
type page struct {
	data   [PageSize]byte
	shared bool
}

// content is what stands in a file. Pages that are not there are zero.
type content struct {
	pages map[int64]*page
	size  int64
}

func (c content) clone() content {
	for _, p := range c.pages {
		p.shared = true
	}
	return content{pages: maps.Clone(c.pages), size: c.size}
}

// spot is a page of a file.
type spot struct {
	id   ID
	page int64
}

// place is where a name stands.
type place struct {
	dir  ID
	name string
}

type node struct {
	id      ID
	dir     bool
	mode    uint32
	changed int64

	live, safe content            // of a file: what is seen, what lasts
	dirty      map[int64]struct{} // pages written to since they were synced
	low        int64              // the shortest that the file has been since its last sync
	set        int64              // the length that was last set, rather than written to

	names, safeNames map[string]ID // of a directory: what is seen, what lasts
	at, safeAt       place         // where it is seen, and where it lasts; zero: nowhere
	refs             uint64        // how often the kernel was told of it
}

// Image is the memory of one disk. It is for one goroutine.
type Image struct {
	cfg    Config
	nodes  map[ID]*node
	next   ID
	now    int64
	used   int64 // pages
	limit  int64 // pages
	faults Faults
	bad    spot // can not be read
	counts Counts
}

// New returns an empty disk.
func New(cfg Config) *Image {
	if cfg.Capacity <= 0 {
		cfg.Capacity = DefaultCapacity
	}
	im := &Image{cfg: cfg, limit: cfg.Capacity / PageSize}
	im.Wipe()
	return im
}

// Wipe empties the disk.
func (im *Image) Wipe() {
	root := &node{
		id: Root, dir: true, mode: 0o755, changed: im.now,
		names: make(map[string]ID), safeNames: make(map[string]ID),
	}
	im.nodes = map[ID]*node{Root: root}
	im.next, im.used = Root+1, 0
}

// At says what time it is: changes from here on bear it.
func (im *Image) At(now int64) { im.now = now }

// Info is what there is to know of a file or directory.
type Info struct {
	ID      ID
	Dir     bool
	Mode    uint32
	Size    int64
	Pages   int64 // that hold something
	Changed int64
}

func (n *node) info() Info {
	return Info{
		ID: n.id, Dir: n.dir, Mode: n.mode, Size: n.live.size, Pages: int64(len(n.live.pages)),
		Changed: n.changed,
	}
}

// Stat tells of a file or directory.
func (im *Image) Stat(id ID) (Info, error) {
	n := im.nodes[id]
	if n == nil {
		return Info{}, ErrNoEntry
	}
	return n.info(), nil
}

// Lookup finds a name, and counts as one reference, as Make does. See Forget.
func (im *Image) Lookup(dir ID, name string) (Info, error) {
	d, err := im.directory(dir)
	if err != nil {
		return Info{}, err
	}
	n := im.nodes[d.names[name]]
	if n == nil {
		return Info{}, ErrNoEntry
	}
	n.refs++
	return n.info(), nil
}

// Forget takes references back. What has no reference and no name is gone.
func (im *Image) Forget(id ID, times uint64) {
	if n := im.nodes[id]; n != nil {
		n.refs -= min(n.refs, times)
		im.collect(n)
	}
}

// Unmounted takes back all references: nobody has anything open.
func (im *Image) Unmounted() {
	for _, n := range im.nodes {
		n.refs = 0
		im.collect(n)
	}
}

// Entry is one name in a directory.
type Entry struct {
	Name string
	ID   ID
	Dir  bool
}

// List lists the names in a directory, in their order.
func (im *Image) List(dir ID) ([]Entry, error) {
	d, err := im.directory(dir)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		n := im.nodes[d.names[name]]
		out = append(out, Entry{Name: name, ID: n.id, Dir: n.dir})
	}
	return out, nil
}

// Chmod sets the permissions, which last at once: nobody here asks what becomes of them.
func (im *Image) Chmod(id ID, mode uint32) error {
	n := im.nodes[id]
	if n == nil {
		return ErrNoEntry
	}
	n.mode = mode
	return nil
}

// Space tells the capacity and what is free, in bytes.
func (im *Image) Space() (capacity, free int64) {
	limit := min(im.limit, im.cfg.Capacity/PageSize)
	return im.cfg.Capacity / PageSize * PageSize, max(limit-im.used, 0) * PageSize
}

func (im *Image) directory(id ID) (*node, error) {
	switch n := im.nodes[id]; {
	case n == nil:
		return nil, ErrNoEntry
	case !n.dir:
		return nil, ErrNotDir
	default:
		return n, nil
	}
}

func (im *Image) file(id ID) (*node, error) {
	switch n := im.nodes[id]; {
	case n == nil:
		return nil, ErrNoEntry
	case n.dir:
		return nil, ErrIsDir
	default:
		return n, nil
	}
}

// collect removes a node that nobody can reach, and what can be reached through it alone.
func (im *Image) collect(n *node) {
	if n.id == Root || n.at.dir != 0 || n.safeAt.dir != 0 || n.refs > 0 || im.nodes[n.id] != n {
		return
	}
	delete(im.nodes, n.id)
	im.used -= n.held()
	for name := range n.safeNames {
		im.leave(n, name)
	}
}
