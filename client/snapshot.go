// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// MetaSnapshot says what the saved state of the metadata group is of.
type MetaSnapshot struct {
	Index, Term uint64 // of the last command in it
	Generation  kv.Generation
	Size        uint64 // in bytes
	Checksum    uint64 // xxhash64 with the seed 0
	// Node is who gave it: its name where that is known, else its address.
	Node string
}

var (
	errOtherSnapshot   = errors.New("the node has given up the snapshot and begun another")
	errEmptyPiece      = errors.New("a piece of the snapshot is empty, or not the next one")
	errDamagedSnapshot = errors.New("the snapshot has another checksum than the node told")
)

// MetaSnapshot writes the state of the metadata group to w: all that was committed when it
// was called is in it, and it is as of one index. It needs a leader. The state comes in
// pieces from one node, each with a time-out of its own. Only where there is no error w has
// got the whole; where it is [ErrChanged] the node, or its successor, no longer had what it
// had begun with, and it may be tried again with a new w.
func (c *Client) MetaSnapshot(
	ctx context.Context, w io.Writer, opts ...Option,
) (MetaSnapshot, error) {
	var o options
	if why := o.fold(opts, optAny); why != "" {
		return MetaSnapshot{}, invalidError(wire.MethodStateSnapshot, "", nil, why)
	}
	q := c.groupCall(ctx, wire.MethodStateSnapshot, wire.OpRead, "", &o)
	var next wire.StateSnapshotRequest
	q.encode = func(dst []byte) []byte {
		next.Common = o.common(q)
		return wire.AppendStateSnapshotRequest(dst, &next)
	}
	first, err := ask(ctx, c, q, wire.DecodeStateSnapshotResult)
	if err != nil {
		return MetaSnapshot{}, err
	}
	whole := MetaSnapshot{
		Index: first.Index, Term: first.Term, Generation: first.Generation, Size: first.Size,
		Checksum: first.Checksum, Node: q.last.name(),
	}
	sum, piece := xxhash.New(), first
	for {
		if why := misplaced(&whole, &piece, next.Offset); why != nil {
			return MetaSnapshot{}, q.badPiece(why)
		}
		_, _ = sum.Write(piece.Chunk) // it never fails
		if _, err := w.Write(piece.Chunk); err != nil {
			return MetaSnapshot{}, fmt.Errorf("client: write the snapshot: %w", err)
		}
		next.Index, next.Offset = whole.Index, next.Offset+uint64(len(piece.Chunk))
		if next.Offset == whole.Size {
			break
		}
		q.stay()
		q.deadline = c.deadline(ctx, &o)
		if piece, err = ask(ctx, c, q, wire.DecodeStateSnapshotResult); err != nil {
			return MetaSnapshot{}, err
		}
	}
	if sum.Sum64() != whole.Checksum {
		return MetaSnapshot{}, q.badAnswer(errDamagedSnapshot)
	}
	return whole, nil
}

// misplaced says why a piece is not the one at an offset; nil where it is.
func misplaced(whole *MetaSnapshot, piece *wire.StateSnapshotResult, offset uint64) error {
	switch {
	case piece.Index != whole.Index, piece.Term != whole.Term, piece.Size != whole.Size,
		piece.Checksum != whole.Checksum:
		return errOtherSnapshot
	case piece.Index == 0, piece.Offset != offset, len(piece.Chunk) == 0:
		return errEmptyPiece
	default:
		return nil
	}
}

// badPiece is the error of a piece that is not the next one.
func (q *call) badPiece(why error) error {
	e := q.badAnswer(why)
	if errors.Is(why, errOtherSnapshot) {
		e.Code = CodeChanged
	}
	return e
}
