// SPDX-License-Identifier: Apache-2.0

package invariant

import (
	"errors"
	"testing"
)

// broken runs f and returns the rule that it broke, "" where none.
func broken(t *testing.T, f func()) (rule string) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			err, ok := r.(error)
			var b *Broken
			if !ok || !errors.As(err, &b) {
				t.Fatalf("panic with %v (%T), not with *Broken", r, r)
			}
			rule = b.Error()
		}
	}()
	f()
	return ""
}

// TestChecksPanicOnlyWhereEnabled passes in both builds, and asks for the opposite in
// each: run it with and without -tags invariants.
func TestChecksPanicOnlyWhereEnabled(t *testing.T) {
	tests := []struct {
		name string
		do   func()
		want string // where enabled
	}{
		{"true", func() { Check(true, "holds") }, ""},
		{"false", func() { Check(false, "holds") }, "invariant broken: holds"},
		{"true with format", func() { Checkf(true, "%d < n", 3) }, ""},
		{"false with format", func() { Checkf(false, "%d < n", 3) }, "invariant broken: 3 < n"},
		{"unreachable", func() { Unreachable("all roles") }, "invariant broken: all roles"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if !Enabled {
				want = ""
			}
			if got := broken(t, tt.do); got != want {
				t.Errorf("got %q, want %q (enabled: %v)", got, want, Enabled)
			}
		})
	}
}

func TestPassingChecksDoNotAllocate(t *testing.T) {
	n := 3
	if got := testing.AllocsPerRun(100, func() { Check(n == 3, "n is three") }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
