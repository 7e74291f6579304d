// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk/image"
)

const (
	// endTime is how long the kernel may take to let go of a mount.
	endTime = 10 * time.Second
	// cached is how long the kernel may rely on names and lengths. Nobody but the kernel
	// changes them while a life lasts.
	cached = time.Hour
	// atOnce bounds requests of the kernel that wait for nobody, such as read-ahead.
	atOnce = 64
	// request is the most that is written or read at once.
	request = 128 << 10
)

// life is one mount of a disk, from one loss of power to the next.
type life struct {
	fuse.RawFileSystem
	disk   *Disk
	server *fuse.Server
	over   chan struct{} // closed when the power goes
	served chan struct{} // closed when the kernel has let go

	lists  map[uint64][]image.Entry // of open directories; guarded by the disk's lock
	listed uint64
}

func (d *Disk) mount() error {
	l := &life{
		RawFileSystem: fuse.NewDefaultRawFileSystem(), disk: d,
		over: make(chan struct{}), served: make(chan struct{}),
		lists: make(map[uint64][]image.Entry),
	}
	err := alone(func() (err error) {
		l.server, err = fuse.NewServer(l, d.dir, &fuse.MountOptions{
			FsName: "dyno-disk", Name: "dyno", DirectMountStrict: true,
			MaxWrite: request, MaxBackground: atOnce, DisableXAttrs: true, DisableReadDirPlus: true,
			// What is cached goes with the life, and not whenever a time has changed.
			ExplicitDataCacheControl: true,
			// It tells of requests that were under way when the power went.
			Logger: log.New(io.Discard, "", 0),
		})
		if err != nil {
			return err
		}
		return closeDevices()
	})
	if err != nil {
		if l.server != nil {
			_ = unix.Unmount(d.dir, unix.MNT_DETACH) // what err says comes first
		}
		return fmt.Errorf("disk: mount at %s: %w; this needs /dev/fuse, and root or a user "+
			"namespace with a mount namespace of its own", d.dir, err)
	}
	go func() { // until the kernel lets go, which unmount sees to
		l.server.Serve()
		close(l.served)
	}()
	d.mu.Lock()
	d.life = l
	d.mu.Unlock()
	// It opens a file of the disk for a moment, also in a way that processes inherit.
	if err := alone(l.server.WaitMount); err != nil {
		return errors.Join(fmt.Errorf("disk: mount at %s: %w", d.dir, err), d.unmount())
	}
	return nil
}

// unmount ends the life: from its first step on nothing that is open changes the disk.
func (d *Disk) unmount() error {
	d.mu.Lock()
	l := d.life
	if l != nil {
		d.life = nil
		close(l.over)
	}
	d.mu.Unlock()
	if l == nil {
		return nil
	}
	// Forced: requests under way end with errors, and what is written to and not yet
	// written back is thrown away. In a user namespace nobody may force it.
	err := unix.Unmount(d.dir, unix.MNT_FORCE|unix.MNT_DETACH)
	if errors.Is(err, unix.EPERM) {
		err = unix.Unmount(d.dir, unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("disk: unmount %s: %w", d.dir, err)
	}
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-l.served:
		return nil
	case <-timer.C:
		return fmt.Errorf("disk: %s is held open by some process; end it first", d.dir)
	}
}

// with runs one request on the image, and none once the power is gone.
func (l *life) with(do func(*image.Image) error) fuse.Status {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	select {
	case <-l.over:
		l.disk.stale++
		return fuse.EIO
	default:
	}
	l.disk.image.At(time.Now().UnixNano())
	return status(do(l.disk.image))
}

// status is what the kernel is told.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	for cause, number := range map[error]unix.Errno{
		image.ErrNoEntry: unix.ENOENT, image.ErrExists: unix.EEXIST, image.ErrIsDir: unix.EISDIR,
		image.ErrNotDir: unix.ENOTDIR, image.ErrNotEmpty: unix.ENOTEMPTY,
		image.ErrNoSpace: unix.ENOSPC, image.ErrInvalid: unix.EINVAL,
	} {
		if errors.Is(err, cause) {
			return fuse.Status(number)
		}
	}
	return fuse.EIO
}

// uncache has the kernel forget what it has read of files. A life that is over has nothing to
// forget any more.
func (l *life) uncache(files []image.ID) {
	for _, id := range files {
		// A file that the kernel does not know has nothing cached.
		_ = l.server.InodeNotify(uint64(id), 0, 0)
	}
}
