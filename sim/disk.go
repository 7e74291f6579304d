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
// Engines differ in that; see EngineKind.
type Disk struct {
	mu sync.Mutex // held briefly, never over a wait

	// Guarded by mu.
	medium   medium
	hold     *hold // of the process that has it open
	boots    int
	faults   [parts][ops]fault
	capacity int64
	syncTime time.Duration
	standing bool
	rewrite  time.Duration // how long an open takes to write anew what it found
	limits   storage.Limits
	stats    DiskStats
}

// medium is what keeps the bytes of a disk. Its methods are called with the disk's mutex
// held, where nothing else is said.
type medium interface {
	// open opens both engines for a process. The mutex is not held: it may wait.
	open(h *hold, g *gate, log *zap.Logger) (data, control storage.Engine, err error)
	// cut is told that the process with the disk open is dead: its hold is fenced already.
	cut()
	// release is told that the process has closed its engines.
	release() error
	// losePower takes what a loss of power takes, and returns how many bytes that is. No
	// process has the disk open.
	losePower(rng *rand.Rand) int64
	wipe() error
	copied() *Copy
	restore(c *Copy) error
	used() int64
	flip(p Part, rng *rand.Rand) (key string, done bool)
	// close ends what is left of dead processes, and waits for it. The mutex is not held.
	close() error
}

// hold is what one process has of a disk. It ends with the process.
type hold struct {
	boot   string // immutable
	fenced bool   // guarded by the disk's mutex
}

// DiskStats counts what a disk did to its node.
type DiskStats struct {
	Commits uint64
	// Reads, Writes and Syncs are those that were made to fail.
	Reads, Writes, Syncs uint64
	// Full counts commits that found no room, Scarce how often somebody looked who was told
	// of what SetFree had left.
	Full, Scarce uint64
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

// NewDisk returns an empty disk of the kind EngineDisk.
func NewDisk() *Disk {
	d := newDisk()
	d.medium = &images{disk: d, parts: [parts]*image{newImage(), newImage()}}
	return d
}

func newDisk() *Disk {
	return &Disk{
		boots: firstBoot, capacity: plenty,
		limits: storage.Limits{Bytes: 8 << 20, Count: 64 << 10, Value: 1 << 20},
	}
}

// Open opens the directory for a process, in the shape that node takes.
func (d *Disk) Open(log *zap.Logger) (*node.Stores, error) { return d.open(log, nil) }

func (d *Disk) open(log *zap.Logger, g *gate) (*node.Stores, error) {
	h, err := d.take()
	if err != nil {
		return nil, err
	}
	data, control, err := d.medium.open(h, g, log)
	if err != nil {
		d.giveUp(h)
		return nil, err
	}
	return &node.Stores{
		Data: data, Control: storage.OpenControl(control, log), Boot: h.boot, FreeBytes: d.FreeBytes,
		Release: func() error { return d.release(h) },
	}, nil
}

// take reserves the disk for a process.
func (d *Disk) take() (*hold, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hold != nil {
		return nil, storage.ErrLocked
	}
	d.hold = &hold{boot: bootName(d.boots)}
	return d.hold, nil
}

func bootName(boots int) string { return fmt.Sprintf("boot %d", boots) }

// giveUp takes back what a process reserved and could not open.
func (d *Disk) giveUp(h *hold) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h.fenced = true
	if d.hold == h {
		d.hold = nil
	}
}

// release gives the directory back; that of a dead process has been taken from it before.
func (d *Disk) release(h *hold) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hold != h {
		return ErrFenced
	}
	h.fenced, d.hold = true, nil
	return d.medium.release()
}

// Close ends what is left of the disk and of dead processes on it. No process may have it
// open.
func (d *Disk) Close() error { return d.medium.close() }

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
// was under way is there whole or not at all, as rng decides; nil means not at all, and so
// does a disk that stands. The next process finds that the machine has booted. Where the
// engine does not support UnsyncedLoss, it is a kill and a new boot.
func (d *Disk) LosePower(rng *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.standing {
		rng = nil
	}
	if d.fence() {
		d.stats.PowerLosses++
	}
	d.boots++
	d.stats.LostBytes += d.medium.losePower(rng)
}

// fence cuts the process off, and reports whether there was one.
func (d *Disk) fence() bool {
	h := d.hold
	if h == nil {
		return false
	}
	h.fenced, d.hold = true, nil
	d.medium.cut()
	return true
}

// Wipe leaves an empty directory. No process may have it open.
func (d *Disk) Wipe() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hold != nil {
		return fmt.Errorf("%w: wipe", errInUse)
	}
	if err := d.medium.wipe(); err != nil {
		return err
	}
	d.stats.Wipes++
	return nil
}

// Copy is what a directory held at some moment. It can be restored any number of times,
// until the disk that it is of is closed.
type Copy struct {
	images [parts]*image // of the kind EngineDisk
	folder *folderCopy   // of the kind EngineBadgerTmpfs
}

// Copy copies the directory as it is now, whether or not a process has it open.
func (d *Disk) Copy() *Copy {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.medium.copied()
}

// Restore puts a copy in the place of the directory: an older one of the same disk (a
// backup that is played back), or one of another disk (a cloned node). No process may
// have the directory open. An engine that does not support Replace has no copies.
func (d *Disk) Restore(c *Copy) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hold != nil {
		return fmt.Errorf("%w: restore", errInUse)
	}
	if err := d.medium.restore(c); err != nil {
		return err
	}
	d.stats.Restores++
	return nil
}

// Fail lets the n-th operation from now (1 is the next) of a part fail with EIO; 0 takes
// that back. A write that fails has written nothing; what a failed sync did not cover is
// read back until the power goes, and is gone then, with all that came after it, whatever
// later syncs said. Badger, which the product does not let write any more after it has
// failed once, keeps what it has.
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
	room := d.capacity - d.medium.used()
	for _, w := range writes {
		room -= int64(len(w.Key) + len(w.Value))
	}
	if room < 0 {
		d.stats.Full++
		return syscall.ENOSPC
	}
	return nil
}

// FreeBytes tells how much room there is.
func (d *Disk) FreeBytes() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.capacity != plenty {
		d.stats.Scarce++
	}
	return uint64(max(0, d.capacity-d.medium.used())), nil
}

// SetFree leaves room for n bytes more; below 0: for all that a large disk takes.
func (d *Disk) SetFree(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = plenty
	if n >= 0 {
		d.capacity = d.medium.used() + n
	}
}

// SetSyncTime lets every sync take t.
func (d *Disk) SetSyncTime(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncTime = t
}

// SetStanding says whether the disk stands: nothing that it is given gets onto it, so that a
// loss of power leaves nothing of a commit under way. How long that takes SetSyncTime says.
func (d *Disk) SetStanding(stands bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.standing = stands
}

// SetRewriteTime is how long, after an open, a power loss still takes what an earlier
// process had written and failed to sync: until the engine has written it anew. 0, which
// is the default, is an engine that does so before anybody reads it; Badger flushes what
// it has replayed in the background. Only for engines that support UnsyncedLoss.
func (d *Disk) SetRewriteTime(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rewrite = t
}

// SetLimits replaces the limits of one commit, from the next open on; where an engine has
// lower ones of its own, these stay.
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
	key, done = d.medium.flip(p, rng)
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
