// SPDX-License-Identifier: Apache-2.0

// Package kv is the vocabulary of dyno: the identifiers, objects, versions and
// slots that every other room speaks of. It is a core: values with methods, no
// goroutine, channel, lock, I/O, log or clock.
//
// An [Object] is all that one replica knows of one key: a causal context and the
// versions that nobody has overwritten. Objects form a join semilattice under
// [Merge] (Shapiro et al., "Conflict-free Replicated Data Types", 2011, section 2;
// the versions are dotted as in Preguiça et al., "Dotted Version Vectors", 2012), so
// copies, retries and reorderings are harmless.
//
// # Invariants
//
//   - I1 The context of an object holds the dot of each of its versions.
//   - I2 Versions are in order of their dots, and no dot occurs twice.
//   - I3 Every version carries the object's fence: lower ones lost when the higher
//     came.
//   - I4 Merge is commutative, associative and idempotent, whatever expired or was
//     fenced off on the way.
//   - I5 An object is immutable once shared; values are shared, never copied.
//   - I6 A version that no merged context covers is never dropped by a merge of
//     equal fence.
//
// What it does not do: it decides nothing about quorums, and expires nothing by
// itself; `now` is always an argument.
package kv
