// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"os"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/dyno-kv/dyno/jepsen/disk/image"
)

// The requests of the kernel. Each is one step of the image under the disk's lock; only a
// sync may sleep before it.

const permissions = 0o7777

func (l *life) String() string { return "dyno-disk" }

func attributes(i image.Info, out *fuse.Attr) {
	const block = 512 // the unit of st_blocks
	out.Ino, out.Size, out.Blksize = uint64(i.ID), uint64(i.Size), image.PageSize
	out.Blocks = uint64(i.Pages) * (image.PageSize / block)
	out.Mode, out.Nlink = unix.S_IFREG|i.Mode, 1
	if i.Dir {
		out.Mode, out.Nlink = unix.S_IFDIR|i.Mode, 2
	}
	out.Owner = fuse.Owner{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())}
	sec, nsec := uint64(i.Changed/1e9), uint32(i.Changed%1e9)
	out.Mtime, out.Ctime, out.Atime = sec, sec, sec
	out.Mtimensec, out.Ctimensec, out.Atimensec = nsec, nsec, nsec
}

func entry(i image.Info, out *fuse.EntryOut) {
	out.NodeId, out.Generation = uint64(i.ID), 1
	attributes(i, &out.Attr)
	out.SetEntryTimeout(cached)
	out.SetAttrTimeout(cached)
}

func (l *life) Lookup(
	_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut,
) fuse.Status {
	return l.with(func(im *image.Image) error {
		i, err := im.Lookup(image.ID(in.NodeId), name)
		if err == nil {
			entry(i, out)
		}
		return err
	})
}

func (l *life) Forget(node, times uint64) {
	_ = l.with(func(im *image.Image) error { // there is nobody to tell
		im.Forget(image.ID(node), times)
		return nil
	})
}

func (l *life) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return l.with(func(im *image.Image) error { return stat(im, in.NodeId, out) })
}

func stat(im *image.Image, node uint64, out *fuse.AttrOut) error {
	i, err := im.Stat(image.ID(node))
	if err == nil {
		attributes(i, &out.Attr)
		out.SetTimeout(cached)
	}
	return err
}

// SetAttr sets length and permissions. Owners and times are as they are.
func (l *life) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return l.with(func(im *image.Image) error {
		if size, ok := in.GetSize(); ok {
			if err := im.Resize(image.ID(in.NodeId), int64(size)); err != nil {
				return err
			}
		}
		if mode, ok := in.GetMode(); ok {
			if err := im.Chmod(image.ID(in.NodeId), mode&permissions); err != nil {
				return err
			}
		}
		return stat(im, in.NodeId, out)
	})
}

func (l *life) Mkdir(
	_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut,
) fuse.Status {
	return l.with(func(im *image.Image) error {
		i, err := im.Make(image.ID(in.NodeId), name, true, in.Mode&permissions)
		if err == nil {
			entry(i, out)
		}
		return err
	})
}

func (l *life) Create(
	_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut,
) fuse.Status {
	return l.with(func(im *image.Image) error {
		dir := image.ID(in.NodeId)
		i, err := im.Make(dir, name, false, in.Mode&permissions)
		if errors.Is(err, image.ErrExists) && in.Flags&unix.O_EXCL == 0 {
			if i, err = im.Lookup(dir, name); err == nil && in.Flags&unix.O_TRUNC != 0 {
				err = im.Resize(i.ID, 0)
				i.Size = 0
			}
		}
		if err == nil {
			entry(i, &out.EntryOut)
			out.OpenFlags = fuse.FOPEN_KEEP_CACHE
		}
		return err
	})
}

func (l *life) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return l.with(func(im *image.Image) error {
		return im.Remove(image.ID(in.NodeId), name, false)
	})
}

func (l *life) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return l.with(func(im *image.Image) error {
		return im.Remove(image.ID(in.NodeId), name, true)
	})
}

func (l *life) Rename(
	_ <-chan struct{}, in *fuse.RenameIn, name, newName string,
) fuse.Status {
	return l.with(func(im *image.Image) error {
		if in.Flags&^unix.RENAME_NOREPLACE != 0 {
			return image.ErrInvalid
		}
		free := in.Flags&unix.RENAME_NOREPLACE != 0
		return im.Rename(image.ID(in.NodeId), name, image.ID(in.Newdir), newName, free)
	})
}

func (l *life) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return l.with(func(im *image.Image) error {
		out.OpenFlags = fuse.FOPEN_KEEP_CACHE
		if in.Flags&unix.O_TRUNC != 0 {
			return im.Resize(image.ID(in.NodeId), 0)
		}
		return nil
	})
}

func (l *life) Read(
	_ <-chan struct{}, in *fuse.ReadIn, buf []byte,
) (fuse.ReadResult, fuse.Status) {
	n := 0
	code := l.with(func(im *image.Image) (err error) {
		n, err = im.Read(image.ID(in.NodeId), int64(in.Offset), buf)
		return err
	})
	return fuse.ReadResultData(buf[:n]), code
}

func (l *life) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	code := l.with(func(im *image.Image) error {
		return im.Write(image.ID(in.NodeId), int64(in.Offset), data)
	})
	if code != fuse.OK {
		return 0, code
	}
	return uint32(len(data)), code
}

// Flush is told of each close; nothing has to be done.
func (l *life) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (l *life) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if !l.sleep(cancel, in.Pid) {
		return fuse.EINTR // nobody is there to hear it
	}
	return l.with(func(im *image.Image) error { return im.Sync(image.ID(in.NodeId)) })
}

func (l *life) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return l.Fsync(cancel, in)
}

func (l *life) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return l.with(func(im *image.Image) error {
		list, err := im.List(image.ID(in.NodeId))
		if err == nil {
			l.listed++
			l.lists[l.listed], out.Fh = list, l.listed
		}
		return err
	})
}

func (l *life) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return l.with(func(im *image.Image) error {
		if in.Offset == 0 { // read again from its beginning
			list, err := im.List(image.ID(in.NodeId))
			if err != nil {
				return err
			}
			l.lists[in.Fh] = list
		}
		list := l.lists[in.Fh]
		for n := in.Offset; n < uint64(len(list)); n++ {
			e := fuse.DirEntry{
				Name: list[n].Name, Ino: uint64(list[n].ID), Mode: unix.S_IFREG, Off: n + 1,
			}
			if list[n].Dir {
				e.Mode = unix.S_IFDIR
			}
			if !out.AddDirEntry(e) {
				break
			}
		}
		return nil
	})
}

func (l *life) ReleaseDir(in *fuse.ReleaseIn) {
	_ = l.with(func(*image.Image) error { // there is nobody to tell
		delete(l.lists, in.Fh)
		return nil
	})
}

func (l *life) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return l.with(func(im *image.Image) error {
		capacity, free := im.Space()
		out.Bsize, out.Frsize, out.NameLen = image.PageSize, image.PageSize, 255
		out.Blocks = uint64(capacity / image.PageSize)
		out.Bfree = uint64(free / image.PageSize)
		out.Bavail = out.Bfree
		return nil
	})
}
