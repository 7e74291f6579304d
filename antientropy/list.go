// SPDX-License-Identifier: Apache-2.0

package antientropy

import (
	"bytes"
	"cmp"

	"github.com/dyno-kv/dyno/kv"
)

// Item is a key of a list, with what its replica holds of it.
type Item struct {
	Bucket kv.BucketID
	Key    []byte
	Entry
}

// Compare orders items by bucket, then key: as stores have them.
func (i Item) Compare(j Item) int {
	if c := cmp.Compare(i.Bucket, j.Bucket); c != 0 {
		return c
	}
	return bytes.Compare(i.Key, j.Key)
}

// InOrder reports whether a list is in order and names no key twice: only such lists can
// be compared.
func InOrder(items []Item) bool {
	for i := 1; i < len(items); i++ {
		if items[i-1].Compare(items[i]) >= 0 {
			return false
		}
	}
	return true
}

// Difference is a key of which two replicas hold different things.
type Difference struct {
	Bucket kv.BucketID
	Key    []byte
	Mine   Entry
	Theirs Entry
}

// DiffItems returns the keys that differ between two lists of the same leaves, which are
// in order.
func DiffItems(mine, theirs []Item) []Difference {
	var found []Difference
	for len(mine) > 0 || len(theirs) > 0 {
		var d Difference
		switch order := compareHeads(mine, theirs); {
		case order < 0:
			d = Difference{mine[0].Bucket, mine[0].Key, mine[0].Entry, Entry{}}
			mine = mine[1:]
		case order > 0:
			d = Difference{theirs[0].Bucket, theirs[0].Key, Entry{}, theirs[0].Entry}
			theirs = theirs[1:]
		default:
			d = Difference{mine[0].Bucket, mine[0].Key, mine[0].Entry, theirs[0].Entry}
			mine, theirs = mine[1:], theirs[1:]
		}
		if d.Mine != d.Theirs {
			found = append(found, d)
		}
	}
	return found
}

func compareHeads(mine, theirs []Item) int {
	switch {
	case len(theirs) == 0:
		return -1
	case len(mine) == 0:
		return 1
	}
	return mine[0].Compare(theirs[0])
}

// Persisting returns the differences that were found twice and have not moved: a key that
// is being written looks different each time, and reaches its replicas by itself
// (TRAPS M3). Both lists are in order.
func Persisting(first, second []Difference) []Difference {
	var still []Difference
	for len(first) > 0 && len(second) > 0 {
		a, b := first[0], second[0]
		order := Item{Bucket: a.Bucket, Key: a.Key}.Compare(Item{Bucket: b.Bucket, Key: b.Key})
		if order <= 0 {
			first = first[1:]
		}
		if order >= 0 {
			second = second[1:]
		}
		if order == 0 && a.Mine == b.Mine && a.Theirs == b.Theirs {
			still = append(still, b)
		}
	}
	return still
}
