// SPDX-License-Identifier: Apache-2.0

// Package image is the memory of a disk that can lose power: files and directories as a
// program sees them, and beside them what would be left if the power went now. It decides;
// package disk mounts it.
//
// A write changes what is seen. A sync of a file makes its dirty pages and its length last.
// Names last by the rules of one of two kinds of file systems:
//
//   - ext4-like: a sync of a file, or of a directory, also makes its own name last, and those
//     of the directories above it.
//   - strict: a name lasts after a sync of the directory that it stands in, and not before.
//
// In both a rename lasts as a whole, as it does with a journal: where one of the two names is
// made to last, or to be no more, the other follows, and what had to give way goes on to where
// it is seen.
//
// A sync that fails marks the pages clean, as Linux does: the next sync succeeds and does
// not write them.
//
// # Invariants
//
//   - I1 What lasts and still has a name is there after any loss of power, whatever was renamed
//     and synced meanwhile; what was synced in it without an error is in it.
//   - I2 What was not synced is gone after a plain loss of power. After a torn one each sector
//     of a dirty page that differs is there or is not, by the toss of a coin; and by one
//     more all names are as they were seen, and all lengths as they were set, as after the
//     commit of a journal.
//   - I3 Pages are shared between what is seen, what lasts and backups, and copied before they
//     are written to. Bytes of a page beyond the end of its file are zero.
//   - I4 The pages of all files together, each counted once for what is seen and what lasts,
//     are no more than the capacity: a write that needs more is refused as a whole.
//   - I5 What lasts is a tree: each file and each directory stands in one place of it at most.
package image
