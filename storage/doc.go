// SPDX-License-Identifier: Apache-2.0

// Package storage is the store of one node: partitions in, group commit, scans. It
// knows no protocol: it is handed functions that say what becomes of an object, and
// sees to it that they run one after another, that what they decide is durable before
// anybody hears of it, and that what is read is either right or called unreadable.
//
// # Invariants
//
//   - I1 An answer, also of an operation that changed nothing, waits for the commit of
//     every uncommitted object that it rests on.
//   - I2 An object that was fetched before its operation's turn carries the timestamp
//     of the read; where the key may have been committed later, it is read again.
//   - I3 The durable timestamp moves before any waiter of that commit is answered, so
//     whoever got an answer reads what it spoke of.
package storage
