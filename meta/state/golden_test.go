// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden compares bytes with those of testdata, which were written once and must be read
// for ever: logs and snapshots outlive the release that wrote them.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if updating() {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the encoding has changed, and other releases can not read it; give it another "+
			"version (if it was never released: go test ./meta/state -update):\n%s", diff)
	}
}

func TestCommandsKeepTheirBytes(t *testing.T) {
	var lines bytes.Buffer
	seen := make(map[kind]bool)
	for _, c := range samples() {
		encoded := AppendCommand(nil, c)
		fmt.Fprintf(&lines, "%T %x\n", c, encoded)
		decoded, err := DecodeCommand(encoded)
		if err != nil {
			t.Errorf("%T: %v", c, err)
		}
		if diff := cmp.Diff(c, decoded); diff != "" {
			t.Errorf("%T is read as another:\n%s", c, diff)
		}
		if seen[c.kind()] {
			t.Errorf("%T stands twice", c)
		}
		seen[c.kind()] = true
	}
	for k := kindRegisterMember; k <= lastKind; k++ {
		if !seen[k] {
			t.Errorf("command %d has no vector", k)
		}
	}
	golden(t, "commands", lines.Bytes())
}

func TestEntriesKeepTheirBytes(t *testing.T) {
	token := Token{Raft: 2<<48 | 5, Seq: 300}
	entry := AppendEntry(nil, token, DropRaft{Raft: 7}, FormRing{})
	golden(t, "entry", fmt.Appendf(nil, "%x\n", entry))
	got, commands, err := DecodeEntry(entry)
	if err != nil || got != token {
		t.Fatalf("the entry has the token %v, %v", got, err)
	}
	if diff := cmp.Diff([]Command{DropRaft{Raft: 7}, FormRing{}}, commands); diff != "" {
		t.Error(diff)
	}
	encoded := [][]byte{AppendCommand(nil, DropRaft{Raft: 7}), AppendCommand(nil, FormRing{})}
	if !bytes.Equal(entry, AppendEntryOf(nil, token, encoded...)) {
		t.Error("an entry of encoded commands has other bytes")
	}
}

func TestSnapshotsKeepTheirBytes(t *testing.T) {
	s := story(t)
	golden(t, "snapshot", []byte(hex.Dump(s.Snapshot(nil))))
	sameState(t, "the restored state", s, restored(t, s))
	hash := s.Hash()
	golden(t, "hash", fmt.Appendf(nil, "%x\n", hash))
	young := begin(t, 3, 2).State
	golden(t, "snapshot_young", []byte(hex.Dump(young.Snapshot(nil))))
	sameState(t, "the restored state", young, restored(t, young))
}

func TestViewsKeepTheirBytes(t *testing.T) {
	for name, s := range map[string]*State{"view": story(t), "view_young": begin(t, 3, 2).State} {
		v := s.View()
		encoded := AppendView(nil, v)
		golden(t, name, []byte(hex.Dump(encoded)))
		decoded, err := DecodeView(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if (v.Ring == nil) != (decoded.Ring == nil) {
			t.Fatal("the ring is lost")
		}
		if v.Ring != nil {
			if diff := cmp.Diff(v.Ring.State(), decoded.Ring.State()); diff != "" {
				t.Error(diff)
			}
		}
		a, b := *v, *decoded
		a.Ring, b.Ring = nil, nil
		if diff := cmp.Diff(a, b); diff != "" {
			t.Error(diff)
		}
	}
}

func TestResultsKeepTheirBytes(t *testing.T) {
	var lines bytes.Buffer
	for _, r := range resultSamples(t) {
		encoded := AppendResult(nil, &r)
		fmt.Fprintf(&lines, "%x\n", encoded)
		decoded, err := DecodeResult(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, decoded, cmp.AllowUnexported(Member{})); diff != "" {
			t.Error(diff)
		}
	}
	golden(t, "results", lines.Bytes())
}
