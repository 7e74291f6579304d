// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"github.com/dyno-kv/dyno/kv"
)

// StateSnapshotRequest asks a node of the client port for a piece of the metadata group's
// state. It is not MetaSnapshotRequest, by which members bring each other a snapshot.
type StateSnapshotRequest struct {
	Common
	// Index is of the snapshot of which an earlier answer brought the first piece; 0: a new
	// one, of all that is committed when it is asked for.
	Index  uint64
	Offset uint64 // of the piece; with Index 0 it is 0
}

// AppendStateSnapshotRequest appends the params of meta.snapshot.
func AppendStateSnapshotRequest(dst []byte, q *StateSnapshotRequest) []byte {
	w := beginParams(dst)
	w.uintIfSet(fieldIndex, q.Index)
	w.uintIfSet(fieldOffset, q.Offset)
	w.common(q.Common)
	return w.end()
}

// DecodeStateSnapshotRequest reads the params of meta.snapshot.
func DecodeStateSnapshotRequest(params []byte, into *StateSnapshotRequest) error {
	*into = StateSnapshotRequest{Common: defaults()}
	q := openRequest(params)
	for f := q.next(); f != fieldNone; f = q.next() {
		switch f {
		case fieldIndex:
			into.Index = q.uint64()
		case fieldOffset:
			into.Offset = q.uint(MaxMetaSnapshot)
		default:
			q.common(f, &into.Common)
		}
	}
	if q.err == nil && into.Index == 0 && into.Offset != 0 {
		q.fail(invalid(fieldOffset.String(), "%d of no snapshot: index is missing", into.Offset))
	}
	return q.finish()
}

// StateSnapshotResult is a piece of the group's state. Chunk aliases the result where
// decoded.
type StateSnapshotResult struct {
	// Index is that of the last command in the state, and Term that command's.
	Index, Term uint64
	Generation  kv.Generation
	Size        uint64 // of the whole, at most MaxMetaSnapshot
	Checksum    uint64 // of the whole: xxhash64 with the seed 0
	// Offset is where Chunk begins: what was asked for, or 0 of another snapshot where the
	// node does not have that one any more.
	Offset uint64
	Chunk  []byte // at most MaxMetaChunk; empty at the end only
}

// AppendStateSnapshotResult appends the result of meta.snapshot.
func AppendStateSnapshotResult(dst []byte, a *StateSnapshotResult) []byte {
	w := beginMap(dst)
	w.uint(fieldIndex, a.Index)
	w.uint(fieldTerm, a.Term)
	w.uint(fieldGeneration, uint64(a.Generation))
	w.uint(fieldSize, a.Size)
	w.uint(fieldChecksum, a.Checksum)
	w.uint(fieldOffset, a.Offset)
	w.bin(fieldChunk, a.Chunk)
	return w.end()
}

// DecodeStateSnapshotResult reads the result of meta.snapshot.
func DecodeStateSnapshotResult(result []byte, into *StateSnapshotResult) error {
	*into = StateSnapshotResult{}
	r := reader{b: result}
	left := r.pairs()
	for f := r.next(&left); f != fieldNone; f = r.next(&left) {
		switch f {
		case fieldIndex:
			into.Index = r.uint64()
		case fieldTerm:
			into.Term = r.uint64()
		case fieldGeneration:
			into.Generation = r.generation()
		case fieldSize:
			into.Size = r.uint(MaxMetaSnapshot)
		case fieldChecksum:
			into.Checksum = r.uint64()
		case fieldOffset:
			into.Offset = r.uint(MaxMetaSnapshot)
		case fieldChunk:
			into.Chunk = r.bytes(MaxMetaChunk)
		default:
			r.skip()
		}
	}
	if end := into.Offset + uint64(len(into.Chunk)); r.err == nil && end > into.Size {
		r.fail(invalid(fieldChunk.String(), "it ends at %d of %d bytes", end, into.Size))
	}
	return r.finish()
}
