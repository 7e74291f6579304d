// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/wire"
)

// filled is a store with keys of one partition in two buckets.
func filled(t *testing.T, e Engine, keys ...string) *rig {
	t.Helper()
	r := start(t, testConfig(), e)
	for _, key := range keys {
		for _, bucket := range []kv.BucketID{1, 2} {
			done := make(chan Result, 1)
			err := r.Do(&Op{
				Partition: 5, Bucket: bucket, Key: []byte(key),
				Apply: r.write(key + "'s value"), Done: func(res Result) { done <- res },
			})
			if err != nil {
				t.Fatal(err)
			}
			mustDo(t, <-done)
		}
	}
	return r
}

func TestScanPagesThroughAPrefixInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		r := filled(t, e, "b", "a", "ab", "aa", "aac", "c", "a\x00", "a\xff")
		for _, tc := range []struct {
			name, prefix, after string
			limit               int
			want                string
			more                bool
		}{
			{"all", "", "", 99, "a a\x00 aa aac ab a\xff b c", false},
			{"exactly the limit", "", "", 8, "a a\x00 aa aac ab a\xff b c", false},
			{"one less", "", "", 7, "a a\x00 aa aac ab a\xff b", true},
			{"a prefix", "a", "", 99, "a a\x00 aa aac ab a\xff", false},
			{"after a key", "a", "aa", 99, "aac ab a\xff", false},
			{"after a key that is not there", "a", "aab", 2, "aac ab", true},
			{"after the last", "", "c", 2, "", false},
			{"after before the prefix", "b", "a", 9, "b", false},
			{"a prefix of nothing", "x", "", 9, "", false},
		} {
			for _, mode := range []Mode{ModeFull, ModeBare} {
				entries, more, err := r.Scan(5, 1, []byte(tc.prefix), []byte(tc.after), tc.limit, 1<<20, mode)
				if err != nil {
					t.Fatal(err)
				}
				var keys []string
				for _, entry := range entries {
					keys = append(keys, string(entry.Key))
					v := entry.Object.Versions[0]
					if mode == ModeFull && string(v.Value) != string(entry.Key)+"'s value" {
						t.Errorf("%s: %q has the value %q", tc.name, entry.Key, v.Value)
					}
				}
				if got := strings.Join(keys, " "); got != tc.want || more != tc.more {
					t.Errorf("%s: %q, more %t; want %q, %t", tc.name, got, more, tc.want, tc.more)
				}
			}
		}
	})
}

func TestScanStopsAtItsBytesButReturnsOneEntryAtLeast(t *testing.T) {
	r := filled(t, NewMemory(), "a", "b", "c")
	entries, more, err := r.Scan(5, 1, nil, nil, 99, 1, ModeFull)
	if err != nil || len(entries) != 1 || !more {
		t.Errorf("%d entries, more %t, %v; want one, and more", len(entries), more, err)
	}
	size := len(recordKey("a")) + wire.RecordOverhead + len(entries[0].Encoded)
	entries, more, err = r.Scan(5, 1, nil, nil, 99, 2*size, ModeFull)
	if err != nil || len(entries) != 2 || !more {
		t.Errorf("%d entries, more %t, %v; want two, and more", len(entries), more, err)
	}
}

// TestScanCountsValuesThatHaveTheirOwnRecords: what the object's record says of their
// size counts before they are read.
func TestScanCountsValuesThatHaveTheirOwnRecords(t *testing.T) {
	r := start(t, testConfig(), NewMemory())
	const size = 200 << 10
	for _, key := range []string{"a", "b", "c"} {
		done := make(chan Result, 1)
		err := r.Do(&Op{
			Partition: 5, Bucket: 1, Key: []byte(key),
			Apply: r.write(big(key, size)), Done: func(res Result) { done <- res },
		})
		if err != nil {
			t.Fatal(err)
		}
		mustDo(t, <-done)
	}
	for room, want := range map[int]int{1: 1, size: 1, 2*size - 1: 1, 2*size + 4<<10: 2, 4 * size: 3} {
		entries, more, err := r.Scan(5, 1, nil, nil, 99, room, ModeFull)
		if err != nil || len(entries) != want || more != (want < 3) {
			t.Errorf("%d bytes: %d entries, more %t, %v; want %d", room, len(entries), more, err, want)
		}
		for _, e := range entries {
			if !e.Full || string(e.Object.Versions[0].Value) != big(string(e.Key), size) {
				t.Errorf("%d bytes: %q is not whole", room, e.Key)
			}
		}
	}
	if entries, _, err := r.Scan(5, 1, nil, nil, 99, size, ModeBare); err != nil || len(entries) != 3 {
		t.Errorf("bare: %d entries, %v; want all, values do not count", len(entries), err)
	}
}

func TestFoldShowsEveryObjectOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, _ engineCase, e Engine) {
		var keys, want []string
		for i := range foldStep + 3 {
			keys = append(keys, fmt.Sprintf("key-%03d", i))
		}
		r := filled(t, e, keys...)
		mustDo(t, r.overwrite("elsewhere", "x"))
		for _, bucket := range []int{1, 2} {
			for _, key := range keys {
				want = append(want, fmt.Sprintf("%d/%s", bucket, key))
			}
		}
		var got []string
		err := r.Fold(5, func(bucket kv.BucketID, key []byte, c Current) bool {
			if c.State != StatePresent || c.Object.Versions[0].Value != nil {
				t.Errorf("%s: %s with values %t", key, c.State, c.Full)
			}
			got = append(got, fmt.Sprintf("%d/%s", bucket, key))
			return true
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d objects, %v; want %d", len(got), err, len(want))
		}
		n := 0
		if err := r.Fold(5, func(kv.BucketID, []byte, Current) bool { n++; return n < 2 }); err != nil || n != 2 {
			t.Errorf("%d objects, %v; the function stopped it at two", n, err)
		}
	})
}
