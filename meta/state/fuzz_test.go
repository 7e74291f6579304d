// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"testing"
)

// canonical checks what every decoder promises: it refuses with one of the two errors, or
// the bytes are those that the encoder makes of the value.
func canonical(t *testing.T, b []byte, err error, encode func() []byte) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrDamaged) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return
	}
	if encoded := encode(); !bytes.Equal(b, encoded) {
		t.Fatalf("%x was read, and is written as %x", b, encoded)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range samples() {
		f.Add(AppendCommand(nil, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		canonical(t, b, err, func() []byte { return AppendCommand(nil, c) })
	})
}

// FuzzDecodeEntry also applies what it has read: whatever an entry says, the state goes on,
// and a snapshot of it can be restored.
func FuzzDecodeEntry(f *testing.F) {
	f.Add(AppendEntry(nil, Token{Raft: 1, Seq: 2}, samples()...))
	for _, c := range samples() {
		f.Add(AppendEntry(nil, Token{}, c, c))
	}
	snapshot := story(f).Snapshot(nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		token, commands, err := DecodeEntry(b)
		if len(b) == 0 {
			return
		}
		canonical(t, b, err, func() []byte { return AppendEntry(nil, token, commands...) })
		if err != nil {
			return
		}
		s, err := Restore(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(s.Index()+1, s.Term(), b); err != nil {
			t.Fatal(err)
		}
		sameState(t, "the restored state", s, restored(t, s))
	})
}

func FuzzRestore(f *testing.F) {
	f.Add(story(f).Snapshot(nil))
	f.Add(begin(f, 3, 2).Snapshot(nil))
	entry := AppendEntry(nil, Token{}, samples()...)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Restore(b)
		canonical(t, b, err, func() []byte { return s.Snapshot(nil) })
		if err == nil && s.Index()+1 > s.Index() {
			// What was taken for a state must be able to go on as one.
			_, _ = s.Apply(s.Index()+1, s.Term(), entry)
		}
	})
}

func FuzzDecodeView(f *testing.F) {
	f.Add(AppendView(nil, story(f).View()))
	f.Add(AppendView(nil, begin(f, 3, 2).View()))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeView(b)
		canonical(t, b, err, func() []byte { return AppendView(nil, v) })
	})
}

func FuzzDecodeResult(f *testing.F) {
	s := story(f)
	f.Add(AppendResult(nil, &Result{Code: CodeOK}))
	f.Add(AppendResult(nil, &Result{
		Code: CodeRefused, Detail: "a reason", Member: s.members[2].clone(), Bucket: &s.buckets[0],
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResult(b)
		canonical(t, b, err, func() []byte { return AppendResult(nil, &r) })
	})
}
