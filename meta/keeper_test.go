// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/zap"

	"github.com/dyno-kv/dyno/storage"
	"github.com/dyno-kv/dyno/wire"
)

func newTestKeeper() (*keeper, *storage.Memory) {
	engine := storage.NewMemory()
	return newKeeper(storage.OpenControl(engine, zap.NewNop()), zap.NewNop()), engine
}

// pieces cuts a snapshot at an index into pieces of a size.
func pieces(index uint64, data []byte, size int) (list []wire.SnapshotPart) {
	for at := 0; at < len(data); at += size {
		list = append(list, wire.SnapshotPart{
			Index: index, Term: 3, Total: uint64(len(data)), Sum: xxhash.Sum64(data),
			Offset: uint64(at), Chunk: data[at:min(at+size, len(data))],
		})
	}
	return list
}

func TestPiecesOfASnapshotBecomeOneThatIsDurable(t *testing.T) {
	k, engine := newTestKeeper()
	data := bytes.Repeat([]byte("state "), 100_000)
	var file *snapshotFile
	for _, p := range pieces(9, data, 100_000) {
		for range 2 { // each comes twice: its answer was lost
			next, f, err := k.take(1, &p)
			must(t, err)
			if want := p.Offset + uint64(len(p.Chunk)); f == nil && next != want {
				t.Fatalf("the next is wanted at %d after a piece up to %d", next, want)
			}
			if f != nil {
				file = f
				break
			}
		}
	}
	if file == nil || file.head.Index != 9 || file.head.Term != 3 || !bytes.Equal(file.data, data) {
		t.Fatal("the snapshot is not whole")
	}
	after := storage.OpenControl(engine.Crash(nil), zap.NewNop())
	if got, err := readParts(after, &file.head); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes are durable, %v; want %d", len(got), err, len(data))
	}
	if file.head.Parts != 3 {
		t.Errorf("%d parts, want 3", file.head.Parts)
	}
}

func TestAPieceThatDoesNotFitBeginsNothing(t *testing.T) {
	k, _ := newTestKeeper()
	first, second := pieces(9, make([]byte, 100), 40), pieces(10, make([]byte, 100), 40)
	take := func(from uint64, p wire.SnapshotPart, want uint64) {
		t.Helper()
		next, file, err := k.take(from, &p)
		must(t, err)
		if next != want || file != nil {
			t.Errorf("the next is wanted at %d, want %d", next, want)
		}
	}
	take(1, first[1], 0) // its beginning is not here
	take(1, first[0], 40)
	take(1, first[2], 40) // one is missing between
	take(2, first[1], 0)  // of another sender
	take(1, second[1], 0) // of another snapshot
	take(1, first[1], 80)
	take(1, second[0], 40)
	take(1, first[2], 0)
}

func TestADamagedSnapshotIsTakenFromItsBeginningAgain(t *testing.T) {
	k, _ := newTestKeeper()
	data := bytes.Repeat([]byte("x"), 100)
	list := pieces(9, data, 60)
	list[1].Chunk = bytes.Repeat([]byte("y"), 40)
	for i, want := range []uint64{60, 0} {
		next, file, err := k.take(1, &list[i])
		must(t, err)
		if next != want || file != nil {
			t.Errorf("the next is wanted at %d, want %d", next, want)
		}
	}
	for _, p := range pieces(9, data, 60) {
		if _, file, err := k.take(1, &p); err != nil || p.Offset > 0 && file == nil {
			t.Errorf("the whole one is not taken afterwards: %v", err)
		}
	}
}

func TestASnapshotThatIsNotWhatWasWrittenIsDamage(t *testing.T) {
	k, engine := newTestKeeper()
	file := &snapshotFile{data: make([]byte, 2*partSize)}
	must(t, k.write(file))
	intact := file.head
	for name, change := range map[string]func(*wire.SnapshotHead){
		"another sum":       func(h *wire.SnapshotHead) { h.Sum++ },
		"a part too few":    func(h *wire.SnapshotHead) { h.Parts-- },
		"a part too many":   func(h *wire.SnapshotHead) { h.Parts++ },
		"too large":         func(h *wire.SnapshotHead) { h.Size = wire.MaxMetaSnapshot + 1 },
		"more than it says": func(h *wire.SnapshotHead) { h.Size-- },
	} {
		head := intact
		change(&head)
		if _, err := readParts(k.control, &head); !errors.Is(err, ErrDamagedLog) {
			t.Errorf("%s: %v, want ErrDamagedLog", name, err)
		}
	}
	engine.Damage([]byte(wire.SnapshotPartKey(intact.ID, 1)), func(b []byte) []byte { return b[1:] })
	if _, err := readParts(k.control, &intact); !errors.Is(err, ErrDamagedLog) {
		t.Errorf("%v, want ErrDamagedLog", err)
	}
}
