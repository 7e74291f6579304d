// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func file(t *testing.T, im *Image, name string, data []byte) ID {
	t.Helper()
	i, err := im.Make(Root, name, false, 0o600)
	if err == nil {
		err = im.Write(i.ID, 0, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	im.Forget(i.ID, 1)
	return i.ID
}

func TestACapacityIsHeldToThePage(t *testing.T) {
	im := New(Config{Capacity: 3 * PageSize})
	id := file(t, im, "f", make([]byte, 2*PageSize))
	for _, x := range []struct {
		off, length int64
		want        error
	}{
		{2*PageSize - 1, PageSize + 2, ErrNoSpace}, // a page too much, of which nothing is written
		{8 * PageSize, 1, nil},                     // the last page, behind a hole
		{5 * PageSize, 1, ErrNoSpace},
		{PageSize, PageSize, nil}, // in place
	} {
		if err := im.Write(id, x.off, make([]byte, x.length)); !errors.Is(err, x.want) {
			t.Errorf("%d bytes at %d: %v, want %v", x.length, x.off, err, x.want)
		}
	}
	if i, _ := im.Stat(id); i.Size != 8*PageSize+1 || i.Pages != 3 {
		t.Errorf("the file is %+v", i)
	}
	if capacity, free := im.Space(); capacity != 3*PageSize || free != 0 {
		t.Errorf("%d bytes, %d free", capacity, free)
	}
	// What was removed takes room as long as it lasts.
	if err := errors.Join(im.Sync(id), im.Remove(Root, "f", false)); err != nil {
		t.Fatal(err)
	}
	if _, free := im.Space(); free != 0 {
		t.Errorf("%d bytes are free before the removal lasts", free)
	}
	if err := im.Sync(Root); err != nil {
		t.Fatal(err)
	}
	if _, free := im.Space(); free != 3*PageSize {
		t.Errorf("%d bytes are free after it", free)
	}
	if c := im.Counts(); c.NoSpace != 2 {
		t.Errorf("counts %+v", c)
	}
}

func TestFaultsAreMetWhenTheyAreDueAndOnce(t *testing.T) {
	im := New(Config{})
	id := file(t, im, "f", []byte("x"))
	im.Set(Faults{FailSyncAfter: 2, FailWriteAfter: 3})
	for i := 1; i <= 4; i++ {
		write, sync := im.Write(id, 0, []byte("x")), im.Sync(id)
		if (write != nil) != (i == 3) || (sync != nil) != (i == 2) {
			t.Errorf("%d: write %v, sync %v", i, write, sync)
		}
	}
}

// TestAPageThatCanNotBeReadIsMendedByAWrite: one of several, of one file of two.
func TestAPageThatCanNotBeReadIsMendedByAWrite(t *testing.T) {
	im := New(Config{})
	id, other := file(t, im, "f", make([]byte, 4*PageSize)), file(t, im, "g", make([]byte, 4*PageSize))
	read := func(id ID, page int64) error {
		_, err := im.Read(id, page*PageSize, make([]byte, PageSize))
		return err
	}
	im.Set(Faults{FailReadAfter: 2})
	if err := read(id, 0); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := read(id, 1); !errors.Is(err, ErrIO) {
			t.Errorf("the bad page: %v", err)
		}
	}
	if err := errors.Join(read(id, 0), read(id, 2), read(other, 1)); err != nil {
		t.Error(err)
	}
	if _, err := im.Read(id, 0, make([]byte, 4*PageSize)); !errors.Is(err, ErrIO) {
		t.Errorf("a read over the bad page: %v", err)
	}
	if err := errors.Join(im.Write(id, PageSize, make([]byte, PageSize)), read(id, 1)); err != nil {
		t.Errorf("after a write: %v", err)
	}
}

func TestBitsFlipInWhatIsSeenAndInWhatLasts(t *testing.T) {
	im := New(Config{})
	was := bytes.Repeat([]byte("quiet"), 3000)
	ids := []ID{file(t, im, "a.sst", was), file(t, im, "b", was), file(t, im, "c.sst", was)}
	if err := errors.Join(im.Sync(ids[0]), im.Sync(ids[1]), im.Sync(ids[2])); err != nil {
		t.Fatal(err)
	}
	b := im.Backup()
	match := func(path string) bool { return strings.HasPrefix(path, "a") }
	if n := im.Flip(rand.New(rand.NewPCG(1, 1)), 1, match); n != 1 {
		t.Fatalf("%d bits", n)
	}
	for range 2 {
		for i, id := range ids {
			got := make([]byte, len(was))
			_, err := im.Read(id, 0, got)
			differ := 0
			for at := range got {
				if got[at] != was[at] {
					differ++
				}
			}
			if err != nil || differ != [...]int{1, 0, 0}[i] {
				t.Errorf("file %d: %d bytes differ, %v", i, differ, err)
			}
		}
		im.PowerLoss(nil)
	}
	if n := im.Flip(rand.New(rand.NewPCG(1, 1)), 5, func(string) bool { return false }); n != 0 {
		t.Errorf("%d bits where nothing matches", n)
	}
	if err := im.Restore(b); err != nil {
		t.Fatal(err)
	}
	i, err := im.Lookup(Root, "a.sst")
	got := make([]byte, i.Size)
	if _, err2 := im.Read(i.ID, 0, got); err != nil || err2 != nil || !bytes.Equal(got, was) {
		t.Errorf("the copy of before has flipped too, or is gone: %v, %v", err, err2)
	}
}

