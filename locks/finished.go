// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"fmt"
	"slices"
	"sort"
)

// finished is the set of a session's numbers that are finished with. Neighbours are
// joined, so that equal sets are equal data.
type finished struct {
	through uint64     // all up to it
	above   []Interval // as Session.Done
}

// next is the index of the first interval that begins above n.
func (f *finished) next(n uint64) int {
	return sort.Search(len(f.above), func(i int) bool { return f.above[i].First > n })
}

func (f *finished) has(n uint64) bool {
	if n <= f.through {
		return true
	}
	i := f.next(n)
	return i > 0 && n <= f.above[i-1].Last
}

// add adds one number.
func (f *finished) add(n uint64) {
	switch {
	case f.has(n):
		return
	case n == f.through+1:
		f.raise(n)
		return
	}
	i := f.next(n)
	joinsBelow := i > 0 && f.above[i-1].Last+1 == n
	joinsAbove := i < len(f.above) && n+1 == f.above[i].First
	switch {
	case joinsBelow && joinsAbove:
		f.above[i-1].Last = f.above[i].Last
		f.above = slices.Delete(f.above, i, i+1)
	case joinsBelow:
		f.above[i-1].Last = n
	case joinsAbove:
		f.above[i].First = n
	default:
		f.above = slices.Insert(f.above, i, Interval{n, n})
	}
}

// raise adds all numbers up to n.
func (f *finished) raise(n uint64) {
	if n <= f.through {
		return
	}
	f.through = n
	covered := 0
	for covered < len(f.above) && f.above[covered].First <= f.through+1 {
		f.through = max(f.through, f.above[covered].Last)
		covered++
	}
	f.above = slices.Delete(f.above, 0, covered)
}

// validate says what is wrong with numbers that came as data.
func (f *finished) validate() error {
	if f.through > MaxHolder {
		return fmt.Errorf("numbers up to %d are finished, the highest is %d", f.through, MaxHolder)
	}
	below := f.through
	for _, i := range f.above {
		if i.First <= below+1 || i.Last < i.First || i.Last > MaxHolder {
			return fmt.Errorf("finished numbers %d to %d behind %d", i.First, i.Last, below)
		}
		below = i.Last
	}
	return nil
}
