// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dyno-kv/dyno/jepsen/disk"
	"github.com/dyno-kv/dyno/jepsen/nemesis"
)

func diskActions() map[nemesis.Kind]action {
	return map[nemesis.Kind]action{
		nemesis.Power: power(false), nemesis.PowerMinority: power(false),
		nemesis.PowerAll: power(false), nemesis.Torn: power(true),
		nemesis.DiskRead: failing(func(f *nemesis.Fault) disk.Faults {
			return disk.Faults{FailReadAfter: f.N}
		}),
		nemesis.DiskWrite: failing(func(f *nemesis.Fault) disk.Faults {
			return disk.Faults{FailWriteAfter: f.N}
		}),
		nemesis.DiskSync: failing(func(f *nemesis.Fault) disk.Faults {
			return disk.Faults{FailSyncAfter: f.N}
		}),
		nemesis.DiskFull: failing(func(*nemesis.Fault) disk.Faults {
			return disk.Faults{Free: -1}
		}),
		nemesis.DiskSlow: failing(func(f *nemesis.Fault) disk.Faults {
			return disk.Faults{SlowSync: time.Duration(f.By)}
		}),
		nemesis.Flip: flip, nemesis.Wipe: wipe, nemesis.Restore: restore,
	}
}

// longestDusk is how long disks may be without power before their nodes are, at most.
const longestDusk = 400 * time.Millisecond

// power takes the power of the nodes away. Their disks go a moment before their processes, as
// they may: no sync ends from then on, so whoever acknowledges something without one has
// acknowledged what is lost. Killing processes alone leaves hardly a moment for that.
func power(torn bool) action {
	return func(ctx context.Context, a *act) error {
		for _, i := range a.nodes {
			a.world.disks[i].Set(disk.Faults{Stall: true})
		}
		rest(ctx, time.Duration(a.rng.Int64N(int64(longestDusk))))
		err := a.kill()
		if err == nil {
			err = a.each(func(i int) error {
				lost, err := a.world.disks[i].PowerLoss(torn)
				a.met("bytes lost", lost.Bytes)
				a.met("bytes kept", lost.Kept)
				return err
			})
		}
		for _, i := range a.nodes {
			a.world.disks[i].Set(disk.Faults{})
		}
		if err != nil {
			return err
		}
		a.last(ctx)
		return a.revive(ctx)
	}
}

// stopTime is how long a node may take to end after its disk did something wrong, and longer
// than it does.
const stopTime = 12 * time.Second

// bites is how often a disk did wrong.
func bites(c disk.Counts) int64 {
	return c.FailedReads + c.FailedWrites + c.FailedSyncs + c.NoSpace + c.SlowSyncs
}

// failing has disks fail for as long as the fault lasts. A process that ends by that does what
// it should, and is started when the disk is well again.
func failing(faults func(*nemesis.Fault) disk.Faults) action {
	return func(ctx context.Context, a *act) error {
		i := a.nodes[0]
		d := a.world.disks[i]
		before := bites(d.Counts())
		d.Set(faults(a.fault))
		died := false
		end := time.Now().Add(time.Duration(a.fault.For))
		for time.Now().Before(end) && rest(ctx, look) {
			if exit, ended := a.cluster.Collect(i); ended {
				died = true
				a.met("ended by it", 1)
				if bites(d.Counts()) == before {
					return fmt.Errorf("%s ended by itself (%v), and its disk had done nothing wrong; "+
						"see %s", a.cluster.Name(i), exit, a.cluster.Log(i))
				}
			}
		}
		d.Set(disk.Faults{})
		a.met("requests", bites(d.Counts())-before)
		// What met it may take a while to end: it closes what it can.
		met := bites(d.Counts()) > before && a.fault.Kind != nemesis.DiskSlow
		for end := time.Now().Add(stopTime); met && !died && time.Now().Before(end); {
			if _, died = a.cluster.Collect(i); !died && !rest(ctx, look) {
				break
			}
		}
		if died {
			return a.revive(ctx)
		}
		return nil
	}
}

