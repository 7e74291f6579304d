// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// replayBound is how long an open waits for the replayed logs to become tables. There
	// are at most as many as memtables, of a few dozen MiB each.
	replayBound = time.Minute
	replayPoll  = 5 * time.Millisecond
)

// awaitReplay waits until what Badger has replayed from the logs of a killed process is
// written anew into tables, which are synced. Until then it rests on pages of the old
// logs that look clean and need not be on the disk: where the last sync of the process
// before failed, the kernel keeps the pages and forgets the error. A write that is found
// there is taken for stored, also by a retry of its client, and a power loss would take
// it away (fsyncgate; TRAPS C6).
func (b *Badger) awaitReplay(dir string, bound time.Duration) error {
	for deadline := time.Now().Add(bound); ; time.Sleep(replayPoll) {
		logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
		if err != nil {
			return fmt.Errorf("storage: list logs: %w", err)
		}
		switch failed := b.failure.get(); {
		case failed != nil:
			return failed
		case len(logs) <= 1: // the new one
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("storage: %d logs of the last run in %s have not become tables within %v: %w",
				len(logs)-1, dir, bound, os.ErrDeadlineExceeded)
		}
	}
}
