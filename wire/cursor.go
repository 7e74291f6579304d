// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

// ErrCursor is returned for a cursor that is damaged or belongs to something else: to
// another scan, or to siblings that have changed since. The client starts again.
var ErrCursor = errors.New("wire: not a cursor of this request")

const (
	cursorVersion  = 1
	skipSize       = 1 + dotSize + 8
	scanCursorHead = 1 + 2
	scanCursorSum  = 4
	minScanCursor  = scanCursorHead + scanCursorSum
)

// AppendSkip appends the cursor of kv.get: the siblings of an object of context seen
// that come after last.
//
//	version (1) | actor (8) | counter (8) | xxhash64 of the context (8)
func AppendSkip(dst []byte, last vclock.Dot, seen vclock.Context) []byte {
	dst = append(dst, cursorVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(last.Actor))
	dst = binary.BigEndian.AppendUint64(dst, last.Counter)
	return binary.BigEndian.AppendUint64(dst, contextSum(seen))
}

// OpenSkip returns the dot after which the next page begins. It returns ErrCursor where
// skip was not made for an object of context seen.
func OpenSkip(skip []byte, seen vclock.Context) (vclock.Dot, error) {
	if len(skip) != skipSize || skip[0] != cursorVersion {
		return vclock.Dot{}, fmt.Errorf("%w: malformed", ErrCursor)
	}
	if binary.BigEndian.Uint64(skip[1+dotSize:]) != contextSum(seen) {
		return vclock.Dot{}, fmt.Errorf("%w: the key has changed; read it again", ErrCursor)
	}
	return vclock.Dot{
		Actor:   vclock.Actor(binary.BigEndian.Uint64(skip[1:])),
		Counter: binary.BigEndian.Uint64(skip[9:]),
	}, nil
}

func contextSum(c vclock.Context) uint64 {
	return xxhash.Sum64(c.Append(make([]byte, 0, 256)))
}

// ScanCursor is where a page of kv.scan begins.
type ScanCursor struct {
	Partition uint16
	// After is the last key of the page before, in that partition; empty where the
	// partition begins.
	After []byte
}

// AppendScanCursor appends the cursor of kv.scan over a bucket's keys with prefix.
//
//	version (1) | partition (2) | key | CRC32C (4, over bucket, prefix and all before)
func AppendScanCursor(dst []byte, c ScanCursor, bucket kv.BucketID, prefix []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(append(dst, cursorVersion), c.Partition)
	dst = append(dst, c.After...)
	return binary.BigEndian.AppendUint32(dst, sumScanCursor(dst[start:], bucket, prefix))
}

// OpenScanCursor is the inverse of AppendScanCursor; After aliases b. An empty cursor is
// where a scan starts. It returns ErrCursor where b was not made for that bucket and
// prefix.
func OpenScanCursor(b []byte, bucket kv.BucketID, prefix []byte) (ScanCursor, error) {
	if len(b) == 0 {
		return ScanCursor{}, nil
	}
	if len(b) < minScanCursor || b[0] != cursorVersion {
		return ScanCursor{}, fmt.Errorf("%w: malformed", ErrCursor)
	}
	at := len(b) - scanCursorSum
	if binary.BigEndian.Uint32(b[at:]) != sumScanCursor(b[:at], bucket, prefix) {
		return ScanCursor{}, fmt.Errorf("%w: checksum differs", ErrCursor)
	}
	c := ScanCursor{Partition: binary.BigEndian.Uint16(b[1:]), After: b[scanCursorHead:at:at]}
	if len(c.After) > kv.MaxKey {
		return ScanCursor{}, fmt.Errorf("%w: a key of %d bytes", ErrCursor, len(c.After))
	}
	return c, nil
}

func sumScanCursor(body []byte, bucket kv.BucketID, prefix []byte) uint32 {
	var head [8]byte
	binary.BigEndian.PutUint32(head[:], uint32(bucket))
	binary.BigEndian.PutUint32(head[4:], uint32(len(prefix)))
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, prefix)
	return crc32.Update(sum, castagnoli, body)
}
