// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// clockTick is longer than the steps in which file systems count time: within it two
// changes of a directory can bear the same time.
const clockTick = 20 * time.Millisecond

// syncedDir fsyncs a directory when files were made or removed in it. Looking costs
// one system call.
type syncedDir struct {
	path string
	file *os.File

	mu     sync.Mutex
	synced time.Time // change time of the directory at the last sync; guarded by mu
}

// openSyncedDir opens a directory that is there and syncs it and the one above.
func openSyncedDir(path string) (*syncedDir, error) {
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("storage: open directory: %w", err)
	}
	d := &syncedDir{path: path, file: file}
	if err := d.sync(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return d, nil
}

func (d *syncedDir) sync() error {
	if err := d.file.Sync(); err != nil {
		return fmt.Errorf("storage: sync directory %s: %w", d.path, err)
	}
	return nil
}

// syncIfChanged syncs the directory if it changed since the last time. A change that
// is younger than a tick is synced again the next time, for there may be another with
// the same time.
func (d *syncedDir) syncIfChanged() error {
	info, err := d.file.Stat()
	if err != nil {
		return fmt.Errorf("storage: look at directory %s: %w", d.path, err)
	}
	changed := info.ModTime()
	d.mu.Lock()
	same := changed.Equal(d.synced)
	d.mu.Unlock()
	if same {
		return nil
	}
	if err := d.sync(); err != nil {
		return err
	}
	if age := time.Since(changed); age > clockTick {
		d.mu.Lock()
		d.synced = changed
		d.mu.Unlock()
	}
	return nil
}

func (d *syncedDir) close() error { return d.file.Close() }

// allocated is what a file takes on disk, which for a file with holes is less than its
// length.
func allocated(info fs.FileInfo) int64 {
	const block = 512 // the unit of st_blocks, whatever the file system's own is
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * block
	}
	return info.Size()
}

// realPath is a path from the root, with links followed.
func realPath(path string) (string, error) {
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		return "", fmt.Errorf("storage: find directory: %w", err)
	}
	return whole, nil
}
