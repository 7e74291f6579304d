// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"strings"
	"testing"
)

func TestNamesOfMembersAreShortAndOfPlainLetters(t *testing.T) {
	for name, want := range map[string]bool{
		"n1": true, "A.b_c-9": true, strings.Repeat("n", MaxMemberName): true,
		"": false, strings.Repeat("n", MaxMemberName+1): false, "a b": false, "a/b": false,
		"a\n": false, "é": false, "a\xff": false, "a:1": false, "a@b": false, "[": false,
		"`": false, "{": false,
	} {
		if got := ValidMemberName(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestWhatIsPrintableIsASCIIWithoutSpaces(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "!~": true, "[::1]:4610": true,
		" ": false, "a b": false, "\x7f": false, "\t": false, "é": false, "\x00": false,
	} {
		if got := Printable(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}
