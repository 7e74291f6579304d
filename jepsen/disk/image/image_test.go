// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// twins is an image and its model, which do the same.
type twins struct {
	im  *Image
	m   *model
	ids []ID // that were ever made
}

// pick returns one of the nodes that there are, of a kind.
func (x *twins) pick(t *rapid.T, dir bool) ID {
	var of []ID
	for _, id := range x.ids {
		f := x.m.files[id]
		if f != nil && f.dir == dir && (id == Root || len(x.m.where(x.m.live, id)) > 0) {
			of = append(of, id)
		}
	}
	if len(of) == 0 {
		t.Skip("none is there")
	}
	return rapid.SampledFrom(of).Draw(t, "id")
}

func name(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name") }

// bytesAt draws lengths and places around the borders of pages and sectors.
func bytesAt(t *rapid.T, label string) int {
	border := rapid.SampledFrom([]int{0, SectorSize, PageSize, 2 * PageSize, 3 * PageSize})
	return max(border.Draw(t, label)+rapid.IntRange(-2, 2).Draw(t, "off"), 0)
}

func (x *twins) create(t *rapid.T) {
	dir, as, isDir := x.pick(t, true), name(t), rapid.Bool().Draw(t, "dir")
	info, err := x.im.Make(dir, as, isDir, 0o700)
	if taken := x.m.live[place{dir, as}] != 0; taken != errors.Is(err, ErrExists) {
		t.Fatalf("make: %v, taken is %v", err, taken)
	}
	if err == nil {
		x.im.Forget(info.ID, 1)
		x.ids = append(x.ids, info.ID)
		x.m.files[info.ID] = &modelFile{dir: isDir, dirty: map[int]bool{}}
		x.m.live[place{dir, as}] = info.ID
	}
}

func (x *twins) remove(t *rapid.T) {
	dir, as, isDir := x.pick(t, true), name(t), rapid.Bool().Draw(t, "dir")
	at := place{dir, as}
	id := x.m.live[at]
	var want error
	switch {
	case id == 0:
		want = ErrNoEntry
	case isDir && !x.m.files[id].dir:
		want = ErrNotDir
	case !isDir && x.m.files[id].dir:
		want = ErrIsDir
	case !x.m.empty(id):
		want = ErrNotEmpty
	default:
		delete(x.m.live, at)
	}
	if err := x.im.Remove(dir, as, isDir); !errors.Is(err, want) {
		t.Fatalf("remove: %v, want %v", err, want)
	}
}

func (x *twins) rename(t *rapid.T) {
	from, to := place{x.pick(t, true), name(t)}, place{x.pick(t, true), name(t)}
	err := x.im.Rename(from.dir, from.name, to.dir, to.name, false)
	id, old := x.m.live[from], x.m.live[to]
	if err != nil {
		below := false
		for up := to.dir; up != Root && !below; up = x.m.where(x.m.live, up)[0].dir {
			below = up == id
		}
		if id != 0 && !below && (old == 0 || x.m.files[id].dir == x.m.files[old].dir && x.m.empty(old)) {
			t.Fatalf("rename: %v", err)
		}
		return
	}
	if id == 0 {
		t.Fatal("what is not there was renamed")
	}
	delete(x.m.live, from)
	x.m.live[to] = id
}

func (x *twins) write(t *rapid.T) {
	id, off := x.pick(t, false), bytesAt(t, "at")
	data := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, bytesAt(t, "length"))
	if err := x.im.Write(id, int64(off), data); err != nil {
		t.Fatal(err)
	}
	if len(data) > 0 {
		x.m.write(id, off, data)
	}
}

func (x *twins) resize(t *rapid.T) {
	id, size := x.pick(t, false), bytesAt(t, "size")
	if err := x.im.Resize(id, int64(size)); err != nil {
		t.Fatal(err)
	}
	x.m.resize(id, size)
}

func (x *twins) sync(t *rapid.T) {
	id := x.pick(t, rapid.Bool().Draw(t, "dir"))
	if err := x.im.Sync(id); err != nil {
		t.Fatal(err)
	}
	x.m.sync(id)
}

func (x *twins) failSync(t *rapid.T) {
	id := x.pick(t, false)
	x.im.Set(Faults{FailSyncAfter: 1})
	if err := x.im.Sync(id); !errors.Is(err, ErrIO) {
		t.Fatal(err)
	}
	x.m.files[id].dirty = map[int]bool{}
}

