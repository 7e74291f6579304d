// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"slices"
)

// Resolver joins siblings, one or more, to one value. It must give the same value for
// the same siblings in any order, and joining its values once more must lose nothing:
// two clients may resolve the same key at the same time.
type Resolver func(siblings []Sibling) ([]byte, error)

// LatestByTimestamp is a Resolver that keeps the value written last, by the clocks of the
// nodes that took the writes, and drops the others: of two writes at about the same time
// either may win. Of equal times the greater bytes win.
func LatestByTimestamp(siblings []Sibling) ([]byte, error) {
	latest := slices.MaxFunc(siblings, func(a, b Sibling) int {
		if c := a.Written.Compare(b.Written); c != 0 {
			return c
		}
		return bytes.Compare(a.Value, b.Value)
	})
	return latest.Value, nil
}

// SetUnion returns a Resolver for values that are sets of byte strings, each element
// followed by the separator: the union, sorted, without empty elements. What one writer
// removed while another wrote comes back.
func SetUnion(separator byte) Resolver {
	return func(siblings []Sibling) ([]byte, error) {
		var elements [][]byte
		for _, s := range siblings {
			for e := range bytes.SplitSeq(s.Value, []byte{separator}) {
				if len(e) > 0 {
					elements = append(elements, e)
				}
			}
		}
		slices.SortFunc(elements, bytes.Compare)
		joined := []byte{}
		for _, e := range slices.CompactFunc(elements, bytes.Equal) {
			joined = append(append(joined, e...), separator)
		}
		return joined, nil
	}
}

// Merging returns a Resolver that decodes the values, merges them one after the other, and
// encodes the outcome. merge must be commutative, associative and idempotent.
func Merging[T any](
	decode func([]byte) (T, error), merge func(a, b T) T, encode func(T) ([]byte, error),
) Resolver {
	return func(siblings []Sibling) ([]byte, error) {
		var all T
		for i, s := range siblings {
			one, err := decode(s.Value)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				one = merge(all, one)
			}
			all = one
		}
		return encode(all)
	}
}
