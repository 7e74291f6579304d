// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model says the rules of doc.go again, with whole copies, one table of names for all
// directories, and nothing that is ever collected.
type model struct {
	strict     bool
	files      map[ID]*modelFile // also directories, with nothing in them
	live, safe map[place]ID
}

type modelFile struct {
	dir        bool
	live, safe []byte
	dirty      map[int]bool // pages
	low, set   int
}

func newModel(strict bool) *model {
	return &model{
		strict: strict, files: map[ID]*modelFile{Root: {dir: true}},
		live: map[place]ID{}, safe: map[place]ID{},
	}
}

func (m *model) where(names map[place]ID, id ID) (out []place) {
	for p, x := range names {
		if x == id {
			out = append(out, p)
		}
	}
	return out
}

func (m *model) empty(id ID) bool {
	for p := range m.live {
		if p.dir == id {
			return false
		}
	}
	return true
}

func (m *model) write(id ID, off int, data []byte) {
	f := m.files[id]
	f.grow(off + len(data))
	copy(f.live[off:], data)
	for i := off; i < off+len(data); i++ {
		f.dirty[i/PageSize] = true
	}
}

func (f *modelFile) grow(size int) {
	if more := size - len(f.live); more > 0 {
		f.live = append(bytes.Clone(f.live), make([]byte, more)...)
	}
}

func (m *model) resize(id ID, size int) {
	f := m.files[id]
	f.grow(size)
	f.set = size
	if size == len(f.live) {
		return
	}
	// The page that is cut through is written to, unless it is a hole, which only the
	// image knows: zero or not, what lasts of it is cut as well at the next sync.
	f.live, f.low = bytes.Clone(f.live[:size]), min(f.low, size)
	for i := range f.dirty {
		if i*PageSize >= size {
			delete(f.dirty, i)
		}
	}
	if size%PageSize != 0 {
		f.dirty[size/PageSize] = true
	}
}

func (m *model) sync(id ID) {
	f := m.files[id]
	var last []ID // whose names last from now on, or that they have none
	if f.dir {
		for p, x := range m.safe {
			if p.dir == id && m.live[p] != x {
				last = append(last, x)
			}
		}
		for p, x := range m.live {
			if p.dir == id {
				last = append(last, x)
			}
		}
	} else {
		next := make([]byte, len(f.live))
		copy(next, f.safe[:min(f.low, len(f.safe))])
		for i := range f.dirty {
			copy(next[i*PageSize:], f.live[i*PageSize:min(len(f.live), (i+1)*PageSize)])
		}
		f.safe, f.low, f.dirty = next, len(next), map[int]bool{}
	}
	if !m.strict {
		last = append(last, m.above(id)...)
	}
	m.settle(last)
}

// above lists a node and the directories that it stands in, but for the root.
func (m *model) above(id ID) (out []ID) {
	for id != Root {
		out = append(out, id)
		at := m.where(m.live, id)
		if len(at) == 0 {
			return out
		}
		id = at[0].dir
	}
	return out
}

// settle puts nodes where they are seen, or nowhere. Whoever stood there has moved or is gone
// and is put there as well; whoever came from another directory takes those above it along.
func (m *model) settle(todo []ID) {
	was := map[ID]ID{} // the directories of those that had to go
	for ; len(todo) > 0; todo = todo[1:] {
		id := todo[0]
		for _, p := range m.where(m.safe, id) {
			was[id] = p.dir
			delete(m.safe, p)
		}
		at := m.where(m.live, id)
		if len(at) == 0 {
			for p, x := range m.safe {
				if p.dir == id {
					todo = append(todo, x)
				}
			}
			continue
		}
		if x := m.safe[at[0]]; x != 0 {
			was[x], todo = at[0].dir, append(todo, x)
		}
		if m.safe[at[0]] = id; was[id] != 0 && was[id] != at[0].dir {
			todo = append(todo, m.above(at[0].dir)...)
		}
		delete(was, id)
	}
}

// commit makes names last, and lengths that were set.
func (m *model) commit() {
	m.safe = maps.Clone(m.live)
	for _, f := range m.files {
		f.safe = bytes.Clone(f.safe[:min(f.low, len(f.safe))])
		if more := min(f.set, len(f.live)) - len(f.safe); more > 0 {
			f.safe = append(f.safe, make([]byte, more)...)
		}
	}
}

