// SPDX-License-Identifier: Apache-2.0

// Package link decides what meets the packets that one host of a network sends to another.
//
// A [Link] has a [Rule], and a source of chances that is handed in. [Link.Offer] takes a
// packet at a time and answers which packets leave when: none, the packet, it and a copy, or
// a reset to both sides instead. It moves no bytes and waits for nothing; package network
// does.
//
// What must hold:
//
//   - I1 The same seed, rules, times and packets give the same departures.
//   - I2 Without a fault every packet leaves at once, as it came.
//   - I3 What waits is bounded: what goes beyond [MaxWaiting] bytes is dropped and counted.
//   - I4 Packets leave in the order in which they came, also with jitter, but for those that
//     the rule reorders, and those that a change of the rule lets overtake what waits.
//   - I5 A corrupted packet differs in one bit that the checksum of TCP or UDP covers, so
//     that a receiver which looks at it drops the packet.
//   - I6 Every packet is counted: as delivered, or as one of those that were not.
package link
