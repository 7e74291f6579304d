// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk"
)

// pair is a file that is open on a disk and in a plain directory.
type pair [2]*os.File

// same does the same things to a disk and to a plain directory, and is told the same.
type same struct {
	*testing.T
	rng  *rand.Rand
	dirs [2]string
	open []pair
}

// TestADiskIsUsedLikeAPlainDirectory does thousands of drawn things to both: what is answered,
// errors as well, and what is there in the end are the same, and are so after a loss of
// power where everything was synced.
func TestADiskIsUsedLikeAPlainDirectory(t *testing.T) {
	d, seed := mount(t, disk.Config{}), uint64(1)
	if os.Getenv("DYNO_LONG") != "" {
		seed = rand.Uint64()
	}
	s := &same{T: t, rng: rand.New(rand.NewPCG(seed, 0)), dirs: [2]string{d.Dir(), t.TempDir()}}
	steps := []func() string{
		s.create, s.create, s.write, s.write, s.write, s.truncate, s.read, s.read, s.close, s.sync,
		s.mkdir, s.remove, s.remove, s.rename, s.rename, s.list, s.lock, s.appended,
	}
	for i := range 4000 {
		if what := steps[s.rng.IntN(len(steps))](); t.Failed() {
			t.Fatalf("seed %d, step %d: %s", seed, i, what)
		}
	}
	for len(s.open) > 0 {
		s.close()
	}
	before := tree(t, s.dirs[0], true)
	if want := tree(t, s.dirs[1], false); before != want {
		t.Fatalf("seed %d: there is\n%s, want\n%s", seed, before, want)
	}
	loss(t, d, false)
	if after := tree(t, s.dirs[0], false); after != before {
		t.Errorf("seed %d: after the loss of power there is\n%s, want\n%s", seed, after, before)
	}
}

// tree lists all that is there, and syncs it where it is told to.
func tree(t *testing.T, dir string, sync bool) (out string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		out += rel
		if !e.IsDir() {
			data, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			out += fmt.Sprintf(" %d %x", len(data), sum(data))
		}
		out += "\n"
		if sync {
			return f.Sync()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sum(data []byte) (x uint64) {
	for _, b := range data {
		x = x*31 + uint64(b) + 1
	}
	return x
}

// errno is what the kernel says.
func errno(err error) unix.Errno {
	var n unix.Errno
	if err != nil && !errors.As(err, &n) && !errors.Is(err, io.EOF) {
		return unix.Errno(1 << 20)
	}
	return n
}

// both does a thing in both places, and compares what comes of it.
func (s *same) both(what string, do func(i int) (any, error)) string {
	var got [2]string
	for i := range s.dirs {
		v, err := do(i)
		got[i] = fmt.Sprint(v, " ", errno(err))
	}
	if got[0] != got[1] {
		s.Errorf("it says %.200s, want %.200s", got[0], got[1])
	}
	return what
}

// path draws a name; at most two directories stand above it.
func (s *same) path() string {
	p := string(rune('a' + s.rng.IntN(4)))
	for range s.rng.IntN(3) {
		p = filepath.Join(string(rune('a'+s.rng.IntN(4))), p)
	}
	return p
}

func (s *same) create() string {
	flags := os.O_RDWR
	for _, f := range []int{os.O_CREATE, os.O_CREATE, os.O_EXCL, os.O_TRUNC} {
		if s.rng.IntN(2) == 0 {
			flags |= f
		}
	}
	p, opened := s.path(), pair{}
	what := s.both(fmt.Sprintf("open %s %#x", p, flags), func(i int) (any, error) {
		f, err := os.OpenFile(filepath.Join(s.dirs[i], p), flags, 0o600)
		opened[i] = f
		return nil, err
	})
	if opened[0] == nil || opened[1] == nil {
		return what
	}
	if s.open = append(s.open, opened); len(s.open) > 8 {
		s.close()
	}
	return what
}

// file draws one that is open, which may have no name any more.
func (s *same) file(what string, do func(f *os.File) (any, error)) string {
	if len(s.open) == 0 {
		return s.create()
	}
	n := s.rng.IntN(len(s.open))
	return s.both(what+" "+s.open[n][0].Name(), func(i int) (any, error) { return do(s.open[n][i]) })
}

func (s *same) write() string {
	data := make([]byte, s.rng.IntN(3)*s.rng.IntN(100<<10)+s.rng.IntN(600))
	for i := range data {
		data[i] = byte(s.rng.Uint32())
	}
	off := s.rng.Int64N(300 << 10)
	return s.file(fmt.Sprintf("write %d at %d", len(data), off), func(f *os.File) (any, error) {
		return f.WriteAt(data, off)
	})
}

// appended writes where the file ends, as logs do.
func (s *same) appended() string {
	p := s.path()
	return s.both("append "+p, func(i int) (any, error) {
		path := filepath.Join(s.dirs[i], p)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return nil, err
		}
		_, err = f.WriteString(p)
		info, err2 := f.Stat()
		if err := errors.Join(err, err2, f.Close()); err != nil {
			return nil, err
		}
		return info.Size(), nil
	})
}

func (s *same) truncate() string {
	size := s.rng.Int64N(300 << 10)
	return s.file(fmt.Sprint("truncate to ", size), func(f *os.File) (any, error) {
		return nil, f.Truncate(size)
	})
}

func (s *same) read() string {
	off, buf := s.rng.Int64N(400<<10), make([]byte, s.rng.IntN(200<<10))
	return s.file(fmt.Sprintf("read %d at %d", len(buf), off), func(f *os.File) (any, error) {
		n, err := f.ReadAt(buf, off)
		info, err2 := f.Stat()
		if err2 != nil {
			return nil, err2
		}
		return fmt.Sprint(n, sum(buf[:n]), info.Size(), info.Mode()), err
	})
}

func (s *same) close() string {
	if len(s.open) == 0 {
		return "nothing to close"
	}
	p := s.open[0]
	s.open = s.open[1:]
	return s.both("close", func(i int) (any, error) { return nil, p[i].Close() })
}

func (s *same) sync() string {
	return s.file("sync", func(f *os.File) (any, error) { return nil, f.Sync() })
}

func (s *same) lock() string {
	return s.file("lock", func(f *os.File) (any, error) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		return nil, err
	})
}

func (s *same) mkdir() string {
	p := s.path()
	return s.both("mkdir "+p, func(i int) (any, error) {
		return nil, os.Mkdir(filepath.Join(s.dirs[i], p), 0o700)
	})
}

func (s *same) remove() string {
	p := s.path()
	return s.both("remove "+p, func(i int) (any, error) {
		return nil, os.Remove(filepath.Join(s.dirs[i], p))
	})
}

func (s *same) rename() string {
	p, q := s.path(), s.path()
	return s.both("rename "+p+" to "+q, func(i int) (any, error) {
		return nil, unix.Rename(filepath.Join(s.dirs[i], p), filepath.Join(s.dirs[i], q))
	})
}

func (s *same) list() string {
	p := filepath.Dir(s.path())
	return s.both("list "+p, func(i int) (any, error) {
		entries, err := os.ReadDir(filepath.Join(s.dirs[i], p))
		var names []string
		for _, e := range entries {
			names = append(names, fmt.Sprint(e.Name(), e.Type()))
		}
		return names, err
	})
}
