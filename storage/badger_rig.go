// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// RigMemtable is the smallest memtable of a rig's small engine. Its records have up to
// 13 KiB.
const RigMemtable = 128 << 10

// BadgerRig is how the test rig departs from a product's engine.
type BadgerRig struct {
	// InMemory keeps everything in memory, without a directory. Nothing is durable.
	InMemory bool
	// Small lets memtables be as small as RigMemtable and keeps few and small tables on
	// each level, so that a store of a few MiB flushes and compacts all the time. Records
	// of more than about an eighth of the memtable are refused with ErrTooBig.
	Small bool
	// KeepPages never gives pages of tables back: when that happens depends on all that
	// the process has in its memory.
	KeepPages bool
}

func (c BadgerConfig) validate() error {
	least := int64(MinMemtable)
	if c.Rig.Small {
		least = RigMemtable
	}
	if c.Memtable < least {
		return fmt.Errorf("storage: a memtable of %d bytes, at least %d", c.Memtable, least)
	}
	if c.Rig.InMemory != (c.Dir == "") {
		return fmt.Errorf("storage: directory %q, in memory %t: it is one or the other",
			c.Dir, c.Rig.InMemory)
	}
	return nil
}

// change makes of a product's options what the rig asks for.
func (r BadgerRig) change(o badger.Options) badger.Options {
	if r.Small {
		// Two flushed memtables are merged into the levels below, of which the first holds
		// four and each further one four times as much.
		o = o.WithNumLevelZeroTables(2).
			WithNumLevelZeroTablesStall(8).
			WithBaseTableSize(o.MemTableSize).
			WithBaseLevelSize(4 * o.MemTableSize).
			WithLevelSizeMultiplier(4).
			WithValueLogFileSize(1 << 20) // the least; nothing is in there
	}
	return o.WithInMemory(r.InMemory)
}

// syncNames makes durable which files there are.
func (b *Badger) syncNames() error {
	if b.dir == nil {
		return nil
	}
	return b.dir.syncIfChanged()
}

// memorySize is about what an engine in memory holds.
func (b *Badger) memorySize() (bytes int64) {
	for _, table := range b.db.Tables() {
		bytes += int64(table.OnDiskSize)
	}
	return bytes
}
