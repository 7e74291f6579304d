// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dropLeftovers removes log files of length 0 from an engine's directory. Badger fails
// to open where it finds one ("Create a new file"), and a kill -9 leaves them behind:
// it gives a new log its length in a second step, and takes it from an old one, whose
// entries are in a table and synced by then, before it removes the name. Nothing was
// ever written into the first, and nothing is missing with the second.
//
// It holds Badger's own lock meanwhile, and returns ErrLocked where another process
// does: a log of length 0 may just be coming into being there. What is left is looked
// through under the same lock: see checkLogs.
func dropLeftovers(dir string) error {
	file, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("storage: open directory: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%w: %s", ErrLocked, dir)
	case err != nil:
		err = fmt.Errorf("storage: lock %s: %w", dir, err)
	default:
		if err = removeEmptyLogs(dir); err == nil {
			err = checkLogs(dir)
		}
	}
	return errors.Join(err, file.Close()) // closing gives the lock back
}

func removeEmptyLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("storage: list logs: %w", err)
	}
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("storage: look at a log: %w", err)
		}
		if info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("storage: remove an empty log: %w", err)
		}
	}
	return nil
}
