// SPDX-License-Identifier: Apache-2.0

// Package memnet is a network in memory, with faults that a seed draws, for tests
// that run whole nodes inside a testing/synctest bubble. It gives what the nodes
// take from outside: listeners, a dialer, and packet sockets.
//
// A host is named by the part of an address before the colon. The two directions
// between two hosts are links of their own; [Faults] and cuts belong to a link, so
// that partitions can be one-way. Streams behave like TCP: bytes are never lost or
// reordered, a lost segment stalls what is behind it, a cut link holds everything
// until it is healed or somebody's deadline passes, closing sends an end, a killed
// host resets. Packets behave like UDP: lost, duplicated, reordered, cut off. A host
// that is paused receives nothing and sends nothing until it goes on, as a process
// does that is stopped while its kernel still answers.
//
// # Invariants
//
//   - I1 Every decision is a function of the seed, the link, the connection's number
//     on it and the message's number in that (packets are a connection of their own,
//     number 0); never of a clock, of another link, or of a source that is shared.
//   - I2 Nothing lives at package level, no goroutine is started, and no mutex is
//     held over a wait: whoever reads waits for the bytes' own time.
//   - I3 A stream delivers a prefix of what was written, in order.
//   - I4 Bytes that had landed before a link was cut can still be read; nothing that
//     had not lands before the link is mended.
//   - I5 What is under way is bounded: bytes and segments per stream, packets per socket and per
//     paused link, and connections per listener.
//   - I6 What a change wakes or counts does not depend on the order of a map.
//
// All channels are made by the network's own values, so a network must be made
// inside the bubble that uses it.
//
// # Goroutines
//
// None.
package memnet
