// SPDX-License-Identifier: Apache-2.0

package checker

import "math/bits"

// set is a set of small numbers. Sets that are combined have the same length.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) has(i int) bool { return s[i/64]>>(i%64)&1 == 1 }
func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) drop(i int)     { s[i/64] &^= 1 << (i % 64) }

func (s set) join(o set) {
	for i, w := range o {
		s[i] |= w
	}
}

func (s set) remove(o set) {
	for i, w := range o {
		s[i] &^= w
	}
}

func (s set) keep(o set) {
	for i, w := range o {
		s[i] &= w
	}
}

func (s set) equal(o set) bool {
	for i, w := range o {
		if s[i] != w {
			return false
		}
	}
	return true
}

// first is the lowest number, -1 in the empty set.
func (s set) first() int {
	for i, w := range s {
		if w != 0 {
			return i*64 + bits.TrailingZeros64(w)
		}
	}
	return -1
}

func (s set) len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// all yields the numbers in ascending order.
func (s set) all(yield func(int) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(i*64 + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}
