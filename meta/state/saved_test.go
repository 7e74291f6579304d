// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// savedFile is a file that keeps the state of the story.
func savedFile(t testing.TB) (file []byte, s *State) {
	t.Helper()
	s = story(t)
	snapshot := s.Snapshot(nil)
	header, _, err := Seal(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return append(header, snapshot...), s
}

func TestASavedStateGoesOnAsTheOneThatWasSaved(t *testing.T) {
	file, s := savedFile(t)
	got, err := Unseal(file)
	if err != nil {
		t.Fatal(err)
	}
	sameState(t, "saved", s, got.State)
	if got.Size != uint64(len(file)-savedHeader) || got.Checksum == 0 {
		t.Errorf("%d bytes, checksum %x", got.Size, got.Checksum)
	}
	again := restored(t, got.State)
	entry := AppendEntry(nil, Token{Raft: 1, Seq: 9}, samples()...)
	for _, state := range []*State{s, again} {
		if _, err := state.Apply(state.Index()+1, state.Term(), entry); err != nil {
			t.Fatal(err)
		}
	}
	sameState(t, "one entry later", s, again)
}

func TestASavedStateOfWhichABitHasChangedIsRefused(t *testing.T) {
	file, _ := savedFile(t)
	for at := range file {
		spoiled := bytes.Clone(file)
		spoiled[at] ^= 1 << (at % 8)
		_, err := Unseal(spoiled)
		switch {
		case at >= 8 && at < 12:
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("another version at byte %d: %v", at, err)
			}
		case !errors.Is(err, ErrDamaged):
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for length := range file {
		if _, err := Unseal(file[:length]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", length, err)
		}
	}
	if _, err := Unseal(append(file, 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestWhatCanNotBeRestoredIsNotSealed(t *testing.T) {
	snapshot := story(t).Snapshot(nil)
	for name, c := range map[string]struct {
		bytes []byte
		want  error
	}{
		"nothing":         {nil, ErrDamaged},
		"a part":          {snapshot[:len(snapshot)-1], ErrDamaged},
		"a newer release": {append([]byte{snapshotVersion + 1}, snapshot[1:]...), ErrUnknown},
	} {
		if _, _, err := Seal(c.bytes); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The header of a file stays as it is: files are kept for years.
func TestHeaderOfASavedStateStaysAsItIs(t *testing.T) {
	snapshot := begin(t, 3, 2).Snapshot(nil)
	header, s, err := Seal(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	const want = "64796e6f6d65746100000001"
	if got := hex.EncodeToString(header); len(header) != savedHeader || got[:len(want)] != want {
		t.Errorf("header %s", got)
	}
	tail := []byte{7: byte(s.State.Index())}
	tail = append(tail, 0, 0, 0, 0, 0, 0, 0, byte(s.State.Term()))
	tail = append(tail, 0, 0, 0, 0, 0, 0, byte(s.Size>>8), byte(s.Size))
	cluster := s.State.Cluster()
	if !bytes.Equal(header[32:56], tail) || !bytes.Equal(header[16:32], cluster[:]) ||
		!bytes.Equal(header[12:16], []byte{0, 0, 0, byte(s.State.Generation())}) {
		t.Errorf("header % x", header)
	}
}

func FuzzUnseal(f *testing.F) {
	file, _ := savedFile(f)
	f.Add(file)
	f.Add(file[:savedHeader])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Unseal(b)
		canonical(t, b, err, func() []byte {
			snapshot := s.State.Snapshot(nil)
			header, _, err := Seal(snapshot)
			if err != nil {
				t.Error(err)
			}
			return append(header, snapshot...)
		})
	})
}
