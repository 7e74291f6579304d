// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/node"
	"github.com/dyno-kv/dyno/storage"
)

// Part names one of the two engines of a node's directory.
type Part uint8

// The parts.
const (
	Data Part = iota
	Control
	parts
)

// Op is what a disk does.
type Op uint8

// The operations that can be made to fail.
const (
	OpRead Op = iota
	OpWrite
	OpSync
	ops
)

const (
	// plenty is the room on a disk where nobody says otherwise.
	plenty = 1 << 40
	// firstBoot is the number of the machine's boot before any power loss.
	firstBoot = 1
)

var errInUse = errors.New("sim: a process has this disk open")

// Disk is the disk of one machine, with the directory of one node on it. It outlives the
// processes that open it, one at a time. Its methods may be called from any goroutine.
//
// What a commit wrote is with the operating system at once, and durable after its sync.
// The end of a process loses nothing of it, the end of power all that no sync has covered.
type Disk struct {
	mu sync.Mutex // held briefly, never over a wait

	// Guarded by mu.
	images   [parts]*image
	handles  [parts]*engine // of the process that has it open
	boots    int
	faults   [parts][ops]fault
	capacity int64
	syncTime time.Duration
	rewrite  time.Duration // how long an open takes to write anew what it found
	limits   storage.Limits
	stats    DiskStats
}

// DiskStats counts what a disk did to its node.
type DiskStats struct {
	Commits uint64
	// Reads, Writes and Syncs are those that were made to fail.
	Reads, Writes, Syncs uint64
	// Full counts commits that found no room.
	Full uint64
	// Kills and PowerLosses count those that hit a running process; LostBytes is what the
	// losses of power took.
	Kills, PowerLosses uint64
	LostBytes          int64
	// Flips counts records with a bit turned, Wipes and Restores what they say.
	Flips, Wipes, Restores uint64
}

// fault fails the n-th operation from when it was set.
type fault struct {
	in  int
	err error
}

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	return &Disk{
		images: [parts]*image{newImage(), newImage()}, boots: firstBoot, capacity: plenty,
		limits: storage.Limits{Bytes: 8 << 20, Count: 64 << 10, Value: 1 << 20},
	}
}

// Open opens the directory for a process, in the shape that node takes.
func (d *Disk) Open(log *zap.Logger) (*node.Stores, error) { return d.open(log, nil) }

func (d *Disk) open(log *zap.Logger, g *gate) (*node.Stores, error) {
	data, control, boot, err := d.handOut(g)
	if err != nil {
		return nil, err
	}
	return &node.Stores{
		Data: data, Control: storage.OpenControl(control, log), Boot: boot, FreeBytes: d.FreeBytes,
		Release: func() error { return d.release(data, control) },
	}, nil
}

func (d *Disk) handOut(g *gate) (data, control *engine, boot string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inUse() {
		return nil, nil, "", storage.ErrLocked
	}
	for p := range parts {
		d.images[p].replay(d.rewrite)
		d.handles[p] = &engine{disk: d, part: p, gate: g, image: d.images[p]}
	}
	return d.handles[Data], d.handles[Control], fmt.Sprintf("boot %d", d.boots), nil
}

func (d *Disk) inUse() bool { return d.handles[Data] != nil || d.handles[Control] != nil }

// release gives the directory back; that of a dead process has been taken from it before.
func (d *Disk) release(handles ...*engine) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range handles {
		if d.handles[h.part] != h {
			return ErrFenced
		}
		h.fenced = true
		d.handles[h.part] = nil
	}
	return nil
}

// Kill is the end of the process that has the disk open, if any: what it calls from now
// on fails. The operating system keeps what it was given.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fence() {
		d.stats.Kills++
	}
}

// LosePower ends the process, if any, and takes what no sync has covered. A commit that
// was under way is there whole or not at all, as rng decides; nil means not at all. The
// next process finds that the machine has booted.
func (d *Disk) LosePower(rng *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fence() {
		d.stats.PowerLosses++
	}
	d.boots++
	for _, m := range d.images {
		d.stats.LostBytes += m.losePower(rng)
	}
}

