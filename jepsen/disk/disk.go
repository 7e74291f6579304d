// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"time"

	"github.com/dyno-kv/dyno/jepsen/disk/image"
)

// Config is what a disk is.
type Config struct {
	// Seed draws which sectors a torn loss of power leaves.
	Seed uint64
	// Strict: a name in a directory lasts only after a sync of the directory. Otherwise a
	// sync of the file is enough, as on ext4.
	Strict bool
	// Capacity bounds what the files hold together, in bytes; 0 is image.DefaultCapacity.
	// The memory that it takes is at most twice as much, and backups.
	Capacity int64
}

// Faults is what a disk does wrong from now on. The zero value heals it.
type Faults struct {
	// FailSyncAfter answers the n-th sync from now with EIO, once, and marks the pages
	// clean, as Linux does. FailWriteAfter does so with the n-th write that the kernel asks
	// the disk for; FailReadAfter with the n-th read and all later ones of the same page,
	// until it is written anew or Set is called. 0: none.
	FailSyncAfter, FailWriteAfter, FailReadAfter int
	// IgnoreSync says of every sync that it was done, and does nothing: a disk that lies. No
	// store survives a loss of power on it; a rig shows with it that it would see that.
	IgnoreSync bool
	// Free is how many bytes more can be stored before the disk is full; 0: as many as the
	// capacity lets in; below 0: none.
	Free int64
	// SlowSync is how long each sync takes longer. Stall has syncs wait until faults are set
	// again. One that waits comes to nothing when its process is killed: stall, kill and
	// PowerLoss is what a node meets whose power goes in the middle of a sync.
	SlowSync time.Duration
	Stall    bool
}

// Lost is what a loss of power took.
type Lost = image.Lost

// Counts is what a disk did, and which of its faults were met.
type Counts struct {
	image.Counts
	// SlowSyncs counts those that had to wait, CutSyncs those of them that came to nothing.
	SlowSyncs, CutSyncs int64
	// Stale counts requests that were refused since the power had gone meanwhile.
	Stale int64
}

// Backup is what a disk held at one time. It can be restored to any disk, any number of times.
type Backup struct{ image *image.Backup }
