// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// snapshot copies a directory while Badger may be at work in it, as a kill -9 in that
// moment would leave it: whatever the operating system has been given, mapped pages
// included, and of what is being written a part.
//
// The files must be of one moment. Badger adds a table to its manifest before it removes
// what went into it, so a copy is good if the manifest and the names and lengths of all
// files were the same before and after; logs only grow at their ends, within their length.
// With one processor and no time slices nothing else runs meanwhile.
func snapshot(from, to string) error {
	const attempts = 1000
	var last error
	for range attempts {
		before, err := outline(from)
		if err == nil {
			err = copyTree(from, to)
		}
		if err == nil {
			var after map[string]string
			if after, err = outline(from); err == nil && maps.Equal(before, after) {
				return nil
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sim: copy a directory: %w", err)
		}
		if last = err; os.RemoveAll(to) != nil {
			break
		}
		runtime.Gosched()
	}
	return fmt.Errorf("sim: copy a directory: it never stood still: %w", errors.Join(errMoving, last))
}

var errMoving = errors.New("sim: files come and go")

// outline tells what a directory holds: the length of each file, and what the manifests
// say.
func outline(dir string) (map[string]string, error) {
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if entry.Name() == "MANIFEST" {
			text, err := os.ReadFile(path)
			found[path] = string(text)
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[path] = strconv.FormatInt(info.Size(), 10)
		}
		return err
	})
	return found, err
}

// copyTree copies a directory to a name that is not there.
func copyTree(from, to string) error {
	buffer := make([]byte, 64<<10)
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if entry.IsDir() {
			return os.Mkdir(target, 0o750)
		}
		return copyFile(path, target, buffer)
	})
}

// copyFile copies a file without its holes: Badger's logs are mostly that.
func copyFile(from, to string, buffer []byte) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	err = target.Truncate(info.Size())
	for at := int64(0); err == nil && at < info.Size(); {
		at, err = copyData(source, target, at, info.Size(), buffer)
	}
	return errors.Join(err, target.Close())
}

// copyData copies the next piece of a file that is no hole, from at on, and returns where
// that ends.
func copyData(source, target *os.File, at, size int64, buffer []byte) (int64, error) {
	begin, err := source.Seek(at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // the rest is a hole
		return size, nil
	case errors.Is(err, unix.EINVAL): // a file system without holes
		begin = at
	case err != nil:
		return 0, err
	}
	end, err := source.Seek(begin, unix.SEEK_HOLE)
	if err != nil {
		end = size
	}
	piece := io.NewSectionReader(source, begin, end-begin)
	_, err = io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(target, begin)}, piece, buffer)
	return end, err
}