func TestATornLossKeepsSomeSectorsAndTheLengthThatTheyNeed(t *testing.T) {
	kept, lost := int64(0), int64(0)
	for seed := range uint64(20) {
		im := New(Config{})
		id := file(t, im, "f", nil)
		data := bytes.Repeat([]byte{1}, 10*SectorSize-7)
		if err := errors.Join(im.Sync(id), im.Write(id, 0, data)); err != nil {
			t.Fatal(err)
		}
		l := im.PowerLoss(rand.New(rand.NewPCG(seed, 0)))
		kept, lost = kept+l.Kept, lost+l.Bytes
		got := make([]byte, 10*SectorSize)
		n, err := im.Read(id, 0, got)
		ones := int64(bytes.Count(got[:n], []byte{1}))
		if err != nil || n > 0 && got[n-1] != 1 || (ones+7)/SectorSize != l.Kept/SectorSize {
			t.Errorf("seed %d: %d bytes, %d of them were written, %+v, %v", seed, n, ones, l, err)
		}
	}
	if all := int64(20 * 10 * SectorSize); kept+lost != all || kept < all/3 || lost < all/3 {
		t.Errorf("%d bytes were kept, %d lost", kept, lost)
	}
}

// TestADirectoryLastsInOnePlace: it was moved, and only the directory that it went to was
// synced; then two directories went into each other in that way.
func TestADirectoryLastsInOnePlace(t *testing.T) {
	im := New(Config{Strict: true})
	d, err1 := im.Make(Root, "d", true, 0o700)
	e, err2 := im.Make(Root, "e", true, 0o700)
	if err := errors.Join(err1, err2, im.Sync(Root), im.Rename(Root, "e", d.ID, "e", false),
		im.Sync(d.ID)); err != nil {
		t.Fatal(err)
	}
	im.PowerLoss(nil)
	if got := im.tree(Root, ""); got != "d/\nd/e/\n" {
		t.Errorf("there is %q", got)
	}
	if err := errors.Join(im.Rename(d.ID, "e", Root, "e", false),
		im.Rename(Root, "d", e.ID, "d", false), im.Sync(e.ID)); err != nil {
		t.Fatal(err)
	}
	im.PowerLoss(nil)
	if got := im.tree(Root, ""); got != "e/\ne/d/\n" {
		t.Errorf("there is %q", got)
	}
}

// TestARenameNeverLosesWhatLasts: one file is renamed, another gets its name, and only that
// one is synced, or only the directory that the first one left.
func TestARenameNeverLosesWhatLasts(t *testing.T) {
	for _, strict := range []bool{false, true} {
		im := New(Config{Strict: strict})
		d, err := im.Make(Root, "d", true, 0o700)
		if err != nil {
			t.Fatal(err)
		}
		f, g := file(t, im, "f", []byte("f")), file(t, im, "g", []byte("g"))
		if err := errors.Join(im.Sync(f), im.Sync(g), im.Sync(Root),
			im.Rename(Root, "f", d.ID, "old", false), im.Rename(Root, "g", Root, "f", false),
			im.Sync(g), im.Sync(Root)); err != nil {
			t.Fatal(err)
		}
		im.PowerLoss(nil)
		want := line("d/old", []byte("f"))
		if got := im.tree(Root, ""); got != "d/\n"+want+line("f", []byte("g")) {
			t.Errorf("strict %v: there is %q", strict, got)
		}
	}
}

// TestWhatLastsFollowsItsDirectory: a file goes to a directory that is new, or leaves one that
// is removed, which somebody may have open; and only where it was is synced.
func TestWhatLastsFollowsItsDirectory(t *testing.T) {
	for _, removed := range []bool{false, true} {
		im := New(Config{Strict: true})
		d, err1 := im.Make(Root, "d", true, 0o700) // it stays open
		f, err2 := im.Make(d.ID, "f", false, 0o600)
		if err := errors.Join(err1, err2, im.Write(f.ID, 0, []byte("f")), im.Sync(f.ID),
			im.Sync(d.ID), im.Sync(Root)); err != nil {
			t.Fatal(err)
		}
		e, err := im.Make(Root, "e", true, 0o700)
		if err := errors.Join(err, im.Rename(d.ID, "f", e.ID, "f", false)); err != nil {
			t.Fatal(err)
		}
		from, want := d.ID, "d/\n"
		if removed {
			from, want, err = Root, "", im.Remove(Root, "d", true)
		}
		if err := errors.Join(err, im.Sync(from)); err != nil {
			t.Fatal(err)
		}
		im.PowerLoss(nil)
		if got := im.tree(Root, ""); got != want+"e/\n"+line("e/f", []byte("f")) {
			t.Errorf("removed %v: there is %q", removed, got)
		}
	}
}

func TestAFileThatWasSyncedUnderItsNewNameHasNoOtherOne(t *testing.T) {
	im := New(Config{})
	id := file(t, im, "a", []byte("x"))
	if err := errors.Join(im.Sync(id), im.Rename(Root, "a", Root, "b", false), im.Sync(id)); err != nil {
		t.Fatal(err)
	}
	im.PowerLoss(nil)
	if got, want := im.tree(Root, ""), line("b", []byte("x")); got != want {
		t.Errorf("there is %q, want %q", got, want)
	}
}