// lasting lists what is found after a loss of power.
func (m *model) lasting() map[ID]bool {
	found := map[ID]bool{Root: true}
	for queue := []ID{Root}; len(queue) > 0; queue = queue[1:] {
		for p, id := range m.safe {
			if p.dir == queue[0] {
				found[id], queue = true, append(queue, id)
			}
		}
	}
	return found
}

func (m *model) powerLoss() {
	found := m.lasting()
	maps.DeleteFunc(m.safe, func(_ place, id ID) bool { return !found[id] })
	m.live = maps.Clone(m.safe)
	for id, f := range m.files {
		if !found[id] {
			delete(m.files, id)
			continue
		}
		f.live, f.low, f.dirty = bytes.Clone(f.safe), len(f.safe), map[int]bool{}
	}
}

// tree is all that a program sees, as text.
func (m *model) tree(dir ID, path string) string {
	var out []string
	for p, id := range m.live {
		switch f := m.files[id]; {
		case p.dir != dir:
		case f.dir:
			out = append(out, path+p.name+"/\n"+m.tree(id, path+p.name+"/"))
		default:
			out = append(out, line(path+p.name, f.live))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

func line(path string, data []byte) string {
	runs := ""
	for i := 0; i < len(data); {
		end := i
		for end < len(data) && data[end] == data[i] {
			end++
		}
		runs += fmt.Sprintf(" %d×%d", end-i, data[i])
		i = end
	}
	return path + runs + "\n"
}

func (im *Image) tree(dir ID, path string) string {
	var out []string
	entries, err := im.List(dir)
	if err != nil {
		return err.Error()
	}
	for _, e := range entries {
		if e.Dir {
			out = append(out, path+e.Name+"/\n"+im.tree(e.ID, path+e.Name+"/"))
			continue
		}
		info, err := im.Stat(e.ID)
		data := make([]byte, info.Size+7)
		n, err2 := im.Read(e.ID, 0, data)
		if err != nil || err2 != nil || int64(n) != info.Size {
			return fmt.Sprint(path, e.Name, n, info, err, err2)
		}
		out = append(out, line(path+e.Name, data[:n]))
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// sound checks what holds at all times.
func (im *Image) sound() error {
	held := int64(0)
	for id, n := range im.nodes {
		held += n.held()
		for _, c := range []content{n.live, n.safe} {
			for i, p := range c.pages {
				rest := max(min(c.size-i*PageSize, PageSize), 0)
				if rest == 0 || !bytes.Equal(p.data[rest:], make([]byte, PageSize-rest)) {
					return fmt.Errorf("file %d of %d bytes has something in page %d", id, c.size, i)
				}
			}
		}
		for i, p := range n.live.pages {
			if n.safe.pages[i] == p && !p.shared {
				return fmt.Errorf("page %d of file %d is one, and may be written to", i, id)
			}
		}
		if n.at.dir != 0 && im.nodes[n.at.dir].names[n.at.name] != id {
			return fmt.Errorf("node %d does not stand at %v", id, n.at)
		}
		if n.safeAt.dir != 0 && im.nodes[n.safeAt.dir].safeNames[n.safeAt.name] != id {
			return fmt.Errorf("node %d does not last at %v", id, n.safeAt)
		}
		for name, x := range n.safeNames {
			if im.nodes[x] == nil || im.nodes[x].safeAt != (place{id, name}) {
				return fmt.Errorf("node %d lasts at %s in %d and elsewhere", x, name, id)
			}
		}
	}
	if held != im.used {
		return fmt.Errorf("%d pages are held, %d counted", held, im.used)
	}
	return nil
}

// lasting lists what would be found after a loss of power.
func (im *Image) lasting() map[ID]bool {
	found := map[ID]bool{Root: true}
	for queue := []ID{Root}; len(queue) > 0; queue = queue[1:] {
		for _, id := range im.nodes[queue[0]].safeNames {
			if !found[id] {
				found[id], queue = true, append(queue, id)
			}
		}
	}
	return found
}
