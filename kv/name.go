// SPDX-License-Identifier: Apache-2.0

package kv

import "strings"

// MaxMemberName bounds a member's name in bytes. It is part of every packet of gossip, and
// stands in the lines of logs.
const MaxMemberName = 128

// ValidMemberName reports whether a member can have this name: 1 to MaxMemberName of
// [A-Za-z0-9._-]. Gossip and the metadata group must agree on it, else a node could register
// and never be seen.
func ValidMemberName(s string) bool {
	if s == "" || len(s) > MaxMemberName {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return false
		default:
			return r != '.' && r != '_' && r != '-'
		}
	}) < 0
}

// Printable reports whether s is printable ASCII without spaces; it may be empty.
func Printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
