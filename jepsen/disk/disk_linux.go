// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk/image"
)

// Disk is a mounted disk. Set and Counts may be called at any time; its other methods are
// for one goroutine.
type Disk struct {
	dir   string
	coins *rand.Rand

	mu    sync.Mutex // guards what follows; nothing waits under it
	life  *life      // nil: not mounted
	image *image.Image
	slow  time.Duration
	set   chan struct{} // closed when faults are set anew
	slept int64
	cut   int64
	stale int64
}

// Mount mounts an empty disk at a directory, which must be empty. What a rig that was killed
// has left mounted there is taken away.
func Mount(dir string, cfg Config) (*Disk, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, unix.ENOTCONN) { // nobody serves what is mounted there
		if err = unix.Unmount(dir, unix.MNT_DETACH); err == nil {
			entries, err = os.ReadDir(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("disk: %s is not empty; mount at an empty directory", dir)
	}
	d := &Disk{
		dir:   dir,
		set:   make(chan struct{}),
		coins: rand.New(rand.NewPCG(cfg.Seed, 0)),
		image: image.New(image.Config{Strict: cfg.Strict, Capacity: cfg.Capacity}),
	}
	return d, d.mount()
}

// Dir is where the disk is mounted.
func (d *Disk) Dir() string { return d.dir }

// Close unmounts the disk and forgets what it holds.
func (d *Disk) Close() error { return d.unmount() }

// PowerLoss takes the power away, and gives it back. The processes that used the disk must
// be dead. What was not synced is gone; torn leaves a random half of the sectors that were
// not, as a disk does that was at it, and every second time all names and the lengths that
// were set, as the journal of a file system does.
func (d *Disk) PowerLoss(torn bool) (Lost, error) {
	var lost Lost
	err := d.offline(func(im *image.Image) error {
		coins := d.coins
		if !torn {
			coins = nil
		}
		lost = im.PowerLoss(coins)
		return nil
	})
	return lost, err
}

// Flip turns n bits in files whose path below the mount matches, in what is seen and in what
// lasts, and returns how many. No process may use the disk.
func (d *Disk) Flip(rng *rand.Rand, n int, match func(path string) bool) (int, error) {
	turned := 0
	err := d.offline(func(im *image.Image) error {
		turned = im.Flip(rng, n, match)
		return nil
	})
	return turned, err
}

// Wipe empties the disk, as a new one would be. No process may use it.
func (d *Disk) Wipe() error {
	return d.offline(func(im *image.Image) error {
		im.Wipe()
		return nil
	})
}

// Restore makes the disk what another one, or this one, was. No process may use it.
func (d *Disk) Restore(b *Backup) error {
	return d.offline(func(im *image.Image) error { return im.Restore(b.image) })
}

// Copy returns what the disk holds now. Processes may use it meanwhile; then the copy is what
// a copying of files in that moment would be.
func (d *Disk) Copy() (*Backup, error) {
	if err := d.writeBack(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Backup{d.image.Backup()}, nil
}

// Set says what goes wrong from now on, in place of what was said before.
func (d *Disk) Set(f Faults) {
	d.mu.Lock()
	if d.slow = f.SlowSync; f.Stall {
		d.slow = math.MaxInt64
	}
	close(d.set)
	d.set = make(chan struct{})
	d.image.Set(image.Faults{
		FailSyncAfter: f.FailSyncAfter, FailWriteAfter: f.FailWriteAfter,
		FailReadAfter: f.FailReadAfter, IgnoreSync: f.IgnoreSync, Free: f.Free,
	})
	var files []image.ID
	if f.FailReadAfter > 0 {
		files = d.image.Files()
	}
	l := d.life
	d.mu.Unlock()
	if l != nil {
		l.uncache(files) // or there would be nothing to read for a long time
	}
}

// Counts tells what was done, and which faults were met.
func (d *Disk) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Counts{Counts: d.image.Counts(), SlowSyncs: d.slept, CutSyncs: d.cut, Stale: d.stale}
}

// offline changes the disk while it is not mounted, so that no cache has what was before.
func (d *Disk) offline(change func(*image.Image) error) error {
	if !d.mounted() {
		return errors.New("disk: it is closed")
	}
	// What is in maps of dead processes would have been seen by others too. A write that
	// fails here was to fail.
	_ = d.writeBack()
	if err := d.unmount(); err != nil {
		return err
	}
	d.mu.Lock()
	d.image.Unmounted()
	err := change(d.image)
	d.mu.Unlock()
	return errors.Join(err, d.mount())
}

func (d *Disk) mounted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.life != nil
}

// writeBack has the kernel write what it holds back, to what is seen; it syncs nothing. Closing
// a file is what does that: a syncfs of FUSE does not wait for the writes that it begins.
func (d *Disk) writeBack() error {
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		fd := -1
		if err == nil && e.Type().IsRegular() {
			fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err != nil || fd < 0 {
			return err
		}
		_ = unix.Close(fd) // it tells of writes that failed, as they were to
		return nil
	})
	if err != nil {
		return fmt.Errorf("disk: write back %s: %w", d.dir, err)
	}
	return nil
}
