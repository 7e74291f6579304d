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
	tokenStamped  = 2 // the version of a token that has a stamp before its context
	tokenStamp    = 8
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
// readers, or give them a stamp of the future; claims about the future of a live actor
// are refused by its owner.
func AppendToken(dst []byte, b Binding, c Context) []byte {
	start := len(dst)
	dst = append(dst, tokenVersion)
	dst = c.Append(dst)
	return binary.BigEndian.AppendUint64(dst, tokenSum(b, dst[start:]))
}

// AppendStampedToken is AppendToken for buckets that resolve by stamps: the highest stamp
// that the reader was shown goes with the context, so that what it writes next gets a
// higher one wherever it is minted. It means nothing causal.
//
//	version (1 byte), stamp (8 bytes, big-endian), encoded context, checksum (8 bytes)
func AppendStampedToken(dst []byte, b Binding, c Context, stamp uint64) []byte {
	start := len(dst)
	dst = append(dst, tokenStamped)
	dst = binary.BigEndian.AppendUint64(dst, stamp)
	dst = c.Append(dst)
	return binary.BigEndian.AppendUint64(dst, tokenSum(b, dst[start:]))
}

// TokenSize is the number of bytes that AppendToken appends.
func TokenSize(c Context) int { return tokenOverhead + c.EncodedSize() }

// StampedTokenSize is the number of bytes that AppendStampedToken appends.
func StampedTokenSize(c Context) int { return tokenStamp + TokenSize(c) }

// OpenToken is the inverse of AppendToken. An empty token is the empty context. It
// returns ErrToken for anything that AppendToken did not make with this binding.
func OpenToken(token []byte, b Binding) (Context, error) {
	if len(token) == 0 {
		return Context{}, nil
	}
	body, err := openSeal(token, b)
	if err != nil {
		return Context{}, err
	}
	if body[0] != tokenVersion {
		return Context{}, fmt.Errorf("%w: unknown version %d", ErrToken, body[0])
	}
	return decodeBody(body[1:])
}

// OpenStampedToken is the inverse of AppendStampedToken. It also takes what OpenToken
// takes, with stamp 0: a token that was handed out before there were stamps.
func OpenStampedToken(token []byte, b Binding) (c Context, stamp uint64, err error) {
	if len(token) == 0 || token[0] != tokenStamped {
		c, err = OpenToken(token, b)
		return c, 0, err
	}
	body, err := openSeal(token, b)
	if err != nil {
		return Context{}, 0, err
	}
	if len(body) <= 1+tokenStamp {
		return Context{}, 0, fmt.Errorf("%w: %d bytes are too few", ErrToken, len(token))
	}
	if c, err = decodeBody(body[1+tokenStamp:]); err != nil {
		return Context{}, 0, err
	}
	return c, binary.BigEndian.Uint64(body[1:]), nil
}

// openSeal returns what the checksum of a token covers.
func openSeal(token []byte, b Binding) ([]byte, error) {
	if len(token) <= tokenOverhead {
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrToken, len(token))
	}
	body, sum := token[:len(token)-tokenChecksum], token[len(token)-tokenChecksum:]
	if binary.BigEndian.Uint64(sum) != tokenSum(b, body) {
		return nil, fmt.Errorf("%w: checksum differs", ErrToken)
	}
	return body, nil
}

func decodeBody(b []byte) (Context, error) {
	c, err := Decode(b)
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
