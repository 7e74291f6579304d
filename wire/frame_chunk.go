// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
)

// MethodChunk is the notification that carries one [Chunk], between peers only.
const MethodChunk = "peer.chunk"

// Chunk is one piece of a message that was too long to be sent in one.
type Chunk struct {
	// Stream tells the messages apart that are under way at the same time.
	Stream uint64
	// Seq counts the pieces of a message from 0.
	Seq  uint64
	Last bool
	// Bytes aliases the notification.
	Bytes []byte
}

// AppendChunkParams appends the params of a chunk notification up to its bytes,
// and the head of those: the caller appends exactly size bytes next.
func AppendChunkParams(dst []byte, stream, seq uint64, last bool, size int) []byte {
	dst = appendFrameUint(appendFrameUint(append(dst, 0x94), stream), seq)
	if last {
		dst = append(dst, 0xc3)
	} else {
		dst = append(dst, 0xc2)
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(size))
}

// ParseChunk reads the params of a chunk notification, which have passed a scan.
func ParseChunk(params []byte) (Chunk, error) {
	var c Chunk
	if len(params) == 0 || params[0] != 0x94 {
		return c, fmt.Errorf("%w: a chunk is an array of four", ErrMalformed)
	}
	var ok bool
	rest := params[1:]
	if c.Stream, rest, ok = readFrameUint(rest); !ok {
		return c, fmt.Errorf("%w: stream of a chunk is not an integer from 0 on", ErrMalformed)
	}
	if c.Seq, rest, ok = readFrameUint(rest); !ok || len(rest) == 0 {
		return c, fmt.Errorf("%w: number of a chunk is not an integer from 0 on", ErrMalformed)
	}
	if rest[0] != 0xc2 && rest[0] != 0xc3 {
		return c, fmt.Errorf("%w: a chunk does not say whether it is the last", ErrMalformed)
	}
	c.Last = rest[0] == 0xc3
	if c.Bytes, rest, ok = readFrameText(rest[1:]); !ok || len(rest) != 0 {
		return c, fmt.Errorf("%w: a chunk does not end with its bytes", ErrMalformed)
	}
	return c, nil
}
