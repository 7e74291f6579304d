// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/dyno-kv/dyno/rpc"
	"github.com/dyno-kv/dyno/wire"
)

// onScan answers kv.scan with pages; a cursor is the number of the page. A key that
// ends with "!" is told without its siblings.
func (f *fake) onScan(partial int, list ...[]string) {
	f.onData(func(_ *fakeNode, call *rpc.Call, s seen) bool {
		if s.method != wire.MethodKeyScan {
			return false
		}
		var q wire.KeyScanRequest
		if err := wire.DecodeKeyScanRequest(call.Params, &q); err != nil {
			f.t.Error(err)
		}
		page, _ := strconv.Atoi(string(q.Cursor)) // the empty cursor is page 0
		r := wire.KeyScanResult{Complete: page != partial}
		for _, key := range list[page] {
			e := wire.KeyScanEntry{Key: []byte(key)}
			if !q.KeysOnly && !strings.HasSuffix(key, "!") {
				e.Siblings = []wire.Sibling{{Value: []byte("value of " + key)}}
				e.Context = []byte("context of " + key)
			}
			r.Entries = append(r.Entries, e)
		}
		if page+1 < len(list) {
			r.Cursor = []byte(strconv.Itoa(page + 1))
		}
		call.Reply(func(dst []byte) []byte { return wire.AppendKeyScanResult(dst, &r) })
		return true
	})
}

const noPage = -1

func keysOf(t *testing.T, s *Scan) []string {
	t.Helper()
	var keys []string
	for e, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(e.Key))
	}
	return keys
}

func TestAScanYieldsAllPages(t *testing.T) {
	cases := []struct {
		name     string
		partial  int
		pages    [][]string
		keys     []string
		complete bool
	}{
		{"one page", noPage, [][]string{{"a", "b"}}, []string{"a", "b"}, true},
		{"nothing", noPage, [][]string{{}}, nil, true},
		{"empty pages between", noPage, [][]string{{"a"}, {}, {}, {"b"}, {}}, []string{"a", "b"}, true},
		{"a partition without quorum", 1, [][]string{{"a"}, {}, {"b"}}, []string{"a", "b"}, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, 2)
				f.onScan(tc.partial, tc.pages...)
				s := f.client(nil).Bucket("default").Scan(nil, KeysOnly())
				if s.Complete() {
					t.Error("complete before it began")
				}
				if diff := cmp.Diff(tc.keys, keysOf(t, s)); diff != "" {
					t.Error(diff)
				}
				if s.Complete() != tc.complete || s.Cursor() != nil {
					t.Errorf("complete %v, cursor %q", s.Complete(), s.Cursor())
				}
				if again := keysOf(t, s); again != nil {
					t.Errorf("after its end it yields %v", again)
				}
			})
		})
	}
}

func TestAScanHasValuesAndReadsThoseThatDidNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onScan(noPage, []string{"a", "gone!"}, []string{"big!", "c"})
		b := f.client(nil).Bucket("default")
		if _, err := b.Put(t.Context(), []byte("big!"), []byte("value of big!")); err != nil {
			t.Fatal(err)
		}
		var got []string
		for e, err := range b.Scan(nil).All(t.Context()) {
			if err != nil || len(e.Siblings) != 1 || len(e.Context) == 0 {
				t.Fatal(e, err)
			}
			got = append(got, string(e.Siblings[0].Value))
		}
		want := []string{"value of a", "value of big!", "value of c"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAScanThatWasLeftGoesOnWithItsPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 1)
		f.onScan(noPage, []string{"a", "b"}, []string{"c", "d"}, []string{"e"})
		b := f.client(nil).Bucket("default")
		s := b.Scan(nil, KeysOnly())
		for e, err := range s.All(t.Context()) {
			if err != nil || string(e.Key) == "c" {
				break
			}
		}
		if s.Complete() {
			t.Error("complete in the middle")
		}
		want := []string{"c", "d", "e"}
		other := b.Scan(nil, KeysOnly(), WithCursor(s.Cursor()))
		if diff := cmp.Diff(want, keysOf(t, other)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, keysOf(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPageIsAskedForAgainAndAnErrorEndsTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, 2)
		f.onScan(noPage, []string{"a"}, []string{"b"})
		paged, asked := f.script, 0
		f.onData(func(n *fakeNode, call *rpc.Call, s seen) bool {
			if asked++; asked == 1 || asked == 3 {
				call.ReplyError("UNAVAILABLE: scripted")
				return true
			}
			if asked == 4 {
				call.ReplyError("INVALID: cursor does not belong to this bucket and prefix")
				return true
			}
			return paged(n, call, s)
		})
		s := f.client(nil).Bucket("default").Scan([]byte("p"), KeysOnly(), WithLimit(7))
		var trace []string
		for range 2 {
			for e, err := range s.All(t.Context()) {
				if err != nil && !errors.Is(err, ErrInvalid) {
					t.Fatal(err)
				}
				trace = append(trace, fmt.Sprintf("%s%v", e.Key, err != nil))
			}
		}
		if diff := cmp.Diff([]string{"afalse", "true", "bfalse"}, trace); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAScanWithWrongOptionsFailsWhenItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, 1).client(nil)
		for _, s := range []*Scan{
			c.Bucket("default").Scan(nil, WithLimit(1025)),
			c.Bucket("default").Scan(nil, WithR(One)),
			c.Bucket("").Scan(nil),
		} {
			count := 0
			for _, err := range s.All(t.Context()) {
				if count++; !errors.Is(err, ErrInvalid) {
					t.Error(err)
				}
			}
			if count != 1 || s.Complete() {
				t.Errorf("%d entries, complete %v", count, s.Complete())
			}
		}
	})
}
