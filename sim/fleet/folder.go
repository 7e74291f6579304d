// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// folder is a temporary folder that this process holds a lock on. A process that is killed
// can not remove what it made, but its locks end with it: the next one removes what is
// there and held by nobody. It matters where the folder is memory.
type folder struct {
	path string
	held *os.File
}

// young is how long a folder may be there before its maker holds it.
const young = 10 * time.Second

func makeFolder(parent, pattern string) (*folder, error) {
	path, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if f.held, err = hold(path); err != nil {
		_ = os.RemoveAll(path) // it is empty
		return nil, err
	}
	return f, nil
}

// hold locks a folder until the file is closed; the lock does not go to other processes.
func hold(path string) (*os.File, error) {
	held, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = held.Close() // it was only opened
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return held, nil
}

func (f *folder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.held.Close())
}

// removeLeft removes the folders that their makers were killed before they could remove.
func removeLeft(parent, pattern string) {
	left, err := filepath.Glob(filepath.Join(parent, pattern))
	if err != nil {
		return // only for a bad pattern
	}
	for _, path := range left {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < young {
			continue
		}
		if held, err := hold(path); err == nil {
			_ = os.RemoveAll(path) // the next one tries again
			_ = held.Close()       // it was only opened
		}
	}
}
