// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unicode/utf8"
)

// NameCursor is where a page of session.list or lock.list begins: after what has this
// name, and among sessions of one name after this id.
type NameCursor struct {
	Name    string
	Session [16]byte // zero for locks
}

const (
	nameCursorHead = 1 + 16
	minNameCursor  = nameCursorHead + scanCursorSum
)

// AppendNameCursor appends the cursor of a method over what begins with prefix.
//
//	version (1) | session (16) | name | CRC32C (4, over method, prefix and all before)
func AppendNameCursor(dst []byte, c NameCursor, method, prefix string) []byte {
	start := len(dst)
	dst = append(append(dst, cursorVersion), c.Session[:]...)
	dst = append(dst, c.Name...)
	return binary.BigEndian.AppendUint32(dst, sumNameCursor(dst[start:], method, prefix))
}

// OpenNameCursor is the inverse of AppendNameCursor. An empty cursor is where a list
// starts. It returns ErrCursor where b was not made for that method and prefix.
func OpenNameCursor(b []byte, method, prefix string) (NameCursor, error) {
	if len(b) == 0 {
		return NameCursor{}, nil
	}
	if len(b) < minNameCursor || b[0] != cursorVersion {
		return NameCursor{}, fmt.Errorf("%w: malformed", ErrCursor)
	}
	at := len(b) - scanCursorSum
	if binary.BigEndian.Uint32(b[at:]) != sumNameCursor(b[:at], method, prefix) {
		return NameCursor{}, fmt.Errorf("%w: checksum differs", ErrCursor)
	}
	name := b[nameCursorHead:at]
	if len(name) > MaxLockName || !utf8.Valid(name) {
		return NameCursor{}, fmt.Errorf("%w: a name of %d bytes", ErrCursor, len(name))
	}
	return NameCursor{Name: string(name), Session: [16]byte(b[1:])}, nil
}

func sumNameCursor(body []byte, method, prefix string) uint32 {
	head := fmt.Appendf(nil, "%d %s %d %s", len(method), method, len(prefix), prefix)
	return crc32.Update(crc32.Update(0, castagnoli, head), castagnoli, body)
}
