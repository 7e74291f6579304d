// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestNameCursorBelongsToItsMethodAndPrefix(t *testing.T) {
	t.Parallel()
	at := NameCursor{Name: "jobs/compact", Session: goldenSession()}
	b := AppendNameCursor([]byte("before"), at, MethodSessionList, "jobs/")[len("before"):]
	if got, err := OpenNameCursor(b, MethodSessionList, "jobs/"); err != nil || got != at {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := OpenNameCursor(nil, MethodLockList, "jobs/"); err != nil || got != (NameCursor{}) {
		t.Errorf("the start: got %+v, %v", got, err)
	}
	damaged := bytes.Clone(b)
	damaged[3] ^= 1
	long := AppendNameCursor(nil, NameCursor{Name: strings.Repeat("n", 256)}, MethodLockList, "")
	odd := AppendNameCursor(nil, NameCursor{Name: "\xff"}, MethodLockList, "")
	for name, c := range map[string]struct {
		cursor         []byte
		method, prefix string
	}{
		"another method": {b, MethodLockList, "jobs/"},
		"another prefix": {b, MethodSessionList, "job"},
		"damaged":        {damaged, MethodSessionList, "jobs/"},
		"cut off":        {b[:20], MethodSessionList, "jobs/"},
		"a long name":    {long, MethodLockList, ""},
		"no text":        {odd, MethodLockList, ""},
	} {
		got, err := OpenNameCursor(c.cursor, c.method, c.prefix)
		if !errors.Is(err, ErrCursor) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