// flip turns bits in the data of a node that is dead. One that notices refuses to start, and is
// told that its store is lost.
func flip(ctx context.Context, a *act) error {
	if err := a.kill(); err != nil {
		return err
	}
	d := a.world.disks[a.nodes[0]]
	// Tables, logs of values and of memory tables: what holds keys.
	n, err := d.Flip(a.rng, a.fault.N, func(path string) bool {
		for _, end := range []string{".sst", ".vlog", ".mem"} {
			if strings.HasSuffix(path, end) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	a.met("bits", int64(n))
	a.last(ctx)
	return a.refill(ctx, false)
}

func wipe(ctx context.Context, a *act) error {
	if err := a.kill(); err != nil {
		return err
	}
	i := a.nodes[0]
	if err := a.empty(i); err != nil {
		return err
	}
	rest(ctx, time.Duration(a.fault.For)/8)
	return a.refill(ctx, true)
}

func (a *act) empty(i int) error {
	if len(a.world.disks) > 0 {
		return a.world.disks[i].Wipe()
	}
	return a.cluster.Wipe(i)
}

// restore puts an older copy in the place of what a node has, of a life before: one of the same
// life can not be told from what a crash leaves. The node must not serve it.
func restore(ctx context.Context, a *act) error {
	i := a.nodes[0]
	part := time.Duration(a.fault.For) / 3
	if err := a.cluster.Stop(i); err != nil {
		return err
	}
	put := func() error { return a.cluster.Restore(i) }
	if len(a.world.disks) == 0 {
		if err := a.cluster.Save(i); err != nil {
			return err
		}
	} else {
		backup, err := a.world.disks[i].Copy()
		if err != nil {
			return err
		}
		put = func() error { return a.world.disks[i].Restore(backup) }
	}
	if err := a.cluster.Restart(i); err != nil {
		return err
	}
	// The group must have heard of the new life.
	lives, err := a.serves(ctx, i, fillTime)
	if err != nil || !lives {
		return errors.Join(err, fmt.Errorf("%s is not ready after a stop", a.cluster.Name(i)))
	}
	rest(ctx, part)
	if err := errors.Join(a.kill(), put()); err != nil {
		return err
	}
	if err := a.cluster.Restart(i); err != nil {
		return err
	}
	switch served, err := a.serves(ctx, i, 2*upTime); {
	case err != nil:
		return err
	case served:
		return fmt.Errorf("%s serves although its directory is an older copy", a.cluster.Name(i))
	}
	a.met("refused", 1)
	if _, ended := a.cluster.Collect(i); !ended {
		if err := a.cluster.Kill(i); err != nil {
			return err
		}
	}
	return a.refill(ctx, true)
}

// refill starts a node whose store may be worth nothing. lost: it is told so at once; else when
// it refuses it by ending, or by never being ready.
func (a *act) refill(ctx context.Context, lost bool) error {
	i := a.nodes[0]
	if !lost {
		if err := a.cluster.Restart(i); err != nil {
			return err
		}
		if ready, err := a.serves(ctx, i, 2*upTime); ready || err != nil {
			return err
		}
		_, ended := a.cluster.Collect(i)
		again := func() error { return a.cluster.Kill(i) }
		if ended { // it can not open what it has: an operator gives it an empty disk
			again = func() error { return a.empty(i) }
		}
		if err := again(); err != nil {
			return err
		}
		a.met("refused", 1)
	}
	if err := a.cluster.Rejoin(i); err != nil {
		return err
	}
	a.met("began anew", 1)
	ready, err := a.serves(ctx, i, fillTime)
	if err == nil && !ready && ctx.Err() == nil {
		err = fmt.Errorf("%s lost its store, and is not ready after %v", a.cluster.Name(i), fillTime)
	}
	return err
}

// serves waits until a node is ready, has ended, or the time is over.
func (a *act) serves(ctx context.Context, i int, within time.Duration) (ready bool, err error) {
	for end := time.Now().Add(within); time.Now().Before(end) && rest(ctx, look); {
		if a.cluster.Ended(i) != nil {
			return false, nil
		}
		if a.cluster.AreReady(ctx, i) {
			return true, nil
		}
	}
	return false, nil
}
