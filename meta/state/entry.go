// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits that proposers keep to, so that every entry stays small beside what a round of
// messages carries. Decoding bounds itself by what it is given.
const (
	// MaxCommands bounds the commands of an entry.
	MaxCommands = 256
	// MaxCommand bounds an encoded command in bytes: the largest are plans and lists of
	// openings.
	MaxCommand = 256 << 10
)

// ErrUnknown is returned for commands, entries and snapshots that a newer release made.
var ErrUnknown = errors.New("state: made by a newer release; run that release here too")

// ErrDamaged is returned for bytes that no release has written.
var ErrDamaged = errors.New("state: the encoding is damaged")

// An entry:
//
//	version (1)  raft id (uvarint)  seq (uvarint)  count (uvarint)  commands
//
// and a command in it:
//
//	length (uvarint)  kind (1)  version (1)  fields
const entryVersion = 1

// AppendEntry appends an entry that carries commands.
func AppendEntry(dst []byte, token Token, commands ...Command) []byte {
	dst = appendEntryHead(dst, token, len(commands))
	var scratch []byte
	for _, c := range commands {
		scratch = AppendCommand(scratch[:0], c)
		dst = appendBytes(dst, scratch)
	}
	return dst
}

// AppendEntryOf is AppendEntry for commands that AppendCommand has encoded.
func AppendEntryOf(dst []byte, token Token, commands ...[]byte) []byte {
	dst = appendEntryHead(dst, token, len(commands))
	for _, c := range commands {
		dst = appendBytes(dst, c)
	}
	return dst
}

func appendEntryHead(dst []byte, token Token, count int) []byte {
	dst = append(dst, entryVersion)
	dst = binary.AppendUvarint(dst, uint64(token.Raft))
	dst = binary.AppendUvarint(dst, token.Seq)
	return binary.AppendUvarint(dst, uint64(count))
}

// DecodeEntry reads an entry. One without data has no commands. Commands share no bytes
// with b. The error wraps ErrUnknown or ErrDamaged.
func DecodeEntry(b []byte) (Token, []Command, error) {
	if len(b) == 0 {
		return Token{}, nil, nil
	}
	r := reader{b: b}
	if v := r.byte(); v != entryVersion && r.err == nil {
		return Token{}, nil, fmt.Errorf("%w: an entry of version %d", ErrUnknown, v)
	}
	token := Token{Raft: RaftID(r.uint()), Seq: r.uint()}
	commands := make([]Command, r.count(minCommand))
	for i := range commands {
		encoded := r.bytes()
		if r.err != nil {
			break
		}
		c, err := DecodeCommand(encoded)
		if err != nil {
			return Token{}, nil, fmt.Errorf("command %d of %d: %w", i+1, len(commands), err)
		}
		commands[i] = c
	}
	if err := r.finish("entry"); err != nil {
		return Token{}, nil, err
	}
	return token, commands, nil
}

// minCommand is the least that a command takes in an entry: length, kind and version.
const minCommand = 3
