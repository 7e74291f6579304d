// SPDX-License-Identifier: Apache-2.0

package sim

import "fmt"

// EngineKind is what stands for the disk of a host.
type EngineKind uint8

// The engines. All of them stand behind the same Disk.
const (
	// EngineDisk is an engine of the simulator's own: an image in memory, of which a part
	// is synced.
	EngineDisk EngineKind = iota
	// EngineBadgerMemory is the product's Badger in memory. Nothing outlives its process.
	EngineBadgerMemory
	// EngineBadgerTmpfs is the product's Badger, and its directory, with all syncs, on a file
	// system of the machine that should be a tmpfs. Such a one has no unsynced part: all
	// that was written is there, whatever ends.
	EngineBadgerTmpfs
	engineKinds
)

// Feature is something that a disk can be made to do.
type Feature uint8

// The features. Pauses, failed calls, slow syncs, a full disk and turned bits are for all.
const (
	// Restart: the next process finds what the last one left, by an orderly end or kill -9.
	Restart Feature = iota
	// PowerLoss: so does one after a loss of power, which finds a new boot.
	PowerLoss
	// UnsyncedLoss: a loss of power takes what no sync has covered, and all from a failed
	// sync on; SetRewriteTime says for how long.
	UnsyncedLoss
	// Replace: Wipe, Copy and Restore.
	Replace
)

// Supports reports whether disks of this kind can do that. What is not supported is
// there to call, and does less: see Disk.
func (k EngineKind) Supports(f Feature) bool {
	switch k {
	case EngineBadgerMemory:
		return false
	case EngineBadgerTmpfs:
		return f != UnsyncedLoss
	}
	return true
}

// String names the kind.
func (k EngineKind) String() string {
	names := [engineKinds]string{"disk", "memory", "tmpfs"}
	if k >= engineKinds {
		return fmt.Sprintf("engine %d", k)
	}
	return names[k]
}
