// SPDX-License-Identifier: Apache-2.0

package rpc

import "fmt"

// Versions is a range of protocol versions that a node understands: its own and
// those of at least one release back.
type Versions struct{ Min, Max uint16 }

// Negotiate returns the version that two nodes speak: the newest that both
// understand. Both sides compute it from the same two ranges. The error wraps
// [ErrIncompatible].
func Negotiate(a, b Versions) (uint16, error) {
	v := min(a.Max, b.Max)
	if a.Min > a.Max || b.Min > b.Max || v < max(a.Min, b.Min) {
		return 0, fmt.Errorf("%w: %d to %d here, %d to %d there; upgrade one release at a time",
			ErrIncompatible, a.Min, a.Max, b.Min, b.Max)
	}
	return v, nil
}

// Hello is what a node says at the beginning of a connection to another, and what
// it makes of the answer. The bytes are for package wire to know; the answering
// side is a method of the peer server's handler like any other.
type Hello interface {
	// AppendHello appends the params of wire.MethodPeerHello: who this is, and its
	// [Versions].
	AppendHello(dst []byte) []byte
	// CheckHello reads the result and returns the version that both sides speak. An
	// error closes the connection: another cluster, another node than was dialed,
	// or no version in common.
	CheckHello(result []byte) (version uint16, err error)
}