// fence cuts the process off, and reports whether there was one.
func (d *Disk) fence() bool {
	was := d.inUse()
	for p, h := range d.handles {
		if h != nil {
			h.fenced = true
			d.handles[p] = nil
		}
	}
	return was
}

// Wipe leaves an empty directory. No process may have it open.
func (d *Disk) Wipe() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inUse() {
		return fmt.Errorf("%w: wipe", errInUse)
	}
	d.images = [parts]*image{newImage(), newImage()}
	d.stats.Wipes++
	return nil
}

// Copy is what a directory held at some moment. It can be restored any number of times.
type Copy struct{ images [parts]*image }

// Copy copies the directory as it is now, whether or not a process has it open.
func (d *Disk) Copy() *Copy {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &Copy{}
	for p, m := range d.images {
		c.images[p] = m.copied()
	}
	return c
}

// Restore puts a copy in the place of the directory: an older one of the same disk (a
// backup that is played back), or one of another disk (a cloned node). No process may
// have the directory open.
func (d *Disk) Restore(c *Copy) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inUse() {
		return fmt.Errorf("%w: restore", errInUse)
	}
	for p, m := range c.images {
		d.images[p] = m.copied()
	}
	d.stats.Restores++
	return nil
}

// Fail lets the n-th operation from now (1 is the next) of a part fail with EIO; 0 takes
// that back. A write that fails has written nothing; what a failed sync did not cover is
// read back until the power goes, and is gone then, with all that came after it, whatever
// later syncs said.
func (d *Disk) Fail(p Part, op Op, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[p][op] = fault{n, syscall.EIO}
}

// next is the failure of this operation, if it is to fail.
func (d *Disk) next(p Part, op Op) error {
	f := &d.faults[p][op]
	if f.in == 0 {
		return nil
	}
	f.in--
	if f.in > 0 {
		return nil
	}
	counts := [ops]*uint64{&d.stats.Reads, &d.stats.Writes, &d.stats.Syncs}
	*counts[op]++
	return f.err
}

// mayWrite fails where the disk is full, or the write is to fail.
func (d *Disk) mayWrite(p Part, writes []storage.Write) error {
	if err := d.next(p, OpWrite); err != nil {
		return err
	}
	room := d.capacity - d.used()
	for _, w := range writes {
		room -= int64(len(w.Key) + len(w.Value))
	}
	if room < 0 {
		d.stats.Full++
		return syscall.ENOSPC
	}
	return nil
}

func (d *Disk) used() int64 { return d.images[Data].bytes + d.images[Control].bytes }

// FreeBytes tells how much room there is.
func (d *Disk) FreeBytes() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return uint64(max(0, d.capacity-d.used())), nil
}

// SetFree leaves room for n bytes more.
func (d *Disk) SetFree(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = d.used() + n
}

// SetSyncTime lets every sync take t.
func (d *Disk) SetSyncTime(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncTime = t
}

// SetRewriteTime is how long, after an open, a power loss still takes what an earlier
// process had written and failed to sync: until the engine has written it anew. 0, which
// is the default, is an engine that does so before anybody reads it; Badger flushes what
// it has replayed in the background.
func (d *Disk) SetRewriteTime(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rewrite = t
}

// SetLimits replaces the limits of one commit, from the next open on.
func (d *Disk) SetLimits(l storage.Limits) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limits = l
}

// FlipBit turns one bit in the newest value of a record that rng draws, as it is read
// from now on. It returns the record's key; false where there is nothing to damage.
func (d *Disk) FlipBit(p Part, rng *rand.Rand) (key string, done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, done = d.images[p].flip(rng)
	if done {
		d.stats.Flips++
	}
	return key, done
}

// Stats returns the counts so far.
func (d *Disk) Stats() DiskStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}
