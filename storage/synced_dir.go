// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// clockTick is longer than the steps in which file systems count time: within it two
// changes of a directory can bear the same time.
const clockTick = 20 * time.Millisecond

// syncedDir fsyncs a directory when files were made or removed in it. Looking costs
// one system call.
type syncedDir struct {
	path  string
	file  *os.File
	fsync func() error // the file's; tests put another one here

	// turn holds one token; who has it may sync. The kernel tells of a failed sync once,
	// and whoever synced beside it would take the silence for success.
	turn chan struct{}
	// Owned by who has the turn.
	synced time.Time // change time of the directory at the last sync
	failed error     // the first failed sync
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
	d := &syncedDir{path: path, file: file, fsync: file.Sync, turn: make(chan struct{}, 1)}
	d.turn <- struct{}{}
	if err := d.sync(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return d, nil
}

// sync syncs, unless an earlier sync has failed: then it is unknown what that one left.
func (d *syncedDir) sync() error {
	if d.failed != nil {
		return d.failed
	}
	if err := d.fsync(); err != nil {
		d.failed = fmt.Errorf("storage: sync directory %s: %w", d.path, err)
	}
	return d.failed
}

// syncIfChanged syncs the directory if it changed since the last time. A change that
// is younger than a tick is synced again the next time, for there may be another with
// the same time.
func (d *syncedDir) syncIfChanged() error {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	info, err := d.file.Stat()
	if err != nil {
		return fmt.Errorf("storage: look at directory %s: %w", d.path, err)
	}
	changed := info.ModTime()
	if changed.Equal(d.synced) && d.failed == nil {
		return nil
	}
	// Its age when it was looked at: the sync may take longer than a tick, and does not
	// cover what is made meanwhile.
	settled := time.Since(changed) > clockTick
	if err := d.sync(); err != nil {
		return err
	}
	if settled {
		d.synced = changed
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
