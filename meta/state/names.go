// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dyno-kv/dyno/kv"
	"github.com/dyno-kv/dyno/ring"
)

const (
	// MaxName bounds the names of members and zones in bytes.
	MaxName = kv.MaxMemberName
	// MaxAddress bounds an address in bytes: a host name has at most 253.
	MaxAddress = 260
	// MaxBucketName bounds the name of a bucket in bytes.
	MaxBucketName = 255
)

// validAddress reports whether s is HOST:PORT with a port that can be dialed. A host that
// has colons stands in brackets.
func validAddress(s string) bool {
	colon := strings.LastIndexByte(s, ':')
	if len(s) > MaxAddress || colon < 1 || !kv.Printable(s) {
		return false
	}
	host, port := s[:colon], s[colon+1:]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return false
	}
	if host == "" || strings.ContainsAny(host, "[]") {
		return false
	}
	number := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || i == len("65535") {
			return false
		}
		number = 10*number + int(port[i]-'0')
	}
	return number > 0 && number <= 65535
}

// faultOf says what is wrong with the addresses, or nothing.
func faultOf(a Addresses) string {
	if a.Peer == "" {
		return "a member must have a peer address"
	}
	for _, addr := range [...]string{a.Client, a.Peer, a.Gossip, a.Admin} {
		if addr != "" && !validAddress(addr) {
			return "the address " + quote(addr) + " must be HOST:PORT"
		}
	}
	return ""
}

// validBucket reports whether a bucket may have that name: text that can stand in a line.
func validBucket(name string) bool {
	if name == "" || len(name) > MaxBucketName || !utf8.ValidString(name) {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// fault says what is wrong with a registration, or nothing.
func (c RegisterMember) fault() string {
	switch {
	case !kv.ValidMemberName(c.Name):
		return "the name " + quote(c.Name) + " must be 1 to 128 of [A-Za-z0-9._-]"
	case len(c.Zone) > MaxName || !kv.Printable(c.Zone):
		return "the zone " + quote(c.Zone) + " must be at most 128 printable ASCII " +
			"characters without spaces"
	case c.Weight < 1 || c.Weight > ring.MaxWeight:
		return "the weight must be 1 to 1048576"
	}
	return faultOf(c.Addresses)
}

// quote shows a name in a message, cut where it is a foreign text that would fill it.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
