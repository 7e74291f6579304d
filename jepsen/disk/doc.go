// SPDX-License-Identifier: Apache-2.0

// Package disk mounts a disk in memory that fails on demand: one for each node of a cluster
// of real processes. The kernel's file system over it is FUSE; what lasts and what does not,
// package image decides.
//
// A disk is mounted by root, or in a user namespace that has a mount namespace of its own,
// where /dev/fuse can be opened; fusermount is not needed.
//
// Each life of the mount, from one loss of power to the next, is a mount of its own: the
// kernel's caches go with the old one, and what was open then answers errors for ever.
//
// # Invariants
//
//   - I1 After PowerLoss nothing is read that was not synced, from no cache of the kernel; and
//     no process or memory map from before it changes the disk.
//   - I2 The process that serves a disk maps none of its files into memory, and starts no
//     other process while it has one of them open, or with its working directory there: the
//     kernel would wait for this process while that process's runtime waits for the kernel.
//   - I3 A lock of the disk is never held over a wait. Every wait for the kernel is bounded.
//   - I4 Close leaves no mount and no goroutine.
//   - I5 No process inherits the device behind a mount, or a file of it: with the process that
//     serves a disk its mount is over, and what waits for it goes on.
package disk
