// SPDX-License-Identifier: Apache-2.0

package vclock

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

const (
	tokenVersion  = 1
	tokenChecksum = 8
	tokenOverhead = 1 + tokenChecksum
)

// ErrToken is returned for a token that is damaged, cut off, made up, or belongs to
// another key, bucket or cluster. The client should read the key again.
var ErrToken = errors.New("vclock: not a context of this key")

// Binding ties a token to one key of one bucket of one cluster.
type Binding uint64

// Bind returns the binding of a key.
func Bind(cluster [16]byte, bucket uint32, key []byte) Binding {
	var head [20]byte
	copy(head[:], cluster[:])
	binary.BigEndian.PutUint32(head[16:], bucket)
	var d xxhash.Digest
	d.ResetWithSeed(tokenVersion)
	_, _ = d.Write(head[:]) // never fails
	_, _ = d.Write(key)     // never fails
	return Binding(d.Sum64())
}

// AppendToken appends c as clients hold it, opaque to them:
//
//	version (1 byte), encoded context, checksum (8 bytes, over binding and all before)
//
// The checksum finds accidents and contexts of other keys. It is no secret: a
// client that forges one on purpose can at most hide versions from its own writes'
// readers, and claims about the future of a live actor are refused by its owner.
func AppendToken(dst []byte, b Binding, c Context) []byte {
	start := len(dst)
	dst = append(dst, tokenVersion)
	dst = c.Append(dst)
	return binary.BigEndian.AppendUint64(dst, tokenSum(b, dst[start:]))
}

// TokenSize is the number of bytes that AppendToken appends.
func TokenSize(c Context) int { return tokenOverhead + c.EncodedSize() }

// OpenToken is the inverse of AppendToken. An empty token is the empty context. It
// returns ErrToken for anything that AppendToken did not make with this binding.
func OpenToken(token []byte, b Binding) (Context, error) {
	if len(token) == 0 {
		return Context{}, nil
	}
	if len(token) <= tokenOverhead {
		return Context{}, fmt.Errorf("%w: %d bytes are too few", ErrToken, len(token))
	}
	body, sum := token[:len(token)-tokenChecksum], token[len(token)-tokenChecksum:]
	if binary.BigEndian.Uint64(sum) != tokenSum(b, body) {
		return Context{}, fmt.Errorf("%w: checksum differs", ErrToken)
	}
	if body[0] != tokenVersion {
		return Context{}, fmt.Errorf("%w: unknown version %d", ErrToken, body[0])
	}
	c, err := Decode(body[1:])
	if err != nil {
		return Context{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return c, nil
}

func tokenSum(b Binding, body []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(uint64(b))
	_, _ = d.Write(body) // never fails
	return d.Sum64()
}
