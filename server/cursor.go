// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/coordinator"
	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
	"github.com/dyno-kv/dyno/wire"
)

// Cursors are opaque to clients: a body, and a checksum over it that is seeded by what
// the cursor belongs to, so that one of another key, bucket or prefix is refused.

const cursorSum = 8

// sealSkip says where the siblings of an object go on: digest, index.
func sealSkip(o kv.Object, index int, b vclock.Binding) []byte {
	body := binary.BigEndian.AppendUint64(nil, o.Digest())
	body = binary.BigEndian.AppendUint32(body, uint32(index))
	return sealCursor(body, uint64(b))
}

// openSkip is the inverse: which live sibling comes next. An object that has changed
// since is told as INVALID: the client starts again.
func openSkip(cursor []byte, o kv.Object, b vclock.Binding) (int, error) {
	if len(cursor) == 0 {
		return 0, nil
	}
	body, ok := openCursor(cursor, uint64(b))
	if !ok || len(body) != 12 {
		return 0, badCursor("skip is not a cursor of this key")
	}
	if binary.BigEndian.Uint64(body) != o.Digest() {
		return 0, badCursor("the key has changed since the page before; start again")
	}
	return int(binary.BigEndian.Uint32(body[8:])), nil
}

// sealScan says where a scan goes on: partition, key.
func sealScan(c coordinator.Cursor, bucket kv.Bucket, prefix []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, c.Partition)
	return sealCursor(append(body, c.After...), scanSeed(bucket, prefix))
}

// openScan is the inverse. An empty cursor is the start.
func openScan(cursor []byte, bucket kv.Bucket, prefix []byte) (coordinator.Cursor, error) {
	if len(cursor) == 0 {
		return coordinator.Cursor{}, nil
	}
	body, ok := openCursor(cursor, scanSeed(bucket, prefix))
	if !ok || len(body) < 2 {
		return coordinator.Cursor{}, badCursor("cursor does not belong to this bucket and prefix")
	}
	return coordinator.Cursor{
		Partition: binary.BigEndian.Uint16(body),
		After:     append([]byte(nil), body[2:]...),
	}, nil
}

func scanSeed(bucket kv.Bucket, prefix []byte) uint64 {
	return xxhash.Sum64(append(binary.BigEndian.AppendUint32(nil, uint32(bucket.ID)), prefix...))
}

func sealCursor(body []byte, seed uint64) []byte {
	return binary.BigEndian.AppendUint64(body, cursorSumOf(body, seed))
}

func openCursor(cursor []byte, seed uint64) ([]byte, bool) {
	if len(cursor) < cursorSum {
		return nil, false
	}
	body := cursor[:len(cursor)-cursorSum]
	return body, binary.BigEndian.Uint64(cursor[len(body):]) == cursorSumOf(body, seed)
}

func cursorSumOf(body []byte, seed uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(body) // never fails
	return d.Sum64()
}

func badCursor(text string) error {
	return &coordinator.Error{Code: wire.CodeInvalid, Text: text}
}
