// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// snapshots is a fake's group: it answers meta.snapshot with pieces of a state.
type snapshots struct {
	t     *testing.T
	state []byte
	// change, where there is one, spoils the answer to each request, numbered from 1.
	change func(n int, a *wire.StateSnapshotResult)
	nodes  []string // who answered
}

const snapshotPiece = 10

func (s *snapshots) answer(n *fakeNode, call *rpc.Call, req seen) bool {
	if req.method != wire.MethodStateSnapshot {
		return false
	}
	var q wire.StateSnapshotRequest
	if err := wire.DecodeStateSnapshotRequest(call.Params, &q); err != nil {
		s.t.Error(err)
	}
	a := wire.StateSnapshotResult{
		Index: 81, Term: 2, Generation: 1, Size: uint64(len(s.state)),
		Checksum: xxhash.Sum64(s.state), Offset: q.Offset,
		Chunk: s.state[q.Offset:min(int(q.Offset)+snapshotPiece, len(s.state))],
	}
	s.nodes = append(s.nodes, n.name)
	if s.change != nil {
		s.change(len(s.nodes), &a)
	}
	if (q.Index == 0) != (q.Offset == 0) || q.Index != 0 && q.Index != 81 {
		s.t.Errorf("asked for %+v", q)
	}
	call.Reply(func(dst []byte) []byte { return wire.AppendStateSnapshotResult(dst, &a) })
	return true
}

func newSnapshots(t *testing.T, f *fake, size int) *snapshots {
	s := &snapshots{t: t, state: make([]byte, size)}
	for i := range s.state {
		s.state[i] = byte(i)
	}
	f.onData(s.answer)
	return s
}

func TestASnapshotComesInPiecesFromOneNode(t *testing.T) {
	for _, size := range []int{1, snapshotPiece, 3*snapshotPiece - 1, 3 * snapshotPiece} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, 3)
			s := newSnapshots(t, f, size)
			var got bytes.Buffer
			told, err := f.client(nil).MetaSnapshot(t.Context(), &got)
			if err != nil || !bytes.Equal(got.Bytes(), s.state) {
				t.Fatalf("%d of %d bytes, %v", got.Len(), size, err)
			}
			want := MetaSnapshot{
				Index: 81, Term: 2, Generation: 1, Size: uint64(size),
				Checksum: xxhash.Sum64(s.state), Node: s.nodes[0],
			}
			if told != want {
				t.Errorf("%+v, want %+v", told, want)
			}
			for _, node := range s.nodes {
				if node != s.nodes[0] {
					t.Errorf("pieces are from %q", s.nodes)
				}
			}
		})
	}
}

func TestASnapshotThatIsNotOneIsNoSnapshot(t *testing.T) {
	for name, c := range map[string]struct {
		change func(n int, a *wire.StateSnapshotResult)
		want   error
	}{
		"another begins": {func(n int, a *wire.StateSnapshotResult) {
			if n == 2 {
				a.Index, a.Offset = 90, 0
			}
		}, ErrChanged},
		"another of the same index": {func(n int, a *wire.StateSnapshotResult) {
			if n == 2 {
				a.Checksum, a.Offset = 1, 0
			}
		}, ErrChanged},
		"a piece twice": {func(n int, a *wire.StateSnapshotResult) {
			if n == 3 {
				a.Offset -= snapshotPiece
			}
		}, ErrInternal},
		"an empty piece": {func(n int, a *wire.StateSnapshotResult) {
			if n == 2 {
				a.Chunk = nil
			}
		}, ErrInternal},
		"of nothing": {func(_ int, a *wire.StateSnapshotResult) { a.Index = 0 }, ErrInternal},
		"damaged": {func(n int, a *wire.StateSnapshotResult) {
			if n == 3 {
				a.Chunk = bytes.Clone(a.Chunk)
				a.Chunk[4] ^= 1
			}
		}, ErrInternal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 1)
				newSnapshots(t, f, 3*snapshotPiece).change = c.change
				var got bytes.Buffer
				told, err := f.client(nil).MetaSnapshot(t.Context(), &got)
				if !errors.Is(err, c.want) || told != (MetaSnapshot{}) {
					t.Errorf("%+v, %v, want %v", told, err, c.want)
				}
			})
		})
	}
}

// broken is a full disk.
type broken struct{}

var errFull = errors.New("no room")

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestASnapshotEndsWhereItCanNotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		s := newSnapshots(t, f, 3*snapshotPiece)
		if _, err := f.client(nil).MetaSnapshot(t.Context(), broken{}); !errors.Is(err, errFull) {
			t.Error(err)
		}
		if len(s.nodes) != 1 {
			t.Errorf("%d pieces were asked for", len(s.nodes))
		}
		if _, err := f.client(nil).MetaSnapshot(t.Context(), broken{}, WithR(One)); !errors.Is(err,
			ErrInvalid) {
			t.Error(err)
		}
	})
}

// Each piece has the time-out of a request: a state that takes longer to bring out than
// one request may last is brought out.
func TestATimeoutBoundsAPieceNotTheSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		s := newSnapshots(t, f, 5*snapshotPiece)
		s.change = func(int, *wire.StateSnapshotResult) { time.Sleep(400 * time.Millisecond) }
		var got bytes.Buffer
		_, err := f.client(nil).MetaSnapshot(t.Context(), &got, WithTimeout(time.Second))
		if err != nil || got.Len() != len(s.state) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
	})
}
