// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/vclock"
)

func TestSkipOpensWithItsContextOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		last, seen := drawDot(t), drawObject(t).Context
		skip := AppendSkip(nil, last, seen)
		if got, err := OpenSkip(skip, seen); err != nil || got != last {
			t.Fatalf("got %v, %v", got, err)
		}
		changed := seen.Add(vclock.Dot{Actor: 1, Counter: 1})
		if _, err := OpenSkip(skip, changed); !errors.Is(err, ErrCursor) {
			t.Fatalf("opens although the key has changed: %v", err)
		}
		cut := rapid.IntRange(0, len(skip)-1).Draw(t, "cut")
		if _, err := OpenSkip(skip[:cut], seen); !errors.Is(err, ErrCursor) {
			t.Fatalf("opens with %d bytes: %v", cut, err)
		}
	})
}

func TestScanCursorOpensForItsScanOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := drawBytes(t, "prefix", 0, 9)
		bucket := kv.BucketID(rapid.Uint32().Draw(t, "bucket"))
		want := ScanCursor{rapid.Uint16().Draw(t, "partition"), drawBytes(t, "after", 0, 40)}
		b := AppendScanCursor([]byte("x"), want, bucket, prefix)[1:]
		got, err := OpenScanCursor(b, bucket, prefix)
		if err != nil || got.Partition != want.Partition || !bytes.Equal(got.After, want.After) {
			t.Fatalf("got %v, %v", got, err)
		}
		if _, err := OpenScanCursor(b, bucket+1, prefix); !errors.Is(err, ErrCursor) {
			t.Fatalf("opens for another bucket: %v", err)
		}
		longer := append(prefix[:len(prefix):len(prefix)], 'p')
		if _, err := OpenScanCursor(b, bucket, longer); !errors.Is(err, ErrCursor) {
			t.Fatalf("opens for another prefix: %v", err)
		}
		flipped := bytes.Clone(b)
		flipped[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 4
		if _, err := OpenScanCursor(flipped, bucket, prefix); !errors.Is(err, ErrCursor) {
			t.Fatalf("opens although damaged: %v", err)
		}
		cut := rapid.IntRange(1, len(b)-1).Draw(t, "cut")
		if _, err := OpenScanCursor(b[:cut], bucket, prefix); !errors.Is(err, ErrCursor) {
			t.Fatalf("opens with %d bytes: %v", cut, err)
		}
	})
	if got, err := OpenScanCursor(nil, 1, nil); err != nil || got.Partition != 0 || got.After != nil {
		t.Errorf("the start: got %v, %v", got, err)
	}
	long := ScanCursor{After: make([]byte, kv.MaxKey+1)}
	b := AppendScanCursor(nil, long, 1, nil)
	if _, err := OpenScanCursor(b, 1, nil); !errors.Is(err, ErrCursor) {
		t.Errorf("a key longer than keys can be: %v", err)
	}
	long.After = long.After[1:]
	if n := len(AppendScanCursor(nil, long, 1, nil)); n > MaxCursor {
		t.Errorf("a cursor of the longest key has %d bytes, requests may carry %d", n, MaxCursor)
	}
}
