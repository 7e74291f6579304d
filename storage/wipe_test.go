// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// full commits more records of all kinds than a wipe takes at a time.
func full(t *testing.T, e Engine) (ts uint64) {
	t.Helper()
	mark := Write{
		Key:   wire.AppendStampMarkKey(nil),
		Value: wire.AppendStampMarkRecord(nil, kv.StampAt(1234)),
	}
	writes := []Write{mark}
	for n := range wipeKeys + 100 {
		key := fmt.Appendf(nil, "k%05d", n)
		writes = append(writes,
			Write{Key: wire.AppendObjectKey(nil, 3, kv.DefaultBucket, key), Value: []byte("v")})
		if n%100 == 0 {
			writes = append(writes,
				Write{Key: wire.AppendHintKey(nil, 3, 1, kv.DefaultBucket, key), Value: []byte("h")},
				Write{Key: wire.AppendJournalKey(nil, uint64(n)), Value: []byte("j")})
		}
		if len(writes) > 500 {
			ts++
			if err := e.Commit(ts, writes); err != nil {
				t.Fatal(err)
			}
			writes = nil
		}
	}
	ts++
	if err := e.Commit(ts, writes); err != nil {
		t.Fatal(err)
	}
	return ts
}

func held(t *testing.T, e Engine) (keys [][]byte) {
	t.Helper()
	err := e.Iterate(e.MaxVersion(), nil, nil, func(key, _ []byte) bool {
		keys = append(keys, bytes.Clone(key))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestAWipeLeavesNothingButTheClock(t *testing.T) {
	for name, open := range map[string]func() Engine{
		"memory": func() Engine { return NewMemory() },
		"badger": func() Engine { return openBadger(t, filepath.Join(ramDir(t), "data")) },
	} {
		t.Run(name, func(t *testing.T) {
			e := open()
			ts := full(t, e)
			ended, stop := context.WithCancel(t.Context())
			stop()
			if err := Wipe(ended, e); !errors.Is(err, context.Canceled) {
				t.Errorf("a wipe that is to end: %v", err)
			}
			if err := Wipe(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			keys := held(t, e)
			if len(keys) != 1 || !bytes.Equal(keys[0], wire.AppendStampMarkKey(nil)) {
				t.Errorf("%d records are left: %.40q", len(keys), keys)
			}
			if got := e.MaxVersion(); got <= ts {
				t.Errorf("the newest version is %d, it was %d", got, ts)
			}
			if err := Wipe(t.Context(), e); err != nil || len(held(t, e)) != 1 {
				t.Errorf("again: %v", err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// errFull is a commit that fails.
var errFull = errors.New("the disk is gone")

type failing struct{ Engine }

func (failing) Commit(uint64, []Write) error { return errFull }

func TestAWipeThatFailsSaysSo(t *testing.T) {
	e := NewMemory()
	full(t, e)
	if err := Wipe(t.Context(), failing{e}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}
