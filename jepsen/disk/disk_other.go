// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package disk

import (
	"errors"
	"math/rand/v2"
)

var errLinux = errors.New("disk: disks with faults need Linux and its /dev/fuse")

// Disk is a mounted disk; there is none here.
type Disk struct{}

// Mount says that it can not be done here.
func Mount(string, Config) (*Disk, error) { return nil, errLinux }

// Dir is where the disk is mounted.
func (d *Disk) Dir() string { return "" }

// Close unmounts the disk.
func (d *Disk) Close() error { return errLinux }

// PowerLoss takes the power away, and gives it back.
func (d *Disk) PowerLoss(bool) (Lost, error) { return Lost{}, errLinux }

// Flip turns bits.
func (d *Disk) Flip(*rand.Rand, int, func(path string) bool) (int, error) { return 0, errLinux }

// Wipe empties the disk.
func (d *Disk) Wipe() error { return errLinux }

// Restore makes the disk what another one, or this one, was.
func (d *Disk) Restore(*Backup) error { return errLinux }

// Copy returns what the disk holds now.
func (d *Disk) Copy() (*Backup, error) { return nil, errLinux }

// Set says what goes wrong from now on.
func (d *Disk) Set(Faults) {}

// Counts tells what was done, and which faults were met.
func (d *Disk) Counts() Counts { return Counts{} }