func (x *twins) powerLoss(t *rapid.T) {
	before, gone := x.im.tree(Root, ""), x.im.PowerLoss(nil)
	x.m.powerLoss()
	if after := x.im.tree(Root, ""); after != before && gone.Names == 0 && gone.Files == 0 {
		t.Fatalf("%+v was lost of\n%sand there is\n%s", gone, before, after)
	}
	if len(x.im.nodes) != len(x.m.files) {
		t.Fatalf("%d nodes, want %d", len(x.im.nodes), len(x.m.files))
	}
}

// tear looks at each sector after a torn loss, and has the model follow.
func (x *twins) tear(t *rapid.T) {
	seed := rapid.Uint64().Draw(t, "seed")
	if rand.New(rand.NewPCG(seed, 1)).IntN(2) == 0 {
		x.m.commit()
	}
	was := map[ID]modelFile{}
	for id, f := range x.m.files {
		was[id] = *f
	}
	x.im.PowerLoss(rand.New(rand.NewPCG(seed, 1)))
	x.m.powerLoss()
	for id, f := range x.m.files {
		if f.dir {
			continue
		}
		info, err := x.im.Stat(id)
		got := make([]byte, info.Size)
		if n, err2 := x.im.Read(id, 0, got); err != nil || err2 != nil || n != len(got) {
			t.Fatal(n, err, err2)
		}
		old := was[id]
		if len(got) < len(old.safe) || len(got) > max(len(old.safe), len(old.live)) {
			t.Fatalf("%d bytes, of %d that last and %d", len(got), len(old.safe), len(old.live))
		}
		for at := 0; at < len(got); at += SectorSize {
			end := min(at+SectorSize, len(got))
			kept := bytes.Equal(got[at:end], padded(old.live, at, end)) && old.dirty[at/PageSize]
			if !kept && !bytes.Equal(got[at:end], padded(old.safe, at, end)) {
				t.Fatalf("bytes %d to %d are neither old nor new", at, end)
			}
		}
		f.live, f.safe, f.low = got, bytes.Clone(got), len(got)
	}
}

func padded(data []byte, from, to int) []byte {
	out := make([]byte, to-from)
	if from < len(data) {
		copy(out, data[from:])
	}
	return out
}

func (x *twins) restore(t *rapid.T) {
	b, was := x.im.Backup(), x.im.tree(Root, "")
	other := New(Config{})
	if err := other.Restore(b); err != nil || other.tree(Root, "") != was {
		t.Fatalf("%v: restored\n%s, want\n%s", err, other.tree(Root, ""), was)
	}
	other.PowerLoss(nil)
	if err := other.sound(); err != nil || other.tree(Root, "") != was {
		t.Fatalf("%v: after a loss of power\n%s, want\n%s", err, other.tree(Root, ""), was)
	}
	other.Flip(rand.New(rand.NewPCG(1, 1)), 10, func(string) bool { return true })
}

func TestAnImageDoesWhatItsModelDoes(t *testing.T) {
	for range 10 { // of the hundred draws that are usual: some rules are met by few of them
		rapid.Check(t, compare)
	}
}

func compare(t *rapid.T) {
	strict := rapid.Bool().Draw(t, "strict")
	x := &twins{im: New(Config{Strict: strict}), m: newModel(strict), ids: []ID{Root}}
	lasted := map[ID]bool{}
	t.Repeat(map[string]func(*rapid.T){
		"make": x.create, "remove": x.remove, "rename": x.rename, "write": x.write,
		"write-more": x.write, "resize": x.resize, "sync": x.sync, "sync-more": x.sync,
		"fail-sync": x.failSync, "power-loss": x.powerLoss, "torn": x.tear, "copy": x.restore,
		"": func(t *rapid.T) {
			if err := x.im.sound(); err != nil {
				t.Fatal(err)
			}
			if got, want := x.im.tree(Root, ""), x.m.tree(Root, ""); got != want {
				t.Fatalf("there is\n%s, want\n%s", got, want)
			}
			now := x.im.lasting()
			for id := range lasted {
				if n := x.im.nodes[id]; n != nil && (id == Root || n.at.dir != 0) && !now[id] {
					t.Fatalf("node %d has lasted, has a name, and would be gone", id)
				}
			}
			lasted = now
		},
	})
}
