// SPDX-License-Identifier: Apache-2.0

// Package wire is the one place where bytes meet types: messages of clients and peers,
// store records and their keys, limits, and the codes of errors. It is a core: bytes in,
// values out, and back.
//
// A message is scanned ([Scanner]), its header told apart ([ParseHeader]), and its params
// or result decoded into a struct (DecodeXRequest, DecodeXResult) or built from one
// (AppendXRequest, AppendXResult). Nothing here uses reflection.
//
// # Invariants
//
//   - I1 No bytes make a function of this package panic, recurse or loop without bound,
//     or allocate more than a small multiple of their number.
//   - I2 What an Append function made, the Decode function of its name reads back as the
//     same value; unset options become their defaults.
//   - I3 A decoder accepts every encoding that MessagePack has for a value; an Append
//     function uses the shortest.
//   - I4 Requests are strict: an unknown or repeated key is refused. Results and arrays of
//     peers are tolerant: what a later release added at their end is skipped.
//   - I5 Decoded byte slices alias the input and end where the value ends; whoever keeps
//     one longer than the input copies it.
//   - I6 A record opens only under the key and with the length and checksum that it was
//     sealed with; empty bytes are no record.
//   - I7 Where a decoder returns an error, what it was given to fill in means nothing.
//   - I8 A decoded object keeps the invariants of kv, and each version that has its value
//     matches its checksum.
//
// What it does not do: it knows no other package's errors. The server maps those out,
// the client maps them in.
package wire
