// SPDX-License-Identifier: Apache-2.0

// Package state is the state machine of the metadata group: who the members are, how the
// ring is laid out, which buckets exist, and who holds which lock. It is a core: values
// with methods, no goroutine, channel, lock, I/O, log or clock.
//
// Every member of the cluster keeps a [State] and applies to it the entries that the group
// commits (ARCHITECTURE 8), in order, each once:
//
//	entry := state.AppendEntry(nil, token, state.FormRing{})
//	applied, err := s.Apply(index, term, entry)
//
// What a command can not do is a [Result] with a code and a text for people. An error of
// Apply means that this copy can not follow the group: the caller stops, and changes
// nothing any more.
//
// # Invariants
//
//   - I1 Equal logs lead to equal states, byte for byte in [State.Snapshot], whether they
//     were applied from the first entry on or from a snapshot at any index. Nothing comes
//     from a clock, a random source or the order of a map.
//   - I2 Entries are applied without a gap: an index that does not follow is an error.
//   - I3 A command of an unknown kind or version, or one that can not be read, is an error
//     before anything of its entry has been applied, never skipped.
//   - I4 Applied again, late, or between others, a command changes nothing but what its
//     comment says.
//   - I5 No identifier is issued twice, not even by a group that lost the end of its log:
//     each carries the generation, and node numbers leave a gap instead.
//   - I6 The version of the ring rises with every change of the ring, of the addresses of
//     its members, and of the buckets, and with nothing else.
//   - I7 Decoders never believe a length: what they allocate is bounded by what they read.
//   - I8 A value that was handed out (a View, its ring, a Result) never changes.
//
// Methods that read may run at the same time; Apply may not run beside anything.
package state
