// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/storage"
)

const lockName = "LOCK"

// prepareDir makes the directory of a cluster where there is none, durably, and refuses
// one that holds something of others before anything is written into it.
func prepareDir(dir string) error {
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("dev: make directory: %w", err)
	}
	_, err := os.Stat(filepath.Join(dir, fileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkEmpty(dir)
	case err != nil:
		return fmt.Errorf("dev: look for the cluster file: %w", err)
	default:
		return nil
	}
}

// makeDir makes a directory where there is nothing, with all above it, and their names
// durable: a name that is lost takes with it all that was synced below.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // what stands there is seen when it is used
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// checkEmpty refuses a directory that holds something of others.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("dev: read directory: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != lockName && name != fileName+".new" && name != "lost+found" {
			return fmt.Errorf("%w: %s has %q; name another directory, or empty it",
				ErrForeign, dir, name)
		}
	}
	return nil
}

// lockDir keeps a second process out of the directory.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("dev: open lock: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = storage.ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dev: lock %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}
